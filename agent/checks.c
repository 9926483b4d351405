/*
 * From a target to an environment, and to the decision on it.
 *
 *   resolve the typed text to candidates -> the reader says which is there and whether it is clean
 *     (unless it has lent its word on that, lease.h)
 *     clean: answer;  being changed: answer from the last settled snapshot and say so
 *     dirty or never seen: have it read, then answer
 *   whatever takes longer than the deadline is answered from what is known.
 */
#include <stdio.h>
#include <string.h>

#include "agent/core/decide.h"
#include "agent/engine.h"
#include "agent/requests.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

#define DEADLINE_MS 100
#define LOOKUPS_MAX 4096
#define LOOKUP_MEMORY_MAX (1u << 20)

struct lookup {
	struct lookup *next; /* in the order of their deadlines, which is that of their coming */
	struct engine *e;
	uint64_t probe; /* id, 0 = answered */
	uint64_t read;	/* id of the reading waited for, 0 none */
	int64_t deadline_ms;
	uint32_t uid;
	char *prefix; /* canonical, once known; else the first candidate */
	char *named;  /* as the asker names it */
	char *held;   /* until the reader tells: the first candidate that is known, or NULL */
	const char *notice;
	const char *several; /* of that name, if it is not conda's order that decides; or NULL */
	bool held_guessed;   /* conda would not find what is held */
	bool unreadable;     /* the reader may not look at it */
	bool sole;	     /* there is one candidate only */
	bool deciding;	     /* it waits for the decision on this one: */
	struct uuid environment;
	bool late;  /* its deadline has come */
	bool blind; /* the reader did not say what is there */
	lookup_cb done;
	void *ctx;
	struct arena arena;
};

struct checks {
	struct lookup *first;
	struct lookup **last;
	size_t n;
	uv_timer_t timer;
	struct arena reply; /* of the answer being made */
};

static const char notice_busy[] = "It is being changed right now; this is about how it was before.";
static const char notice_slow[] = "The agent was still reading it; this is what was known before.";
static const char notice_blind[] =
	"The agent can't look at environments right now; this is what was "
	"known before.";

static const char notice_away[] =
	"Its file system does not answer or is not mounted; this is what was known before.";

/* Names the mount, if one was told since the start. */
static const char *away_notice(struct lookup *l)
{
	const struct env *env = envs_by_path(&l->e->envs, l->held != NULL ? l->held : l->prefix);
	char text[LIMIT_TEXT];
	const char *notice;

	if (env == NULL || env->mount == NULL)
		return notice_away;
	(void)snprintf(text, sizeof text, "%.900s %s; this is what was known before.", env->mount,
		       env->away ? "is not mounted" : "does not answer");
	notice = arena_strdup(&l->arena, text);
	return notice != NULL ? notice : notice_away;
}

static void remove_lookup(struct checks *all, struct lookup *l)
{
	struct lookup **p = &all->first;

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	if (all->last == &l->next)
		all->last = p;
	all->n--;
}

/* The answer waits for the decision, as long as there is time. */
static bool waits(struct lookup *l)
{
	struct engine *e = l->e;
	struct env *env = envs_by_path(&e->envs, l->prefix);

	if (env == NULL || l->late || e->stopping || deciding_fresh(e, env))
		return false;
	decisions_want(e->decisions, env);
	if (deciding_fresh(e, env))
		return false;
	l->deciding = true;
	l->environment = env->id;
	return true;
}

static void finish(struct lookup *l, int rc, const char *error)
{
	struct engine *e = l->e;
	struct lookup_result result = {.rc = rc, .error = error, .late = l->late || l->blind};

	if (l->read != 0)
		facts_forget(e, l->read);
	l->read = 0;
	l->probe = 0;
	l->deciding = false;
	if (rc == 0 && waits(l))
		return;
	result.prefix = l->prefix;
	result.named = l->named;
	result.unreadable = l->unreadable;
	result.sole = l->sole;
	result.notice = l->notice != NULL ? l->notice : "";
	result.several = l->several;
	remove_lookup(e->checks, l);
	result.env = envs_by_path(&e->envs, l->prefix);
	l->done(l->ctx, &result);
	arena_deinit(&l->arena);
	mem_free(l);
}

static struct lookup *find_waiting(struct engine *e, const struct uuid *environment)
{
	for (struct lookup *l = e->checks->first; l != NULL; l = l->next)
		if (l->deciding && uuid_cmp(&l->environment, environment) == 0)
			return l;
	return NULL;
}

