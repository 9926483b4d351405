/*
 * What the server is told of decisions, as evidence of rules and statuses: a report with those
 * environments whose decision or counters have changed. New decisions go at once, counters once a
 * minute at most; what was not acknowledged goes again. The counters are written with them, so that
 * no check writes to the disk.
 */
#include <string.h>

#include "agent/counts.h"
#include "agent/engine.h"
#include "agent/said.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

#define TELL_MS 60000
#define ENVIRONMENTS_MAX 4096 /* in one report */
#define REPORT_MEMORY_MAX (16u << 20)

/* --- how it is now ------------------------------------------------------------------------ */

/* Which decision it is, in 8 bytes; zeroes: allowed, and nothing to tell. */
static void fingerprint(const struct ruling *r, unsigned char out[8])
{
	const struct kept_decision *kept = r->kept;
	unsigned char digest[SHA256_SIZE];
	struct sha256 h;

	memset(out, 0, 8);
	if (kept == NULL && r->deferred_until_ms == 0 && r->unlocked_serial == 0)
		return;
	sha256_init(&h);
	sha256_update(&h, &r->deferred_until_ms, sizeof r->deferred_until_ms);
	sha256_update(&h, &r->unlocked_serial, sizeof r->unlocked_serial);
	if (kept != NULL) {
		sha256_update(&h, &kept->action, sizeof kept->action);
		sha256_update(&h, kept->case_code, sizeof kept->case_code);
		for (size_t i = 0; i < kept->n_reasons; i++)
			sha256_update(&h, &kept->reasons[i].action, sizeof kept->reasons[i].action);
		for (size_t i = 0; i < kept->n_monitored; i++)
			sha256_update(&h, kept->monitored[i].id, strlen(kept->monitored[i].id) + 1);
	}
	sha256_final(&h, digest);
	memcpy(out, digest, 8);
}

/* --- the report --------------------------------------------------------------------------- */

struct report {
	struct engine *e;
	struct arena arena;
	Envwarden__Sync__EnvironmentDecision **list;
	size_t n;
	size_t bytes;
	bool full;
	int rc;
};

/* Without messages and fixes: the server has those. */
static int reasons_to_report(struct arena *arena, const struct reason *from, size_t n,
			     Envwarden__Reason ***out)
{
	Envwarden__Reason **list = arena_calloc(arena, n + 1, sizeof *list);

	for (size_t i = 0; list != NULL && i < n; i++) {
		list[i] = arena_alloc(arena, sizeof *list[i]);
		if (list[i] == NULL)
			return ERR_NOMEM;
		envwarden__reason__init(list[i]);
		list[i]->kind = wire_text(from[i].kind);
		list[i]->id = wire_text(from[i].id);
		list[i]->action = action_to_wire(from[i].action);
		list[i]->block_from_ms = from[i].block_from_ms;
		if (from[i].package != NULL &&
		    package_to_wire(from[i].package, arena, &list[i]->package) < 0)
			return ERR_NOMEM;
	}
	*out = list;
	return list != NULL ? 0 : ERR_NOMEM;
}

static int fill(struct report *report, const struct env *env,
		Envwarden__Sync__EnvironmentDecision *wire)
{
	const struct engine *e = report->e;
	const struct ruling *r = &env->ruling;
	const struct grace *code = grace_code(e, env);

	envwarden__sync__environment_decision__init(wire);
	wire->environment = wire_uuid(&env->id);
	wire->action = action_to_wire(ruling_action(r));
	wire->policy_version = state_version(e, TRUST_POLICY);
	wire->status_version = state_version(e, TRUST_STATUS);
	wire->decided_ms = r->decided_ms;
	wire->checks = r->checks;
	wire->warnings = r->warnings;
	wire->refusals = r->refusals;
	wire->runs_after_block = r->runs_after_block;
	wire->deferred_until_ms = r->deferred_until_ms;
	wire->unlocked_serial = code != NULL ? code->serial : 0;
	if (r->kept == NULL)
		return 0;
	wire->case_code = r->kept->case_code;
	wire->n_reasons = r->kept->n_reasons;
	wire->n_monitored = r->kept->n_monitored;
	if (reasons_to_report(&report->arena, r->kept->reasons, r->kept->n_reasons,
			      &wire->reasons) < 0)
		return ERR_NOMEM;
	return reasons_to_report(&report->arena, r->kept->monitored, r->kept->n_monitored,
				 &wire->monitored);
}

