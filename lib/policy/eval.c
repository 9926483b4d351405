#include "lib/policy/eval.h"

#include <string.h>

#include "lib/base/err.h"
#include "lib/base/wildcard.h"
#include "lib/policy/package_set.h"
#include "lib/policy/remedy.h"
#include "lib/policy/template.h"

/* Reasons of one strength, the first ones. */
struct list {
	struct reason items[DECISION_REASONS_MAX];
	size_t n;
};

struct evaluating {
	const struct eval_input *in;
	struct arena *arena;
	struct universe *universe;
	set_word *hits;	      /* the packages a rule's condition holds for */
	set_word *candidates; /* rules, by number */
	int64_t until_ms;     /* the decision holds that long */
	const char *fixing;   /* what lifts an explicit status; "": not sure */
	struct list blocks;
	struct list warnings;
	struct list monitored;
	/* What the case is about, without words: of rules that block, at some time, and of those
	 * that only warn. */
	struct list case_blocks;
	struct list case_warnings;
};

static void holds_until(struct evaluating *e, int64_t ms)
{
	if (ms > e->in->now_ms && ms < e->until_ms)
		e->until_ms = ms;
}

/* --- exceptions --- */

static bool covers(const char *pattern, const char *value,
		   bool (*matches)(const char *, const char *))
{
	return !*pattern || matches(pattern, value);
}

static bool exception_holds(const struct exception *x, const struct policy_facts *facts,
			    const struct package *package, int64_t now_ms)
{
	if (now_ms >= x->expires_ms)
		return false;
	if (!uuid_is_zero(&x->environment) && uuid_cmp(&x->environment, &facts->environment) != 0)
		return false;
	return covers(x->env_path, facts->path, wildcard_match_path) &&
	       covers(x->env_name, facts->name, wildcard_match) &&
	       covers(x->user, facts->user, wildcard_match) &&
	       (!*x->package || (package && wildcard_match(x->package, package->name)));
}

/*
 * Until when those granted on this machine lift it: the last of them counts, since nothing changes
 * before. 0: none does. rule NULL: an explicit status.
 */
static int64_t granted_until(const struct evaluating *e, const char *rule,
			     const struct package *package)
{
	const struct eval_input *in = e->in;
	int64_t until_ms = 0;

	for (size_t i = 0; i < in->n_granted; i++) {
		const struct exception *x = &in->granted[i];
		bool about = rule ? !*x->rule || strcmp(x->rule, rule) == 0 : x->lifts_status;

		if (about && x->expires_ms > until_ms &&
		    exception_holds(x, in->facts, package, in->now_ms))
			until_ms = x->expires_ms;
	}
	return until_ms;
}

static int64_t excepted_until(const struct evaluating *e, const struct rule *rule,
			      const struct package *package)
{
	int64_t until_ms = granted_until(e, rule->id, package);
	const struct exception *const *all;
	size_t n;

	all = rule_index_exceptions(e->in->index, rule->id, &n);
	for (size_t i = 0; i < n; i++)
		if (all[i]->expires_ms > until_ms &&
		    exception_holds(all[i], e->in->facts, package, e->in->now_ms))
			until_ms = all[i]->expires_ms;
	return until_ms;
}

/* Whether it is lifted, until then; the decision holds as long. */
static bool is_lifted(struct evaluating *e, int64_t until_ms)
{
	if (until_ms != 0)
		holds_until(e, until_ms);
	return until_ms != 0;
}

/* --- rules --- */

static enum action action_of(struct evaluating *e, const struct rule *rule)
{
	enum action action = rule->action;

	if (action == ACTION_BLOCK && e->in->now_ms < rule->from_ms) {
		holds_until(e, rule->from_ms);
		action = ACTION_WARN;
	}
	if (action == ACTION_BLOCK && e->in->now_ms < e->in->deferred_until_ms) {
		holds_until(e, e->in->deferred_until_ms);
		action = ACTION_WARN;
	}
	return action;
}

static int64_t block_from(const struct evaluating *e, const struct rule *rule)
{
	int64_t deferred_ms = e->in->deferred_until_ms;

	return rule->from_ms > deferred_ms ? rule->from_ms : deferred_ms;
}

/* Which reasons make the case must not change when one of them begins to block or is put off. */
static void add_to_case(struct evaluating *e, const struct reason *reason, enum action strictest)
{
	struct list *list = strictest == ACTION_BLOCK ? &e->case_blocks : &e->case_warnings;

	if (list->n < DECISION_REASONS_MAX)
		list->items[list->n++] = *reason;
}

