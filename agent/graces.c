/*
 * What members were granted on the spot: graces taken (one for an environment and a case), and
 * unlock codes used. Kept as one setting of the store, durable before it counts.
 */
#include <stdio.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define GRACES_VERSION 1
#define GRACES_MAX 4096
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

bool grace_taken(const struct engine *e, const struct env *env, const char *case_code)
{
	for (size_t i = 0; i < e->n_graces; i++)
		if (uuid_cmp(&e->graces[i].environment, &env->id) == 0 &&
		    strcmp(e->graces[i].case_code, case_code) == 0)
			return true;
	return false;
}

/* --- kept --------------------------------------------------------------------------------- */

static void put(struct buf *out, const struct grace *grace)
{
	buf_add(out, grace->environment.b, UUID_SIZE);
	buf_add_u64(out, (uint64_t)grace->until_ms);
	buf_add(out, grace->case_code, sizeof grace->case_code);
	buf_add_u32(out, grace->serial);
	buf_add_u8(out, grace->lifts_status);
}

static int take(struct rd *rd, struct grace *out)
{
	const void *id = rd_bytes(rd, UUID_SIZE);
	const void *code;

	*out = (struct grace){.until_ms = (int64_t)rd_u64(rd)};
	code = rd_bytes(rd, sizeof out->case_code);
	out->serial = rd_u32(rd);
	out->lifts_status = rd_u8(rd) != 0;
	if (rd->rc < 0)
		return rd->rc;
	memcpy(out->environment.b, id, UUID_SIZE);
	memcpy(out->case_code, code, sizeof out->case_code);
	out->case_code[sizeof out->case_code - 1] = '\0';
	return 0;
}

struct grace_job {
	struct job job;
	struct buf bytes;
	struct grace *all; /* with the new one, the last */
	size_t n;
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
		mem_free(e->graces);
		e->graces = g->all;
		e->n_graces = g->n;
		g->all = NULL;
		apply_grace(e, &e->graces[e->n_graces - 1]);
		decisions_pump(e->decisions);
	} else {
		log_error("decision", "grace not kept", LOG_ERR(&job->err));
	}
	g->done(g->ctx, job->rc);
	mem_free(g->all);
	buf_deinit(&g->bytes);
	mem_free(g);
}

static int fill(struct engine *e, struct grace_job *g, const struct grace *grace)
{
	size_t first = e->n_graces < GRACES_MAX ? 0 : 1; /* the oldest is forgotten */

	g->all = mem_calloc(e->n_graces + 1, sizeof *g->all);
	if (g->all == NULL)
		return ERR_NOMEM;
	for (size_t i = first; i < e->n_graces; i++)
		g->all[g->n++] = e->graces[i];
	g->all[g->n++] = *grace;
	buf_init(&g->bytes, STORE_VALUE_MAX);
	buf_add_u8(&g->bytes, GRACES_VERSION);
	for (size_t i = 0; i < g->n; i++)
		put(&g->bytes, &g->all[i]);
	return buf_rc(&g->bytes);
}

int grace_give(struct engine *e, const struct grace *grace, grace_cb done, void *ctx)
{
	struct grace_job *g;

	if (e->grace_giving)
		return ERR_BUSY;
	g = mem_calloc(1, sizeof *g);
	if (g == NULL || fill(e, g, grace) < 0) {
		if (g != NULL) {
			mem_free(g->all);
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
	struct rd rd;

	rd_init(&rd, bytes->data, bytes->len);
	if (rd_u8(&rd) != GRACES_VERSION)
		return err_set(err, ERR_CORRUPT, "graces: not as this version keeps them");
	e->graces = mem_calloc(GRACES_MAX, sizeof *e->graces);
	if (e->graces == NULL)
		return err_nomem(err);
	while (rd.left > 0 && e->n_graces < GRACES_MAX && take(&rd, &e->graces[e->n_graces]) == 0)
		apply_grace(e, &e->graces[e->n_graces++]);
	return 0;
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
	return 0;
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
	envs_each(&e->envs, take_back, NULL);
}

void graces_free(struct engine *e)
{
	mem_free(e->graces);
	e->graces = NULL;
	e->n_graces = 0;
}