void checks_decided(struct engine *e, struct env *env)
{
	struct lookup *l;

	while (e->checks != NULL && deciding_fresh(e, env) &&
	       (l = find_waiting(e, &env->id)) != NULL)
		finish(l, 0, NULL);
}

/* The reader did not say in time which candidate is there: the first one that is known. */
static void finish_unprobed(struct lookup *l, const char *notice)
{
	if (l->held != NULL)
		l->prefix = l->held;
	if (l->held == NULL || !l->held_guessed)
		l->several = NULL;
	l->notice = notice;
	l->blind = true;
	finish(l, 0, NULL);
}

static void on_timer(uv_timer_t *timer);

static void arm(struct engine *e)
{
	struct checks *all = e->checks;
	int64_t wait;

	if (all->first == NULL) {
		uv_timer_stop(&all->timer);
		return;
	}
	wait = all->first->deadline_ms - engine_mono(e);
	uv_timer_start(&all->timer, on_timer, (uint64_t)(wait > 0 ? wait : 0), 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct engine *e = timer->data;
	int64_t now = engine_mono(e);

	while (e->checks->first != NULL && e->checks->first->deadline_ms <= now) {
		e->checks->first->late = true;
		finish_unprobed(e->checks->first, notice_slow);
	}
	arm(e);
}

static void on_read(void *ctx, int rc)
{
	struct lookup *l = ctx;

	l->read = 0; /* what is known by now is the answer */
	l->unreadable = rc == ERR_PERM;
	finish(l, 0, NULL);
}

static struct lookup *find_probe(struct engine *e, uint64_t id)
{
	for (struct lookup *l = e->checks->first; l != NULL; l = l->next)
		if (l->probe == id)
			return l;
	return NULL;
}

static void take_prefix(struct lookup *l, const char *prefix)
{
	char *copy = prefix[0] == '/' ? arena_strdup(&l->arena, prefix) : NULL;

	if (copy != NULL)
		l->prefix = copy;
}

/* Until the reader takes it back it need not be asked about this one. */
static void borrow(const struct lookup *l, const Envwarden__Reader__ProbeReply *reply)
{
	struct env *env = envs_by_path(&l->e->envs, l->prefix);

	if (env != NULL && reply->state == ENVWARDEN__READER__PROBE_REPLY__STATE__CLEAN)
		env->lease = reply->lease;
}

void checks_probe_reply(struct engine *e, const Envwarden__Reader__ProbeReply *reply)
{
	struct lookup *l = find_probe(e, reply->id);

	if (l == NULL)
		return; /* its deadline has passed */
	l->probe = 0;
	take_prefix(l, reply->prefix);
	if (reply->state == ENVWARDEN__READER__PROBE_REPLY__STATE__UNREADABLE) {
		/* Where it may not look it can't tell which is there: one that is known. */
		l->unreadable = true;
		if (reply->prefix[0] == '\0' && l->held != NULL)
			l->prefix = l->held;
	}
	if (reply->state == ENVWARDEN__READER__PROBE_REPLY__STATE__AWAY) {
		finish_unprobed(l, away_notice(l));
		return;
	}
	if (!reply->guessed)
		l->several = NULL;
	l->held = NULL;
	borrow(l, reply);
	switch (reply->state) {
	case ENVWARDEN__READER__PROBE_REPLY__STATE__CLEAN:
	case ENVWARDEN__READER__PROBE_REPLY__STATE__UNREADABLE:
		finish(l, 0, NULL);
		return;
	case ENVWARDEN__READER__PROBE_REPLY__STATE__BUSY:
		l->notice = notice_busy;
		finish(l, 0, NULL);
		return;
	case ENVWARDEN__READER__PROBE_REPLY__STATE__DIRTY:
	case ENVWARDEN__READER__PROBE_REPLY__STATE__UNKNOWN:
		l->read = facts_read(e, l->prefix, on_read, l);
		if (l->read == 0)
			finish(l, 0, NULL);
		return;
	default:
		finish(l, ERR_NOTFOUND, NULL);
	}
}

/* One that waits for the reader; at the end, any. */
static struct lookup *find_blind(struct engine *e)
{
	struct lookup *l = e->checks->first;

	while (l != NULL && l->deciding && !e->stopping)
		l = l->next;
	return l;
}

void checks_link_lost(struct engine *e)
{
	struct lookup *l;

	while (e->checks != NULL && (l = find_blind(e)) != NULL)
		finish_unprobed(l, notice_blind);
}

/* --- from the target to the probe --- */

struct meant {
	struct resolved all;
	size_t own;	       /* of them, those that conda would try, too */
	struct resolved known; /* environments of that name that this user has, however found */
};

struct by_name {
	struct resolved *resolved;
	struct arena *arena;
	const char *name;
	int64_t uid;
};

/* Wherever this user has an environment of that name, however it was found. */
static void add_by_name(void *ctx, struct env *env)
{
	struct by_name *by = ctx;

	if (env->owner_uid == by->uid && strcmp(env_name(env), by->name) == 0)
		(void)resolve_add(by->resolved, by->arena, env->prefix);
}

static enum resolve_kind kind_of(const Envwarden__Local__Target *t)
{
	static const enum resolve_kind kinds[] = {RESOLVE_DEFAULT, RESOLVE_ENV, RESOLVE_PREFIX,
						  RESOLVE_NAME};

	return (size_t)t->kind < ARRAY_SIZE(kinds) ? kinds[t->kind] : RESOLVE_ENV;
}

static bool is_mamba(const Envwarden__Local__Target *t)
{
	return strcmp(t->tool, "mamba") == 0 || strcmp(t->tool, "micromamba") == 0;
}

/*
 * What it may mean, without any file: for the time when the reader does not tell, and what is wrong
 * with it in itself.
 */
static int find_candidates(struct lookup *l, const Envwarden__Local__Target *t, struct meant *found,
			   struct err *err)
{
	const struct resolve_input in = {.kind = kind_of(t),
					 .typed = t->typed,
					 .where = {.home = t->home,
						   .conda_prefix = t->conda_prefix,
						   .base = t->root_prefix,
						   .cwd = t->cwd},
					 .mamba = is_mamba(t),
					 .base_read_only = t->base_read_only,
					 .envs_dirs = (const char *const *)t->envs_dirs,
					 .n_envs_dirs = t->n_envs_dirs};
	struct by_name by = {&found->known, &l->arena, t->typed, l->uid};
	int rc = resolve(&in, &l->arena, &found->all, err);

	found->known.n = 0;
	found->own = found->all.n;
	if (rc < 0 || !resolve_by_name(in.kind, in.typed))
		return rc;
	envs_each(&l->e->envs, add_by_name, &by);
	for (size_t i = 0; i < found->known.n && rc == 0; i++)
		rc = resolve_add(&found->all, &l->arena, found->known.candidates[i]);
	return rc < 0 ? err_nomem(err) : 0;
}

/*
 * A path that the reader would find by itself, of an environment that it would say is clean. It is
 * told who asks, as it would have been.
 */
static bool needs_no_probe(struct lookup *l, const Envwarden__Local__Target *t)
{
	const struct env *env =
		resolve_by_name(kind_of(t), t->typed) ? NULL : envs_by_path(&l->e->envs, l->prefix);

	if (env == NULL || !lease_is_good(&l->e->lease, env->lease))
		return false;
	facts_account(l->e, l->uid);
	return true;
}

static int send_probe(struct lookup *l, const Envwarden__Local__Target *t,
		      const struct resolved *known)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Probe probe = ENVWARDEN__READER__PROBE__INIT;
	char *config[] = {t->xdg_config_home, t->condarc, t->mambarc};

	l->probe = ++l->e->next_id;
	probe.id = l->probe;
	probe.candidates = (char **)known->candidates;
	probe.n_candidates = known->n < LIMIT_CANDIDATES ? known->n : LIMIT_CANDIDATES;
	probe.typed = t->typed;
	probe.kind = (uint32_t)kind_of(t);
	probe.cwd = t->cwd;
	probe.conda_prefix = t->conda_prefix;
	probe.root_prefix = t->root_prefix;
	probe.asker = (is_mamba(t) ? ENVWARDEN__READER__PROBE_ASKER__ASKER_MAMBA : 0) |
		      (t->base_read_only ? ENVWARDEN__READER__PROBE_ASKER__ASKER_READ_ONLY : 0);
	probe.envs_dirs = t->envs_dirs;
	probe.n_envs_dirs = t->n_envs_dirs;
	probe.uid = l->uid;
	probe.home = t->home;
	probe.config = config;
	probe.n_config = *config[0] || *config[1] || *config[2] ? ARRAY_SIZE(config) : 0;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_PROBE;
	envelope.probe = &probe;
	return link_send(l->e->link, &envelope);
}

