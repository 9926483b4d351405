#include "server/api/policy_plan.h"

#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/mem.h"
#include "lib/policy/eval.h"
#include "lib/policy/policy_check.h"
#include "lib/policy/policy_read.h"
#include "server/api/documents.h"
#include "server/api/policy_fits.h"
#include "server/db/db_policy.h"
#include "server/db/db_scan.h"

#define EVAL_MEMORY (64U << 20)
#define STEP_MEMORY (256U << 20)
#define LISTS_MEMORY (32U << 20)
#define RULES_SHOWN 16 /* of one environment */
#define BUCKETS 4096
#define ACTIONS (ACTION_BLOCK + 1)

/* A policy that can be asked. */
struct side {
	struct arena arena;
	struct policy policy;
	struct rule_index *index; /* NULL: no policy */
};

/* How many environments there are by the present policy, and by the new one. */
struct tally {
	int64_t before;
	int64_t after;
};

/* A rule with the environments it holds for, or a user. */
struct name {
	struct name *next;
	const char *text;
	struct tally by_action[ACTIONS];
	struct tally monitored;
	bool ordered;
};
struct names {
	struct name *buckets[BUCKETS];
	size_t n;
};

struct changed {
	struct changed *next;
	struct uuid id;
	const char *prefix;
	const char *user;
	const char *hostname;
	enum action from;
	enum action to;
	const char *rules[RULES_SHOWN];
	size_t n_rules;
};

struct policy_plan {
	struct side new;
	struct side old;
	uint64_t base; /* the present version, 0 = none */
	bool begun;
	bool good;
	struct problems problems; /* in new.arena */
	int64_t now_ms;
	struct db_scan *scan;
	struct arena lists;
	struct names rules;
	struct names users; /* of those that change */
	struct changed *changed;
	struct changed **changed_end;
	size_t n_listed;
	int64_t environments;
	int64_t changes;
	struct tally by_action[ACTIONS];
	struct tally deferred;	/* of the warned: blocked but for a grace */
	struct name **in_order; /* the rules, as the new policy has them, then the present one */
};

/* --- names --- */

static struct name **bucket_of(struct names *names, const char *text)
{
	uint32_t hash = 2166136261U;

	for (const char *c = text; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619U;
	return &names->buckets[hash % BUCKETS];
}

static struct name *name_find(struct names *names, const char *text)
{
	struct name *name = *bucket_of(names, text);

	while (name && strcmp(name->text, text) != 0)
		name = name->next;
	return name;
}

static struct name *name_get(struct policy_plan *p, struct names *names, const char *text)
{
	struct name **bucket = bucket_of(names, text);
	struct name *name = name_find(names, text);

	if (name)
		return name;
	name = arena_calloc(&p->lists, 1, sizeof(*name));
	if (!name)
		return NULL;
	name->text = arena_strdup(&p->lists, text);
	if (!name->text)
		return NULL;
	name->next = *bucket;
	*bucket = name;
	names->n++;
	return name;
}

/* --- the beginning --- */

int policy_plan_new(const char *source, int64_t now_ms, struct policy_plan **out, struct err *err)
{
	struct policy_plan *p = mem_calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return err_nomem(err);
	p->now_ms = now_ms;
	p->changed_end = &p->changed;
	arena_init(&p->new.arena, POLICY_MEMORY_MAX);
	arena_init(&p->old.arena, POLICY_MEMORY_MAX);
	arena_init(&p->lists, LISTS_MEMORY);
	problems_init(&p->problems, &p->new.arena);
	rc = policy_read(source, strlen(source), &p->new.arena, &p->new.policy, &p->problems, err);
	if (rc == 0)
		rc = policy_check(&p->new.policy, now_ms, &p->new.arena, &p->problems, err);
	if (rc == 0)
		rc = rule_index_new(&p->new.policy, &p->new.arena, &p->new.index);
	problems_sort(&p->problems);
	p->good = rc == 0;
	if (rc == 0)
		rc = db_scan_new(&p->scan, err);
	if (rc < 0 && (rc != ERR_INVALID || p->problems.out_of_memory)) {
		bool full = p->new.arena.full;

		policy_plan_free(p);
		return full		   ? policy_fits_not(POLICY_FITS_MEMORY, err)
		       : rc == ERR_INVALID ? err_nomem(err)
					   : rc;
	}
	*out = p;
	return 0;
}

void policy_plan_free(struct policy_plan *p)
{
	if (!p)
		return;
	db_scan_free(p->scan);
	arena_deinit(&p->new.arena);
	arena_deinit(&p->old.arena);
	arena_deinit(&p->lists);
	mem_free(p);
}

bool policy_plan_good(const struct policy_plan *p)
{
	return p->good;
}

const struct problems *policy_plan_problems(const struct policy_plan *p)
{
	return &p->problems;
}

const struct policy *policy_plan_policy(const struct policy_plan *p)
{
	return &p->new.policy;
}

static int begin(struct db_conn *conn, struct policy_plan *p, struct err *err)
{
	struct problems problems;
	struct db_policy stored;
	int rc = db_policy_get(conn, 0, &p->old.arena, &stored, err);

	p->begun = true;
	if (rc == ERR_NOTFOUND)
		return 0;
	if (rc < 0)
		return rc;
	p->base = stored.version;
	problems_init(&problems, &p->old.arena);
	rc = policy_read(stored.source, strlen(stored.source), &p->old.arena, &p->old.policy,
			 &problems, err);
	return rc < 0 ? rc : rule_index_new(&p->old.policy, &p->old.arena, &p->old.index);
}

/* --- one environment --- */

static int decide(const struct policy_plan *p, const struct side *side,
		  const struct db_scan_env *env, struct arena *arena, struct evaluation *out)
{
	const struct eval_input in = {.facts = &env->facts,
				      .index = side->index,
				      .status = env->has_status ? &env->status : NULL,
				      .granted = env->granted,
				      .n_granted = env->n_granted,
				      .deferred_until_ms = env->deferred_until_ms,
				      .deferred_case = env->deferred_case,
				      .now_ms = p->now_ms};

	return policy_eval(&in, arena, out);
}

static bool told_before(const struct reason *reasons, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(reasons[k].id, reasons[i].id) == 0)
			return true;
	return false;
}

