/*
 * What members were granted on the spot (grace_list.h). Kept as one setting of the store, durable
 * before it counts. The server is told of each code that was used with the reports of decisions
 * (telling.c), until one of them is acknowledged; how far that got is a setting of its own.
 */
#include <stdio.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

#define DAY_CHARS 10 /* of a time's text: its day */

static void apply_grace(struct engine *e, const struct grace *grace)
{
	struct env *env = envs_by_id(&e->envs, &grace->environment);
	struct ruling *r;

	if (env == NULL)
		return;
	r = &env->ruling;
	if (grace->case_code[0] != '\0') {
		r->deferred_until_ms = grace->until_ms;
		memcpy(r->deferred_case, grace->case_code, sizeof r->deferred_case);
	} else {
		r->unlocked_until_ms = grace->until_ms;
		r->unlocked_serial = grace->serial;
		r->unlocked_status = grace->lifts_status;
	}
	r->due = true;
}

/* --- kept --------------------------------------------------------------------------------- */

struct grace_job {
	struct job job;
	struct buf bytes;
	struct grace_list all; /* with the new one, the last */
	grace_cb done;
	void *ctx;
};

static void grace_run(struct job *job)
{
	struct grace_job *g = container_of(job, struct grace_job, job);

	job->rc = store_kv_put(job->e->store, ENGINE_KEY_GRACES, g->bytes.data, g->bytes.len,
			       &job->err);
}

static void grace_done(struct job *job)
{
	struct grace_job *g = container_of(job, struct grace_job, job);
	struct engine *e = job->e;

	e->grace_giving = false;
	if (job->rc == 0) {
		grace_list_deinit(&e->graces);
		e->graces = g->all;
		g->all = (struct grace_list){.n = 0};
		apply_grace(e, &e->graces.items[e->graces.n - 1]);
		decisions_pump(e->decisions);
	} else {
		log_error("decision", "grace not kept", LOG_ERR(&job->err));
	}
	g->done(g->ctx, job->rc);
	grace_list_deinit(&g->all);
	buf_deinit(&g->bytes);
	mem_free(g);
}

static int fill(struct engine *e, struct grace_job *g, const struct grace *grace)
{
	int rc = grace_list_copy(&e->graces, &g->all);

	if (rc == 0)
		rc = grace_list_add(&g->all, grace);
	buf_init(&g->bytes, STORE_VALUE_MAX);
	if (rc == 0)
		grace_list_encode(&g->all, &g->bytes);
	return rc < 0 ? rc : buf_rc(&g->bytes);
}

int grace_give(struct engine *e, const struct grace *grace, grace_cb done, void *ctx)
{
	struct grace_job *g;

	if (e->grace_giving || e->adopting)
		return ERR_BUSY;
	g = mem_calloc(1, sizeof *g);
	if (g == NULL || fill(e, g, grace) < 0) {
		if (g != NULL) {
			grace_list_deinit(&g->all);
			buf_deinit(&g->bytes);
		}
		mem_free(g);
		return ERR_NOMEM;
	}
	g->done = done;
	g->ctx = ctx;
	g->job.run = grace_run;
	g->job.done = grace_done;
	e->grace_giving = true;
	engine_submit(e, &g->job);
	return 0;
}

static int recall(struct engine *e, const struct buf *bytes, struct err *err)
{
	int rc = grace_list_decode(&e->graces, bytes->data, bytes->len);

	if (rc == ERR_NOMEM)
		return err_nomem(err);
	if (rc < 0)
		return err_set(err, rc, "graces: not as this version keeps them");
	for (size_t i = 0; i < e->graces.n; i++)
		apply_grace(e, &e->graces.items[i]);
	return 0;
}

static void recall_told(struct engine *e)
{
	struct buf bytes;
	struct rd rd;

	buf_init(&bytes, sizeof e->graces_told);
	if (store_kv_get(e->store, ENGINE_KEY_GRACES_TOLD, &bytes, NULL) == 0) {
		rd_init(&rd, bytes.data, bytes.len);
		e->graces_told = grace_list_told(&e->graces, rd_u32(&rd));
	}
	buf_deinit(&bytes);
}

int graces_start(struct engine *e, struct err *err)
{
	struct err why = ERR_INIT;
	struct buf bytes;
	int rc;

	buf_init(&bytes, STORE_VALUE_MAX);
	rc = store_kv_get(e->store, ENGINE_KEY_GRACES, &bytes, &why);
	if (rc == 0)
		rc = recall(e, &bytes, &why);
	buf_deinit(&bytes);
	/* Without them blocks hold again, and the next one given would take the place of all. */
	if (rc == ERR_NOMEM)
		return err_nomem(err);
	if (rc < 0 && rc != ERR_NOTFOUND)
		log_warn("decision", "graces and codes used are forgotten", LOG_ERR(&why));
	recall_told(e);
	return 0;
}

/* --- in use ------------------------------------------------------------------------------- */

const struct grace *grace_deferral(const struct engine *e, const struct env *env)
{
	const struct ruling *r = &env->ruling;
	bool holds = r->deferred_until_ms > engine_trusted(e) && r->kept != NULL &&
		     strcmp(r->kept->case_code, r->deferred_case) == 0;

	return holds ? grace_list_find(&e->graces, &env->id, r->deferred_case) : NULL;
}

const struct grace *grace_code(const struct engine *e, const struct env *env)
{
	const struct said *said = state_said(e);
	const struct ruling *r = &env->ruling;
	bool holds = said != NULL && r->unlocked_until_ms > engine_trusted(e) &&
		     !said_revoked(said, r->unlocked_serial);

	return holds ? grace_list_find(&e->graces, &env->id, "") : NULL;
}