static void hold_known(struct lookup *l, const struct meant *found)
{
	for (size_t i = 0; i < found->all.n && l->held == NULL; i++)
		if (envs_by_path(&l->e->envs, found->all.candidates[i]) != NULL) {
			l->held = (char *)found->all.candidates[i];
			l->held_guessed = i >= found->own;
		}
}

/* What a command says that was given a name of several: NULL if there are not. */
static const char *tell_several(struct lookup *l, const struct resolved *known)
{
	size_t living = 0;
	struct buf text;
	const char *told = NULL;

	if (known->n < 2)
		return NULL;
	buf_init(&text, LIMIT_TEXT - 1);
	buf_adds(&text, "several environments have this name; give the path of one:");
	for (size_t i = 0; i < known->n; i++) {
		const struct env *env = envs_by_path(&l->e->envs, known->candidates[i]);

		if (env == NULL || !env->lives)
			continue;
		living++;
		if (text.len + strlen(env->prefix) < LIMIT_TEXT - 8)
			buf_addf(&text, " %s", env->prefix);
		else if (buf_rc(&text) == 0 && strcmp(buf_cstr(&text) + text.len - 3, "...") != 0)
			buf_adds(&text, " ...");
	}
	if (living > 1)
		told = arena_strdup(&l->arena, buf_cstr(&text));
	buf_deinit(&text);
	return told;
}

