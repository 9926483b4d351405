/*
 * Decisions in the engine: what they are made of handed over, the threads and the timer lent to
 * their making (decisions.h), and answers from what is kept.
 */
#include <string.h>

#include "agent/core/decide.h"
#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define TIMER_MAX_MS (24 * 60 * 60 * 1000) /* of a decision that runs out later than that */

static int64_t on_now(void *ctx)
{
	return engine_trusted(ctx);
}

static int64_t on_last_used(void *ctx, const struct env *env)
{
	return use_last(ctx, env);
}

/* On the store's thread first, then on the decider's. */
struct step_job {
	struct job job;
	struct work work;
	struct decisions_step *step;
};

static void step_load(struct job *job)
{
	decisions_load(container_of(job, struct step_job, job)->step, job->e->store);
}

static void step_make(struct work *work)
{
	decisions_make(container_of(work, struct step_job, work)->step);
}

static void step_made(struct work *work)
{
	struct step_job *s = container_of(work, struct step_job, work);

	decisions_done(s->job.e->decisions, s->step);
	mem_free(s);
}

static void step_loaded(struct job *job)
{
	struct step_job *s = container_of(job, struct step_job, job);
	struct engine *e = job->e;

	if (!e->stopping) {
		worker_submit(e->decider, &s->work);
		return;
	}
	decisions_abandon(e->decisions, s->step);
	mem_free(s);
}

static void submit(void *ctx, struct decisions_step *step)
{
	struct engine *e = ctx;
	struct step_job *s = e->stopping ? NULL : mem_calloc(1, sizeof *s);

	if (s == NULL) {
		decisions_abandon(e->decisions, step);
		return;
	}
	s->step = step;
	s->job.run = step_load;
	s->job.done = step_loaded;
	s->work.run = step_make;
	s->work.done = step_made;
	engine_submit(e, &s->job);
}

static void on_decided(void *ctx, struct env *env, bool changed)
{
	struct engine *e = ctx;

	if (changed && ruling_action(&env->ruling) != ACTION_ALLOW)
		log_info("decision", action_name(ruling_action(&env->ruling)),
			 LOG_STR("prefix", env->prefix),
			 LOG_STR("case", env->ruling.kept->case_code));
	telling_decided(e, env);
	lookups_decided(e, env);
}

static void on_time(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	decisions_time(e->decisions);
}

static void on_settled(void *ctx, bool changed, int64_t next_ms)
{
	struct engine *e = ctx;
	int64_t wait = next_ms - engine_trusted(e);

	if (e->stopping)
		return;
	if (next_ms == INT64_MAX)
		uv_timer_stop(&e->decide_timer);
	else
		uv_timer_start(&e->decide_timer, on_time,
			       (uint64_t)(wait < 1		? 1
					  : wait > TIMER_MAX_MS ? TIMER_MAX_MS
								: wait),
			       0);
	telling_settled(e);
	if (changed || e->fallback_wanted)
		fallback_update(e);
}

static const struct decisions_ops ops = {.now_ms = on_now,
					 .last_used_ms = on_last_used,
					 .submit = submit,
					 .decided = on_decided,
					 .settled = on_settled};

/* --- what they are made of ---------------------------------------------------------------- */

static int64_t fresh_until(const struct engine *e)
{
	const struct rulebook *rules = state_rules(e);
	int64_t confirmed_ms = state_confirmed_ms(e);

	if (rules == NULL || rules->policy.defaults.stale_after_ms == 0 || confirmed_ms == 0)
		return INT64_MAX;
	return confirmed_ms + rules->policy.defaults.stale_after_ms;
}

static void forget_seq(void *ctx, struct env *env)
{
	(void)ctx;
	env->made_seq = 0;
	env->changed_seq = 0;
}

void deciding_state_changed(struct engine *e)
{
	struct orders orders = {.said = state_said(e),
				.rules = state_rules(e),
				.logging = engine_logging(e),
				.fresh_until_ms = fresh_until(e),
				.acked = e->journal.acked};

	if (uuid_cmp(&e->deciding_epoch, &e->journal.epoch) != 0) {
		e->deciding_epoch = e->journal.epoch;
		envs_each(&e->envs, forget_seq, NULL); /* they counted in the epoch before */
	}
	e->fallback_wanted = true; /* whom to ask may differ, if nothing else */
	decisions_orders(e->decisions, &orders);
	decisions_time(e->decisions); /* a new state may tell a later time */
}

static void note_change(struct engine *e, const struct uuid *environment, enum change_kind kind,
			uint64_t seq)
{
	struct env *env = envs_by_id(&e->envs, environment);

	if (env == NULL || kind == CHANGE_DELETED)
		return;
	env->changed_seq = seq;
	decisions_changed(e->decisions, env);
	if (kind == CHANGE_CREATED || kind == CHANGE_CLONED || kind == CHANGE_RECREATED)
		env->made_seq = seq;
}

