/*
 * What was used although it was blocked (ran_list.h): noted when it is seen, in the store before
 * the server is told, told with the reports of decisions (telling.c) until one of them is
 * acknowledged. Nothing is kept with `last_used` off.
 *
 * A member who mends an environment makes it run for a moment. That is no use of it, and is counted
 * apart: what the reader takes for a tool at work, and what runs while the member's own command has
 * announced a repair. Both are claims, so they are told as well, as what they are.
 */
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

/* --- repairs that were announced ---------------------------------------------------------- */

static struct engine_repair *find_repair(struct engine *e, const struct uuid *id, uint32_t uid)
{
	for (size_t i = 0; i < e->n_repairs; i++)
		if (e->repairs[i].uid == uid && uuid_cmp(&e->repairs[i].environment, id) == 0)
			return &e->repairs[i];
	return NULL;
}

static void forget_over(struct engine *e)
{
	int64_t now = engine_mono(e);

	for (size_t i = 0; i < e->n_repairs;)
		if (e->repairs[i].until_ms <= now)
			e->repairs[i] = e->repairs[--e->n_repairs];
		else
			i++;
}

int ran_repair_begins(struct engine *e, const struct env *env, uint32_t uid)
{
	struct engine_repair *r;
	size_t of_uid = 0;

	forget_over(e);
	r = find_repair(e, &env->id, uid);
	for (size_t i = 0; i < e->n_repairs; i++)
		of_uid += e->repairs[i].uid == uid;
	if (r == NULL && (of_uid >= ENGINE_REPAIRS_PER_UID || e->n_repairs == ENGINE_REPAIRS_MAX))
		return ERR_BUSY;
	if (r == NULL)
		r = &e->repairs[e->n_repairs++];
	*r = (struct engine_repair){
		.environment = env->id, .uid = uid, .until_ms = engine_mono(e) + ENGINE_REPAIR_MS};
	return 0;
}

void ran_repair_ends(struct engine *e, const struct env *env, uint32_t uid)
{
	struct engine_repair *r = find_repair(e, &env->id, uid);

	if (r != NULL)
		*r = e->repairs[--e->n_repairs];
}

/* --- kept --------------------------------------------------------------------------------- */

struct ran_job {
	struct job job;
	struct buf bytes;
};

static void save_run(struct job *job)
{
	struct ran_job *r = container_of(job, struct ran_job, job);

	job->rc =
		store_kv_put(job->e->store, ENGINE_KEY_RAN, r->bytes.data, r->bytes.len, &job->err);
}

static void save_done(struct job *job)
{
	struct ran_job *r = container_of(job, struct ran_job, job);

	if (job->rc < 0) /* it is told all the same, and written with what comes next */
		log_warn("decision", "runs after a block not kept", LOG_ERR(&job->err));
	job->e->ran_saving--;
	buf_deinit(&r->bytes);
	mem_free(r);
}

static void save(struct engine *e)
{
	struct ran_job *r = e->adopting ? NULL : mem_calloc(1, sizeof *r);

	if (r == NULL)
		return;
	buf_init(&r->bytes, STORE_VALUE_MAX);
	ran_list_encode(&e->ran, &r->bytes);
	if (buf_rc(&r->bytes) < 0) {
		buf_deinit(&r->bytes);
		mem_free(r);
		return;
	}
	r->job.run = save_run;
	r->job.done = save_done;
	e->ran_saving++;
	engine_submit(e, &r->job);
}

void ran_start(struct engine *e)
{
	struct buf bytes;

	buf_init(&bytes, STORE_VALUE_MAX);
	if (store_kv_get(e->store, ENGINE_KEY_RAN, &bytes, NULL) == 0 &&
	    ran_list_decode(&e->ran, bytes.data, bytes.len) < 0)
		log_warn("decision", "not all runs after a block could be read");
	buf_deinit(&bytes);
	if (use_kept(e) || e->ran.n == 0)
		return;
	ran_forget(e); /* what was kept before it was switched off */
	save(e);
}

void ran_forget(struct engine *e)
{
	e->ran.n = 0;
	e->n_repairs = 0;
}

/* --- seen --------------------------------------------------------------------------------- */

/* Trusted time falls behind with each start of an agent that hears of no server; a clock that is
 * ahead does no harm, since the server believes in no times to come. */
static int64_t use_time(const struct engine *e)
{
	int64_t wall = engine_wall(e), trusted = engine_trusted(e);

	return wall > trusted ? wall : trusted;
}

static const char *const how_names[RAN_HOWS] = {"program", "shell", "repair"};