static void refuse(lookup_cb done, void *ctx, int rc, const char *error)
{
	done(ctx, &(struct lookup_result){
			  .rc = rc, .error = error, .prefix = "", .named = "", .notice = ""});
}

void checks_lookup(struct engine *e, uint32_t uid, const Envwarden__Local__Target *target,
		   lookup_cb done, void *ctx)
{
	static char none[] = "";
	struct checks *all = e->checks;
	struct lookup *l = all->n < LOOKUPS_MAX ? mem_calloc(1, sizeof *l) : NULL;
	struct meant found;
	struct err err = ERR_INIT;
	int rc;

	if (l == NULL) {
		refuse(done, ctx, ERR_BUSY, "the agent is busy, try again");
		return;
	}
	*l = (struct lookup){.e = e,
			     .uid = uid,
			     .done = done,
			     .ctx = ctx,
			     .deadline_ms = engine_mono(e) + DEADLINE_MS};
	arena_init(&l->arena, LOOKUP_MEMORY_MAX);
	rc = target != NULL ? find_candidates(l, target, &found, &err)
			    : err_set(&err, ERR_INVALID, "no target");
	if (rc < 0) {
		refuse(done, ctx, rc, err.text);
		arena_deinit(&l->arena);
		mem_free(l);
		return;
	}
	l->prefix = found.all.n > 0 ? (char *)found.all.candidates[0] : none;
	l->named = arena_strdup(&l->arena, *target->typed ? target->typed : target->conda_prefix);
	if (l->named == NULL)
		l->named = none;
	hold_known(l, &found);
	l->several = tell_several(l, &found.known);
	l->sole = found.all.n == 1;
	*all->last = l;
	all->last = &l->next;
	all->n++;
	if (e->link == NULL || !engine_logging(e))
		finish_unprobed(l, engine_logging(e) ? notice_blind : NULL);
	else if (needs_no_probe(l, target))
		finish(l, 0, NULL);
	else if (send_probe(l, target, &found.known) < 0)
		finish_unprobed(l, notice_blind);
	if (all->first != NULL && !uv_is_active((uv_handle_t *)&all->timer))
		arm(e);
}

/* --- decisions --- */

/* The one who asks may read it for us. */
static void want_report(struct engine *e, uint32_t uid, const struct lookup_result *result,
			struct decision_reply *reply)
{
	reply->report_wanted =
		result->unreadable && report_welcome(e, uid, result->env, result->prefix);
	if (reply->report_wanted && result->env == NULL && result->sole)
		report_missed(e, uid, result->prefix);
}

/* What its member did about it before, and what came of that. */
static const char *notice_of_past(const struct engine *e, const struct env *env, uint32_t uid,
				  struct arena *arena)
{
	const char *notice = asking_notice(e, env, uid, arena);

	return *notice == '\0' && engine_may_see(e, uid, env) ? grace_notice(e, env, arena)
							      : notice;
}

enum asker {
	ASKER_HAND, /* somebody, or a script, wants to know */
	ASKER_GATE,
	ASKER_UNSEEN /* the gate, of what is active for one who may not be able to see it */
};

/*
 * By hand, where no environment can have that name, it is told that there is none; the gate is told
 * that nothing was decided, since its tool may see more in a name.
 */
static void answer_check(struct local_call *call, const struct lookup_result *result,
			 enum asker asker)
{
	bool absent =
		result->rc == ERR_NOTFOUND || (asker == ASKER_HAND && result->rc == ERR_INVALID);
	struct engine *e = local_call_data(call);
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	struct decision_reply reply;
	struct arena *arena = &e->checks->reply;