static void tally_add(struct tally *tally, bool after)
{
	tally->before += !after;
	tally->after += after;
}

/* Each rule once: with its strictest reason, which comes first. */
static int count_rules(struct policy_plan *p, const struct evaluation *by, bool after)
{
	const struct decision *d = &by->decision;
	struct name *rule;

	for (size_t i = 0; i < d->n_reasons; i++) {
		if (strcmp(d->reasons[i].kind, "rule") != 0 || told_before(d->reasons, i))
			continue;
		rule = name_get(p, &p->rules, d->reasons[i].id);
		if (!rule)
			return ERR_NOMEM;
		tally_add(&rule->by_action[d->reasons[i].action], after);
	}
	for (size_t i = 0; i < by->n_monitored; i++) {
		if (told_before(by->monitored, i))
			continue;
		rule = name_get(p, &p->rules, by->monitored[i].id);
		if (!rule)
			return ERR_NOMEM;
		tally_add(&rule->monitored, after);
	}
	return 0;
}

/* The rules that bring a change, or that no longer hold. */
static int list_rules(struct policy_plan *p, const struct decision *by, bool lift, enum action to,
		      struct changed *listed)
{
	for (size_t i = 0; i < by->n_reasons && listed->n_rules < RULES_SHOWN; i++) {
		const struct reason *reason = &by->reasons[i];
		const struct name *rule;

		if (strcmp(reason->kind, "rule") != 0 || told_before(by->reasons, i) ||
		    (!lift && reason->action != to))
			continue;
		rule = name_get(p, &p->rules, reason->id);
		if (!rule)
			return ERR_NOMEM;
		listed->rules[listed->n_rules++] = rule->text;
	}
	return 0;
}