static void add(void *ctx, struct env *env)
{
	struct report *report = ctx;
	Envwarden__Sync__EnvironmentDecision *wire;

	if (!env->lives || !env->ruling.untold || !env->ruling.known || report->rc < 0 ||
	    report->full)
		return;
	wire = arena_alloc(&report->arena, sizeof *wire);
	report->rc = wire != NULL ? fill(report, env, wire) : ERR_NOMEM;
	if (report->rc < 0)
		return;
	report->bytes += codec_size(&wire->base) + CODEC_ITEM_EXTRA;
	report->full = report->bytes > LIMIT_SYNC_CHUNK || report->n == ENVIRONMENTS_MAX;
	if (report->full && report->n > 0)
		return;
	report->list[report->n++] = wire;
	env->ruling.telling = true;
}

static void went(void *ctx, struct env *env)
{
	bool sent = *(const bool *)ctx;

	if (!env->ruling.telling)
		return;
	env->ruling.untold = !sent;
	env->ruling.telling = sent;
}

/* The server has to know of the environment first, and nothing leaves while logging is off. */
static bool may_tell(const struct engine *e)
{
	return syncing_client(e) != NULL && syncing_connected(e) && state_logging(e) &&
	       e->journal.acked == e->journal.head && e->telling_number == 0;
}

void telling_go(struct engine *e)
{
	struct report report = {.e = e};
	Envwarden__Sync__DecisionReport message = ENVWARDEN__SYNC__DECISION_REPORT__INIT;
	bool sent = false;

	if (e->stopping)
		return;
	asking_go(e); /* under the same conditions */
	if (!may_tell(e))
		return;
	arena_init(&report.arena, REPORT_MEMORY_MAX);
	report.list = arena_calloc(&report.arena, ENVIRONMENTS_MAX, sizeof *report.list);
	if (report.list != NULL)
		envs_each(&e->envs, add, &report);
	ran_report(e, &report.arena, &message);
	graces_report(e, &report.arena, &message);
	if (report.n > 0 || message.n_runs > 0 || message.n_used > 0) {
		message.number = ++e->told_number;
		message.environments = report.list;
		message.n_environments = report.n;
		message.checks = e->checks_made;
		sent = sync_decisions(syncing_client(e), &message);
		e->telling_number = sent ? message.number : 0;
	}
	envs_each(&e->envs, went, &sent);
	ran_reported(e, sent);
	graces_reported(e, sent);
	arena_deinit(&report.arena);
}

static void heard(void *ctx, struct env *env)
{
	(void)ctx;
	if (!env->ruling.telling)
		return;
	env->ruling.telling = false;
	env->ruling.counted = true;
	fingerprint(&env->ruling, env->ruling.told);
}

static void tell_again(void *ctx, struct env *env)
{
	(void)ctx;
	env->ruling.untold = env->ruling.untold || env->ruling.telling;
	env->ruling.telling = false;
}

/* Where it is looked more often than once a minute it is told as often. */
void telling_soon(struct engine *e)
{
	uint64_t sweep_ms = (uint64_t)e->config.sweep_s * 1000;

	if (e->enrolled && !e->stopping && !uv_is_active((uv_handle_t *)&e->tell_timer))
		uv_timer_start(&e->tell_timer, telling_on_time,
			       sweep_ms < TELL_MS ? sweep_ms : TELL_MS, 0);
}

void telling_acked(struct engine *e, uint64_t number)
{
	if (number != e->telling_number)
		return;
	e->telling_number = 0;
	envs_each(&e->envs, heard, NULL);
	ran_acked(e);
	graces_acked(e);
	telling_soon(e);
	telling_go(e);
}

void telling_lost(struct engine *e)
{
	e->telling_number = 0;
	envs_each(&e->envs, tell_again, NULL);
	ran_reported(e, false);
	graces_reported(e, false);
}