const char *grace_notice(const struct engine *e, const struct env *env, struct arena *arena)
{
	const struct ruling *r = &env->ruling;
	char day[CLOCK_TEXT_MAX], text[64 + CLOCK_TEXT_MAX];
	const char *notice;

	if (ruling_action(r) != ACTION_BLOCK || r->unlocked_until_ms == 0 ||
	    engine_trusted(e) < r->unlocked_until_ms)
		return "";
	clock_format(r->unlocked_until_ms, day);
	(void)snprintf(text, sizeof text, "The unlock code that was used ended on %.*s.", DAY_CHARS,
		       day);
	notice = arena_strdup(arena, text);
	return notice != NULL ? notice : "";
}

static void take_back(void *ctx, struct env *env)
{
	struct ruling *r = &env->ruling;

	(void)ctx;
	r->deferred_until_ms = r->unlocked_until_ms = 0;
	r->deferred_case[0] = '\0';
	r->unlocked_serial = 0;
	r->unlocked_status = false;
}

void graces_forget(struct engine *e)
{
	graces_free(e);
	e->graces_told = e->graces_telling = 0;
	envs_each(&e->envs, take_back, NULL);
}

void graces_free(struct engine *e)
{
	grace_list_deinit(&e->graces);
}

/* --- shown -------------------------------------------------------------------------------- */

static Envwarden__Person *who_of(struct engine *e, const struct grace *grace, struct arena *arena)
{
	Envwarden__Person *who = arena_alloc(arena, sizeof *who);

	if (who == NULL)
		return NULL;
	envwarden__person__init(who);
	who->uid = grace->uid != GRACE_NOBODY ? (int64_t)grace->uid : -1;
	who->name = wire_text(who->uid >= 0 ? engine_account(e, grace->uid, arena) : "");
	return who;
}

static int show_one(struct engine *e, const struct grace *grace, struct arena *arena,
		    Envwarden__Grace **out)
{
	Envwarden__Grace *to;

	if (grace == NULL)
		return 0;
	to = arena_alloc(arena, sizeof *to);
	if (to == NULL)
		return ERR_NOMEM;
	envwarden__grace__init(to);
	to->who = who_of(e, grace, arena);
	to->until_ms = grace->until_ms;
	to->given_ms = grace->given_ms;
	to->case_code = arena_strdup(arena, grace->case_code);
	to->serial = grace->serial;
	to->lifts_status = grace->lifts_status;
	*out = to;
	return to->who != NULL && to->case_code != NULL ? 0 : ERR_NOMEM;
}

int graces_show(struct engine *e, const struct env *env, struct arena *arena,
		Envwarden__Environment *to)
{
	int rc = show_one(e, grace_deferral(e, env), arena, &to->deferred);

	return rc < 0 ? rc : show_one(e, grace_code(e, env), arena, &to->unlocked);
}

/* --- told --------------------------------------------------------------------------------- */

void graces_report(struct engine *e, struct arena *arena, Envwarden__Sync__DecisionReport *to)
{
	const struct grace *codes[LIMIT_USED_CODES];
	size_t n = grace_list_codes(&e->graces, e->graces_told, codes, LIMIT_USED_CODES);

	e->graces_telling = 0;
	to->used = n > 0 ? arena_calloc(arena, n, sizeof *to->used) : NULL;
	for (size_t i = 0; to->used != NULL && i < n; i++) {
		Envwarden__Sync__UsedCode *code = arena_alloc(arena, sizeof *code);
		Envwarden__Person *who = who_of(e, codes[i], arena);

		if (code == NULL || who == NULL)
			return; /* they wait for the next time */
		envwarden__sync__used_code__init(code);
		code->environment = wire_uuid(&codes[i]->environment);
		code->serial = codes[i]->serial;
		code->used_ms = codes[i]->given_ms;
		code->who = who;
		to->used[to->n_used++] = code;
		e->graces_telling = codes[i]->number;
	}
}

void graces_reported(struct engine *e, bool sent)
{
	if (!sent)
		e->graces_telling = 0;
}

struct told_job {
	struct job job;
	struct buf bytes;
};

static void told_run(struct job *job)
{
	struct told_job *t = container_of(job, struct told_job, job);

	job->rc = store_kv_put(job->e->store, ENGINE_KEY_GRACES_TOLD, t->bytes.data, t->bytes.len,
			       &job->err);
}

static void told_done(struct job *job)
{
	struct told_job *t = container_of(job, struct told_job, job);

	if (job->rc < 0)
		log_warn("decision", "that codes were told is not kept", LOG_ERR(&job->err));
	buf_deinit(&t->bytes);
	mem_free(t);
}

/* If it is not kept they are told again after the next start, and the server knows them. */
static void save_told(struct engine *e)
{
	struct told_job *t = e->adopting ? NULL : mem_calloc(1, sizeof *t);

	if (t == NULL)
		return;
	buf_init(&t->bytes, sizeof e->graces_told);
	buf_add_u32(&t->bytes, e->graces_told);
	t->job.run = told_run;
	t->job.done = told_done;
	engine_submit(e, &t->job);
}

void graces_acked(struct engine *e)
{
	if (e->graces_telling == 0)
		return;
	e->graces_told = e->graces_telling;
	e->graces_telling = 0;
	save_told(e);
}

void graces_tell_again(struct engine *e)
{
	e->graces_told = e->graces_telling = 0;
	save_told(e);
}