static int add_reason(struct evaluating *e, const struct rule *rule, const struct package *package)
{
	const struct template_values values = {
		.facts = e->in->facts,
		.package = package,
		.rule = rule->id,
		.contact = rule_index_policy(e->in->index)->defaults.contact,
	};
	enum action action = action_of(e, rule);
	struct list *list = rule->mode == RULE_MONITOR ? &e->monitored
			    : action == ACTION_BLOCK   ? &e->blocks
						       : &e->warnings;
	struct reason made = {.kind = "rule", .id = rule->id, .package = package, .action = action};
	struct reason *reason = &list->items[list->n];
	int rc;

	if (rule->mode != RULE_MONITOR)
		add_to_case(e, &made, rule->action);
	if (list->n == DECISION_REASONS_MAX)
		return 0;
	*reason = made;
	if (action != rule->action)
		reason->block_from_ms = block_from(e, rule);
	rc = template_message(rule->message, &values, DECISION_MESSAGE_MAX, e->arena,
			      &reason->message);
	if (rc == 0)
		rc = template_fix(rule->fix, &values, DECISION_MESSAGE_MAX, e->arena, &reason->fix);
	if (rc == 0 && !*rule->fix)
		rc = remedy_of_condition(&rule->when, e->in->facts, package, e->arena,
					 &reason->fix);
	if (rc == 0)
		list->n++;
	return rc;
}

static int eval_rule(struct evaluating *e, const struct rule *rule)
{
	const struct policy_facts *facts = e->in->facts;
	size_t n = universe_size(e->universe);
	bool of_package = condition_is_of_package(&rule->when);
	int rc;

	if (!scope_holds(&rule->scope, facts) || (of_package && facts->n_packages == 0))
		return 0;
	rc = condition_eval(e->universe, &rule->when, e->hits, &e->until_ms);
	for (size_t i = set_next(e->hits, 0, n); rc == 0 && i < n;
	     i = set_next(e->hits, i + 1, n)) {
		const struct package *package = of_package ? facts->packages[i].package : NULL;

		if (!is_lifted(e, excepted_until(e, rule, package)))
			rc = add_reason(e, rule, package);
		if (!of_package)
			break;
	}
	return rc;
}

static void mark(struct evaluating *e, const uint32_t *rules, size_t n)
{
	for (size_t i = 0; i < n; i++)
		e->candidates[rules[i] / 64] |= (set_word)1 << (rules[i] % 64);
}

/* The rules that can apply, in their order. */
static int eval_rules(struct evaluating *e)
{
	const struct policy *policy = rule_index_policy(e->in->index);
	const uint32_t *rules;
	int rc = 0;
	size_t n;

	e->candidates =
		arena_calloc(e->arena, SET_WORDS(policy->n_rules) + 1, sizeof(*e->candidates));
	if (!e->candidates)
		return ERR_NOMEM;
	rules = rule_index_general(e->in->index, &n);
	mark(e, rules, n);
	for (size_t i = 0; i < universe_names(e->universe); i++) {
		rules = rule_index_by_name(e->in->index, universe_name(e->universe, i), &n);
		mark(e, rules, n);
	}
	for (size_t i = set_next(e->candidates, 0, policy->n_rules); rc == 0 && i < policy->n_rules;
	     i = set_next(e->candidates, i + 1, policy->n_rules))
		rc = eval_rule(e, &policy->rules[i]);
	return rc;
}

/* --- the explicit status --- */

/* What lifts it where one package is the cause; of several it would be a part. */
static int remedy_of_hits(struct evaluating *e, const struct condition *fits)
{
	size_t n = universe_size(e->universe);
	size_t first = set_next(e->hits, 0, n);

	if (set_next(e->hits, first + 1, n) < n)
		return 0;
	return remedy_of_condition(fits, e->in->facts, e->in->facts->packages[first].package,
				   e->arena, &e->fixing);
}

/* Until fixed: as long as a package fits one of the specs. One that can't be read counts as fit. */
static int is_fixed(struct evaluating *e, bool *out)
{
	const struct status_entry *status = e->in->status;
	struct match_spec *specs = arena_calloc(e->arena, status->n_fixed_specs, sizeof(*specs));
	struct condition fits = {.kind = CONDITION_PACKAGE, .specs = specs};
	size_t n = universe_size(e->universe);
	int rc;

	if (!specs)
		return ERR_NOMEM;
	for (size_t i = 0; i < status->n_fixed_specs; i++) {
		const char *text = status->fixed_specs[i];

		rc = match_spec_parse(text, strlen(text), e->arena, &specs[fits.n_specs++], NULL);
		if (rc < 0)
			return rc == ERR_NOMEM ? rc : 0;
	}
	rc = condition_eval(e->universe, &fits, e->hits, &e->until_ms);
	if (rc < 0)
		return rc;
	*out = e->in->facts->n_packages == 0 || set_next(e->hits, 0, n) >= n;
	return *out ? 0 : remedy_of_hits(e, &fits);
}