static void count_anew(void *ctx, struct env *env)
{
	struct ruling *r = &env->ruling;

	(void)ctx;
	r->checks = r->warnings = r->refusals = r->runs_after_block = 0;
	r->untold = r->telling = false;
	r->counted = true; /* so that this is kept */
	memset(r->told, 0, sizeof r->told);
}

void telling_forget(struct engine *e)
{
	e->telling_number = 0;
	e->checks_made = 0;
	envs_each(&e->envs, count_anew, NULL);
	ran_forget(e);
}

/* --- what happens ------------------------------------------------------------------------- */

/* True: whether it is blocked is another than before. */
static bool note_block(const struct engine *e, struct ruling *r)
{
	bool blocks = ruling_action(r) == ACTION_BLOCK;

	if (blocks == (r->blocked_ms != 0))
		return false;
	r->blocked_ms = blocks ? engine_mono(e) : 0;
	return true;
}

void telling_decided(struct engine *e, struct env *env)
{
	unsigned char now[8];

	env->ruling.decided_ms = engine_trusted(e);
	if (note_block(e, &env->ruling)) {
		env->ruling.counted = true;
		e->blocks_changed = true;
	}
	fingerprint(&env->ruling, now);
	/* What is being told right now may be outdated by this. */
	if (memcmp(now, env->ruling.told, sizeof now) != 0 || env->ruling.telling)
		env->ruling.untold = true;
}

void telling_settled(struct engine *e)
{
	/* Whoever starts a program now is to be told from who did before, also after a restart. */
	if (e->blocks_changed) {
		telling_save(e);
		ran_look(e);
	}
	e->blocks_changed = false;
	telling_go(e);
}

void telling_counted(struct engine *e, struct env *env)
{
	env->ruling.counted = true;
	env->ruling.untold = true;
	telling_soon(e);
}

void telling_checked(struct engine *e, struct env *env)
{
	struct ruling *r = &env->ruling;

	e->checks_made++;
	r->checks++;
	r->warnings += ruling_action(r) == ACTION_WARN;
	r->refusals += ruling_action(r) == ACTION_BLOCK;
	telling_counted(e, env);
}

/* --- kept --------------------------------------------------------------------------------- */

struct counts_job {
	struct job job;
	struct buf bytes;
};

static void counts_run(struct job *job)
{
	struct counts_job *c = container_of(job, struct counts_job, job);

	job->rc = store_kv_put(job->e->store, ENGINE_KEY_COUNTS, c->bytes.data, c->bytes.len,
			       &job->err);
}

static void counts_done(struct job *job)
{
	struct counts_job *c = container_of(job, struct counts_job, job);

	if (job->rc < 0) /* a loss of minutes; the next ones are written with them */
		log_warn("decision", "counters not kept", LOG_ERR(&job->err));
	buf_deinit(&c->bytes);
	mem_free(c);
}

static void look_for_counted(void *ctx, struct env *env)
{
	*(bool *)ctx = *(bool *)ctx || env->ruling.counted;
}

void telling_save(struct engine *e)
{
	struct counts_job *c;
	bool counted = false;

	envs_each(&e->envs, look_for_counted, &counted);
	c = counted && !e->adopting ? mem_calloc(1, sizeof *c) : NULL;
	if (c == NULL)
		return;
	buf_init(&c->bytes, STORE_VALUE_MAX);
	counts_encode(&e->envs, &c->bytes);
	if (buf_rc(&c->bytes) < 0) {
		buf_deinit(&c->bytes);
		mem_free(c);
		return;
	}
	c->job.run = counts_run;
	c->job.done = counts_done;
	engine_submit(e, &c->job);
}

void telling_on_time(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	telling_save(e);
	telling_go(e);
}

void telling_start(struct engine *e)
{
	struct buf bytes;

	e->told_number = (uint64_t)engine_trusted(e); /* above all that were told before */
	buf_init(&bytes, STORE_VALUE_MAX);
	if (store_kv_get(e->store, ENGINE_KEY_COUNTS, &bytes, NULL) == 0)
		counts_decode(&e->envs, bytes.data, bytes.len, engine_mono(e));
	buf_deinit(&bytes);
	ran_start(e);
}