/* What is blocked is not there any more. */
static void look_elsewhere(struct engine *e, const struct uuid *environment)
{
	const struct env *env = envs_by_id(&e->envs, environment);

	if (env != NULL && env->ruling.blocked_ms != 0)
		ran_look(e);
}

void deciding_applied(struct engine *e, const struct applied *applied)
{
	if (applied->changed)
		note_change(e, &applied->environment, applied->kind, applied->seq);
	if (applied->changed &&
	    (applied->kind == CHANGE_DELETED || applied->kind == CHANGE_RENAMED))
		look_elsewhere(e, &applied->environment);
	decisions_pump(e->decisions);
}

/*
 * Conditions that ask how long it has not been used change their answer by this if that was long
 * enough for some of them: "unused_for" holds no longer, and its "not" does from now on.
 */
void deciding_used(struct engine *e, struct env *env, int64_t before_ms)
{
	const struct rulebook *rules = state_rules(e);
	int64_t since_ms = before_ms != 0 ? before_ms : env->created_ms;

	if (rules != NULL && engine_trusted(e) - since_ms >= rules->unused_for_ms)
		decisions_again(e->decisions, env);
}

/* --- answers ------------------------------------------------------------------------------ */

bool deciding_fresh(const struct engine *e, const struct env *env)
{
	return !env->lives || ruling_fresh(&env->ruling, engine_trusted(e));
}

int deciding_on_timeout(struct engine *e, struct arena *arena, struct decision *out)
{
	const struct rulebook *rules = state_rules(e);
	struct reason *room = arena_alloc(arena, sizeof *room);

	if (room == NULL)
		return ERR_NOMEM;
	decide_on_timeout(rules != NULL && engine_logging(e) ? rules->policy.defaults.on_timeout
							     : ACTION_ALLOW,
			  room, out);
	return 0;
}

static int from_ruling(struct engine *e, const struct ruling *ruling, struct arena *arena,
		       struct decision *out)
{
	const struct kept_decision *kept = ruling->kept;

	if (!ruling->known)
		return deciding_on_timeout(e, arena, out);
	*out = (struct decision){.action = ruling_action(ruling),
				 .valid_until_ms = ruling->valid_until_ms};
	if (kept == NULL)
		return 0;
	out->reasons = kept->reasons;
	out->n_reasons = kept->n_reasons;
	memcpy(out->case_code, kept->case_code, sizeof out->case_code);
	return 0;
}

int engine_decide(struct engine *e, const struct env *env, const char *prefix, struct arena *arena,
		  struct decision_reply *out)
{
	const char *slash = strrchr(prefix, '/');
	int rc = 0;

	decision_reply_init(out);
	out->decision.valid_until_ms = INT64_MAX;
	if (env != NULL && env->lives)
		rc = from_ruling(e, &env->ruling, arena, &out->decision);
	if (env != NULL)
		out->environment = env->id;
	out->name = env != NULL ? env_name(env) : slash != NULL ? slash + 1 : prefix;
	out->prefix = env != NULL ? env->prefix : prefix;
	out->policy_version = state_version(e, TRUST_POLICY);
	out->source = "agent";
	out->contact = state_contact(e);
	return rc;
}

/* --- life --------------------------------------------------------------------------------- */

static int recall_change(void *ctx, const struct store_change *stored)
{
	const struct change *change = &stored->change;

	note_change(ctx, &change->environment, change->kind, change->seq);
	return 0;
}

/*
 * What the server may not know yet of the environments, as it was before the agent ended: a copy of
 * a blocked one stays blocked over a restart. Not by store_unacked, which takes them as sent.
 */
static void recall_unacked(struct engine *e)
{
	const struct store_history_query query = {.after_epoch_no = e->journal.epoch_no,
						  .after_seq = e->journal.acked,
						  .since_ms = INT64_MIN};
	struct err err = ERR_INIT;

	if (e->journal.head > e->journal.acked &&
	    store_history(e->store, &query, recall_change, e, &err) < 0)
		log_warn("decision", "copies of blocked environments may be allowed",
			 LOG_ERR(&err));
}

int deciding_start(struct engine *e)
{
	int rc = decisions_new(&e->envs, &ops, e, &e->decisions);

	if (rc < 0)
		return rc;
	e->deciding_epoch = e->journal.epoch;
	recall_unacked(e);
	return 0;
}

void deciding_stop(struct engine *e)
{
	decisions_free(e->decisions);
	e->decisions = NULL;
}