	if (result->rc < 0 && !absent) {
		local_call_fail(call, result->rc, result->error);
		return;
	}
	if (engine_decide(e, result->env, result->prefix, arena, &reply) < 0)
		goto nomem;
	if (result->late && result->env == NULL && result->rc == 0 &&
	    deciding_on_timeout(e, arena, &reply.decision) < 0)
		goto nomem;
	want_report(e, local_call_uid(call), result, &reply);
	reply.proof_wanted = asker == ASKER_UNSEEN;
	reply.absent = absent;
	reply.notice = !absent		       ? result->notice
		       : result->error != NULL ? result->error
					       : "There is no such environment.";
	if (*reply.notice == '\0' && result->env != NULL)
		reply.notice = notice_of_past(e, result->env, local_call_uid(call), arena);
	if (decision_to_wire(&reply, arena, &answer.decision) < 0)
		goto nomem;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION;
	local_call_end(call, &answer);
	arena_reset(arena);
	return;

nomem:
	local_call_fail(call, ERR_NOMEM, "the agent is out of memory");
	arena_reset(arena);
}

static void check_found(void *ctx, const struct lookup_result *result)
{
	answer_check(ctx, result, ASKER_HAND);
}

static bool found_living(const struct lookup_result *result)
{
	return result->rc == 0 && result->env != NULL && result->env->lives;
}

/* An answer to the gate, as somebody activates; what people or scripts ask by hand is no use. */
static void interactive_found(void *ctx, const struct lookup_result *result)
{
	struct engine *e = local_call_data(ctx);

	bool lives = found_living(result);
	bool blocked = lives && ruling_action(&result->env->ruling) == ACTION_BLOCK;

	/* First the answer: it may be about its not having been used. */
	answer_check(ctx, result, ASKER_GATE);
	if (lives)
		telling_checked(e, result->env);
	if (lives && !blocked)
		use_note(e, result->env);
}

/*
 * The same for one that is active already, past the gate: nobody was refused, it is in use. That is
 * the asker's word, so it counts only for those who may see the environment, and as theirs.
 */
static void note_active(struct engine *e, struct env *env, uint32_t uid)
{
	if (ruling_action(&env->ruling) == ACTION_BLOCK)
		ran_seen(
			e, env,
			&(struct ran_sight){.uid = uid, .how = RAN_SHELL, .started_ms = INT64_MAX});
	else
		telling_checked(e, env);
	use_note(e, env);
}

static void active_found(void *ctx, const struct lookup_result *result)
{
	struct engine *e = local_call_data(ctx);
	uint32_t uid = local_call_uid(ctx); /* the answer ends the call */
	bool lives = found_living(result);
	bool sees = lives && engine_may_see(e, uid, result->env);

	answer_check(ctx, result, lives && !sees ? ASKER_UNSEEN : ASKER_GATE);
	if (sees)
		note_active(e, result->env, uid);
}

static void active_proved(struct local_call *call, struct env *env)
{
	if (env != NULL && env->lives)
		note_active(local_call_data(call), env, local_call_uid(call));
	local_call_end(call, NULL);
}

/* It was answered before; this is for those who could not show then that they may see it. */
static void proving_found(void *ctx, const struct lookup_result *result)
{
	if (found_living(result))
		request_access(local_call_data(ctx), ctx, result->env, true, active_proved);
	else
		local_call_end(ctx, NULL);
}

void checks_handle(void *ctx, struct local_call *call, const Envwarden__Local__CheckRequest *m)
{
	lookup_cb done = check_found;

	if (m->interactive && m->active)
		done = m->can_prove ? proving_found : active_found;
	else if (m->interactive)
		done = interactive_found;
	local_call_set_data(call, ctx);
	checks_lookup(ctx, local_call_uid(call), m->target, done, call);
}

/* --- life --- */

int checks_start(struct engine *e)
{
	e->checks = mem_calloc(1, sizeof *e->checks);
	if (e->checks == NULL)
		return ERR_NOMEM;
	e->checks->last = &e->checks->first;
	arena_init(&e->checks->reply, LOOKUP_MEMORY_MAX);
	CHECK(uv_timer_init(&e->loop, &e->checks->timer) == 0);
	e->checks->timer.data = e;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct engine *e = handle->data;

	arena_deinit(&e->checks->reply);
	mem_free(e->checks);
	e->checks = NULL;
}

void checks_stop(struct engine *e)
{
	checks_link_lost(e);
	uv_close((uv_handle_t *)&e->checks->timer, on_timer_closed);
}