void ran_seen(struct engine *e, struct env *env, const struct ran_sight *sight)
{
	const struct ruling *r = &env->ruling;
	struct ran_use use = {.environment = env->id,
			      .uid = sight->uid,
			      .how = sight->how,
			      .decision = r->kept,
			      .now_ms = use_time(e)};

	if (!use_kept(e) || ruling_action(r) != ACTION_BLOCK || r->blocked_ms == 0 ||
	    sight->started_ms < r->blocked_ms + RAN_STARTED_SLACK_MS)
		return;
	forget_over(e);
	if (use.how == RAN_PROGRAM && find_repair(e, &env->id, sight->uid) != NULL)
		use.how = RAN_REPAIR;
	if (!ran_list_note(&e->ran, &use))
		return;
	save(e);
	if (use.how != RAN_REPAIR)
		env->ruling.runs_after_block++;
	log_info("decision", "runs although it is blocked", LOG_STR("prefix", env->prefix),
		 LOG_INT("uid", sight->uid), LOG_STR("how", how_names[use.how]));
	telling_counted(e, env);
}

/* --- told --------------------------------------------------------------------------------- */

static int reasons_of(const struct ran *r, struct arena *arena, struct ran_info *out)
{
	const char **list = arena_calloc(arena, LIMIT_RAN_REASONS, sizeof *list);
	char *text = arena_strdup(arena, r->reasons);

	if (list == NULL || text == NULL)
		return ERR_NOMEM;
	for (char *end; (end = strchr(text, '\n')) != NULL && out->n_reasons < LIMIT_RAN_REASONS;
	     text = end + 1) {
		*end = '\0';
		list[out->n_reasons++] = text;
	}
	out->reasons = list;
	return 0;
}

static int info_of(struct engine *e, const struct ran *r, struct arena *arena, struct ran_info *out)
{
	*out = (struct ran_info){
		.environment = r->environment,
		.who = {.name = engine_account(e, r->uid, arena), .uid = r->uid, .how = ""},
		.case_code = r->case_code,
		.first_ms = r->first_ms,
		.last_ms = r->last_ms,
		.programs = r->times[RAN_PROGRAM],
		.shells = r->times[RAN_SHELL],
		.repairs = r->times[RAN_REPAIR]};
	return reasons_of(r, arena, out);
}

const struct ran *ran_newest(const struct engine *e, const struct env *env)
{
	const struct ran *newest = NULL;

	return ran_list_of(&e->ran, &env->id, &newest, 1) > 0 ? newest : NULL;
}

int ran_show(struct engine *e, const struct env *env, struct arena *arena,
	     Envwarden__Environment *to)
{
	const struct ran *list[LIMIT_RAN_SHOWN];
	size_t n = ran_list_of(&e->ran, &env->id, list, LIMIT_RAN_SHOWN);
	struct ran_info *info = arena_calloc(arena, n + 1, sizeof *info);

	to->ran = arena_calloc(arena, n + 1, sizeof *to->ran);
	if (info == NULL || to->ran == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		if (info_of(e, list[i], arena, &info[i]) < 0 ||
		    ran_to_wire(&info[i], arena, &to->ran[to->n_ran++]) < 0)
			return ERR_NOMEM;
	return 0;
}

/* Without memory they wait for the next time. */
static bool add(struct engine *e, const struct ran *r, struct arena *arena,
		Envwarden__RanAfterBlock **out)
{
	struct ran_info *info = arena_alloc(arena, sizeof *info);

	return info != NULL && info_of(e, r, arena, info) == 0 &&
	       ran_to_wire(info, arena, out) == 0;
}

void ran_report(struct engine *e, struct arena *arena, Envwarden__Sync__DecisionReport *to)
{
	Envwarden__RanAfterBlock **list;
	bool untold = false;

	for (size_t i = 0; i < e->ran.n; i++)
		untold = untold || e->ran.items[i].untold;
	if (!untold || !e->ran_taken)
		return;
	if (e->ran_saving > 0) { /* what is told has to be known after any end of this process */
		telling_soon(e);
		return;
	}
	list = arena_calloc(arena, LIMIT_RUNS, sizeof *list);
	for (size_t i = 0; list != NULL && i < e->ran.n && to->n_runs < LIMIT_RUNS; i++) {
		struct ran *r = &e->ran.items[i];

		if (!r->untold || !add(e, r, arena, &list[to->n_runs]))
			continue;
		r->telling = true;
		to->n_runs++;
	}
	to->runs = list;
}

void ran_reported(struct engine *e, bool sent)
{
	for (size_t i = 0; !sent && i < e->ran.n; i++)
		e->ran.items[i].telling = false;
}

void ran_acked(struct engine *e)
{
	bool changed = false;

	for (size_t i = 0; i < e->ran.n; i++) {
		struct ran *r = &e->ran.items[i];

		if (!r->telling)
			continue;
		r->telling = r->untold = false;
		changed = true;
	}
	if (changed)
		save(e);
}

void ran_tell_again(struct engine *e)
{
	for (size_t i = 0; i < e->ran.n; i++)
		e->ran.items[i].untold = true;
}