static int list_add(struct policy_plan *p, const struct db_scan_env *env, struct changed **out)
{
	struct changed *c;

	*out = NULL;
	if (p->n_listed == PLAN_LISTED)
		return 0;
	c = arena_calloc(&p->lists, 1, sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	c->id = env->facts.environment;
	c->prefix = arena_strdup(&p->lists, env->facts.path);
	c->user = arena_strdup(&p->lists, env->facts.user);
	c->hostname = arena_strdup(&p->lists, env->hostname);
	if (!c->prefix || !c->user || !c->hostname)
		return ERR_NOMEM;
	*p->changed_end = c;
	p->changed_end = &c->next;
	p->n_listed++;
	*out = c;
	return 0;
}

static int note_change(struct policy_plan *p, const struct db_scan_env *env,
		       const struct decision *from, const struct decision *to)
{
	bool lift = to->action < from->action;
	struct changed *listed;
	int rc = list_add(p, env, &listed);

	if (rc < 0 || !name_get(p, &p->users, env->facts.user))
		return ERR_NOMEM;
	p->changes++;
	if (!listed)
		return 0;
	listed->from = from->action;
	listed->to = to->action;
	return list_rules(p, lift ? from : to, lift, to->action, listed);
}

/* Whether it is only warned about since its user took a grace. */
static bool is_deferred(const struct db_scan_env *env, const struct decision *by)
{
	for (size_t i = 0; by->action == ACTION_WARN && i < by->n_reasons; i++)
		if (env->deferred_until_ms > 0 &&
		    by->reasons[i].block_from_ms == env->deferred_until_ms)
			return true;
	return false;
}

static int compare(struct policy_plan *p, const struct db_scan_env *env)
{
	struct evaluation from, to;
	struct arena arena;
	int rc;

	arena_init(&arena, EVAL_MEMORY);
	rc = decide(p, &p->old, env, &arena, &from);
	if (rc == 0)
		rc = decide(p, &p->new, env, &arena, &to);
	if (rc == 0) {
		p->environments++;
		tally_add(&p->by_action[from.decision.action], false);
		tally_add(&p->by_action[to.decision.action], true);
		p->deferred.before += is_deferred(env, &from.decision);
		p->deferred.after += is_deferred(env, &to.decision);
		rc = count_rules(p, &from, false);
	}
	if (rc == 0)
		rc = count_rules(p, &to, true);
	if (rc == 0 && from.decision.action != to.decision.action)
		rc = note_change(p, env, &from.decision, &to.decision);
	arena_deinit(&arena);
	return rc;
}

static void order_rules(struct policy_plan *p, const struct policy *policy, size_t *n)
{
	for (size_t i = 0; i < policy->n_rules && *n < p->rules.n; i++) {
		struct name *rule = name_find(&p->rules, policy->rules[i].id);

		if (!rule || rule->ordered)
			continue;
		rule->ordered = true;
		p->in_order[(*n)++] = rule;
	}
}

/* Every rule that was counted is in one of the two. */
static int order_all_rules(struct policy_plan *p)
{
	size_t n = 0;

	p->in_order = arena_calloc(&p->lists, p->rules.n + 1, sizeof(struct name *));
	if (!p->in_order)
		return ERR_NOMEM;
	order_rules(p, &p->new.policy, &n);
	order_rules(p, &p->old.policy, &n);
	return 0;
}

int policy_plan_step(struct db_conn *conn, struct policy_plan *p, struct err *err)
{
	struct db_scan_env *list = NULL;
	struct arena arena;
	size_t n = 0;
	int rc = p->begun ? 0 : begin(conn, p, err);

	arena_init(&arena, STEP_MEMORY);
	if (rc == 0)
		rc = db_scan_next(conn, p->scan, p->now_ms, PLAN_STEP, &arena, &list, &n, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = compare(p, &list[i]) < 0 ? err_nomem(err) : 0;
	arena_deinit(&arena);
	if (rc == 0 && n < PLAN_STEP && order_all_rules(p) < 0)
		rc = err_nomem(err);
	return rc < 0 ? rc : n == PLAN_STEP;
}

/* --- the answer --- */

static void write_tally(struct json_writer *w, const char *key, const struct tally *tally)
{
	json_key(w, key);
	json_begin_object(w);
	json_kv_int(w, "before", tally->before);
	json_kv_int(w, "after", tally->after);
	json_end_object(w);
}

static void write_rules(const struct policy_plan *p, struct json_writer *w)
{
	json_key(w, "rules");
	json_begin_array(w);
	for (size_t i = 0; p->in_order && p->in_order[i]; i++) {
		const struct name *rule = p->in_order[i];

		json_begin_object(w);
		json_kv_str(w, "rule", rule->text);
		write_tally(w, "blocked", &rule->by_action[ACTION_BLOCK]);
		write_tally(w, "warned", &rule->by_action[ACTION_WARN]);
		write_tally(w, "monitored", &rule->monitored);
		json_end_object(w);
	}
	json_end_array(w);
}

static void write_changed(const struct policy_plan *p, struct json_writer *w)
{
	json_key(w, "changed");
	json_begin_array(w);
	for (const struct changed *c = p->changed; c; c = c->next) {
		json_begin_object(w);
		document_id(w, "id", &c->id);
		json_kv_str(w, "prefix", c->prefix);
		json_kv_str(w, "user", c->user);
		json_kv_str(w, "hostname", c->hostname);
		json_kv_str(w, "from", action_name(c->from));
		json_kv_str(w, "to", action_name(c->to));
		document_texts(w, "rules", c->rules, c->n_rules);
		json_end_object(w);
	}
	json_end_array(w);
}

static void write_problems(const struct problems *all, struct json_writer *w)
{
	json_key(w, "problems");
	json_begin_array(w);
	for (size_t i = 0; i < all->n; i++) {
		const struct problem *problem = &all->items[i];

		json_begin_object(w);
		json_kv_str(w, "kind", problem->kind == PROBLEM_ERROR ? "error" : "warning");
		json_kv_int(w, "line", problem->line);
		json_kv_int(w, "column", problem->column);
		json_kv_str(w, "text", problem->text);
		json_kv_str_opt(w, "suggestion", problem->suggestion);
		json_end_object(w);
	}
	json_end_array(w);
}

void policy_plan_write(const struct policy_plan *p, struct json_writer *w)
{
	json_kv_bool(w, "good", p->good);
	json_kv_int(w, "base", (int64_t)p->base);
	json_kv_int(w, "environments", p->environments);
	write_tally(w, "blocked", &p->by_action[ACTION_BLOCK]);
	write_tally(w, "warned", &p->by_action[ACTION_WARN]);
	write_tally(w, "allowed", &p->by_action[ACTION_ALLOW]);
	write_tally(w, "deferred", &p->deferred);
	json_kv_int(w, "changes", p->changes);
	json_kv_int(w, "users", (int64_t)p->users.n);
	write_rules(p, w);
	write_changed(p, w);
	write_problems(&p->problems, w);
}