static bool asks_packages(const struct status_entry *status)
{
	return status && status->until_fixed && status->n_fixed_specs > 0;
}

static int status_holds(struct evaluating *e, bool *out)
{
	const struct status_entry *status = e->in->status;
	bool over = !status || status->action == ACTION_ALLOW ||
		    (status->until_ms != 0 && e->in->now_ms >= status->until_ms);
	int rc = 0;

	if (!over && asks_packages(status))
		rc = is_fixed(e, &over);
	if (rc == 0)
		*out = !over && !is_lifted(e, granted_until(e, NULL, NULL));
	return rc;
}

static int status_reason(struct evaluating *e, struct reason *out)
{
	const struct status_entry *status = e->in->status;

	*out = (struct reason){
		.kind = "status", .id = "", .fix = e->fixing, .action = status->action};
	if (status->until_ms != 0)
		holds_until(e, status->until_ms);
	out->message = arena_strdup(e->arena, status->message);
	return out->message ? 0 : ERR_NOMEM;
}

/* --- the decision --- */

static void append(struct list *to, const struct list *from)
{
	for (size_t i = 0; i < from->n && to->n < DECISION_REASONS_MAX; i++)
		to->items[to->n++] = from->items[i];
}

/* An explicit status, which can't be put off, and then the rules' reasons. */
static int make_case(struct evaluating *e, const struct list *status, char out[CASE_CODE_MAX])
{
	struct list *all = arena_dup(e->arena, status, sizeof(*status));

	if (!all)
		return ERR_NOMEM;
	append(all, &e->case_blocks);
	append(all, &e->case_warnings);
	return case_code_make(&e->in->facts->environment, all->items, all->n, out);
}

static int compose(struct evaluating *e, struct decision *out)
{
	struct decision d = {.action = ACTION_ALLOW, .valid_until_ms = INT64_MAX};
	struct list status = {.n = 0};
	struct list *told;
	bool explicit = false;
	int rc = status_holds(e, &explicit);

	if (rc == 0 && explicit)
		rc = status_reason(e, &status.items[status.n++]);
	if (rc < 0)
		return rc;
	told = arena_calloc(e->arena, 1, sizeof(*told));
	if (!told)
		return ERR_NOMEM;
	if (explicit && status.items[0].action == ACTION_BLOCK)
		append(told, &status);
	append(told, &e->blocks);
	if (explicit && status.items[0].action == ACTION_WARN)
		append(told, &status);
	append(told, &e->warnings);
	d.reasons = told->items;
	d.n_reasons = told->n;
	if (d.n_reasons > 0) {
		d.action = d.reasons[0].action;
		rc = make_case(e, &status, d.case_code);
	}
	d.valid_until_ms = e->until_ms;
	if (rc == 0)
		*out = d;
	return rc;
}

static int evaluate(struct evaluating *e, struct evaluation *out)
{
	int rc = universe_new(e->in->facts, e->in->now_ms, e->arena, &e->universe);

	if (rc == 0) {
		universe_heed(e->universe, e->in->canceled);
		e->hits = arena_calloc(e->arena, SET_WORDS(universe_size(e->universe)),
				       sizeof(*e->hits));
		rc = e->hits ? 0 : ERR_NOMEM;
	}
	if (rc == 0 && e->in->index)
		rc = eval_rules(e);
	if (rc == 0 && e->monitored.n > 0) {
		out->monitored = arena_dup(e->arena, e->monitored.items,
					   e->monitored.n * sizeof(e->monitored.items[0]));
		out->n_monitored = e->monitored.n;
		rc = out->monitored ? 0 : ERR_NOMEM;
	}
	return rc;
}

static int eval_once(const struct eval_input *in, struct arena *arena, struct evaluation *out)
{
	struct evaluating *e = arena_calloc(arena, 1, sizeof(*e));
	struct evaluation result = {0};
	int rc = 0;

	if (!e)
		return ERR_NOMEM;
	e->in = in;
	e->arena = arena;
	e->until_ms = INT64_MAX;
	e->fixing = "";
	if (in->index || asks_packages(in->status))
		rc = evaluate(e, &result);
	if (rc == 0)
		rc = compose(e, &result.decision);
	if (rc == 0)
		*out = result;
	return rc;
}

int policy_eval(const struct eval_input *in, struct arena *arena, struct evaluation *out)
{
	struct eval_input without = *in;
	struct evaluation result;
	int rc = eval_once(in, arena, &result);

	if (rc == 0 && in->deferred_case && in->deferred_until_ms > in->now_ms &&
	    strcmp(result.decision.case_code, in->deferred_case) != 0) {
		without.deferred_until_ms = 0;
		rc = eval_once(&without, arena, &result);
	}
	if (rc == 0)
		*out = result;
	return rc;
}
