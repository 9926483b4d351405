/*
 * When environments were used: interactive activation checks (checks.c notes them) and running
 * interpreters (told with the reader's facts), in memory; the store follows, so that a restart
 * forgets little and an idle machine writes nothing.
 */
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define SAVE_MS 3600000		  /* between two looks at what is to be written */
#define LAG_MS 3600000		  /* what the store may lag behind */
#define TELL_MS INT64_C(86400000) /* between two times that the server is told */

struct use_job {
	struct job job;
	struct store_use *items;
	size_t n;
};

bool use_kept(const struct engine *e)
{
	return e->config.last_used;
}

int64_t use_last(const struct engine *e, const struct env *env)
{
	if (!use_kept(e))
		return 0;
	return env->last_used_ms > env->last_run_ms ? env->last_used_ms : env->last_run_ms;
}

void use_note(struct engine *e, struct env *env)
{
	int64_t before_ms = use_last(e, env);
	int64_t now = engine_wall(e);

	if (!use_kept(e) || now <= env->last_used_ms)
		return;
	env->last_used_ms = now;
	deciding_used(e, env, before_ms);
}

void use_runs(struct engine *e, struct env *env)
{
	int64_t before_ms = use_last(e, env);
	int64_t now = engine_wall(e);

	if (!use_kept(e) || now <= env->last_run_ms)
		return;
	env->last_run_ms = now;
	deciding_used(e, env, before_ms);
}

/* --- writing ------------------------------------------------------------------------------ */

struct gathering {
	struct use_job *to;
	size_t cap;
	bool forget;
};

static void gather(void *ctx, struct env *env)
{
	struct gathering *g = ctx;
	struct store_use *use = &g->to->items[g->to->n];
	bool differs = g->forget ? env->last_used_ms != 0 || env->last_run_ms != 0 ||
					   env->saved_used_ms != 0 || env->saved_run_ms != 0
				 : env->last_used_ms - env->saved_used_ms > LAG_MS ||
					   env->last_run_ms - env->saved_run_ms > LAG_MS;

	if (!differs || g->to->n == g->cap)
		return;
	if (g->forget)
		env->last_used_ms = env->last_run_ms = 0;
	env->saved_used_ms = env->last_used_ms;
	env->saved_run_ms = env->last_run_ms;
	*use = (struct store_use){.environment = env->id,
				  .last_used_ms = env->last_used_ms,
				  .last_run_ms = env->last_run_ms,
				  .forget = g->forget};
	g->to->n++;
}

static void count(void *ctx, struct env *env)
{
	(void)env;
	++*(size_t *)ctx;
}

static void save_run(struct job *job)
{
	struct use_job *u = container_of(job, struct use_job, job);

	job->rc = store_use(job->e->store, u->items, u->n, &job->err);
}

static void save_done(struct job *job)
{
	struct use_job *u = container_of(job, struct use_job, job);

	if (job->rc < 0) /* later times will be written; these are a loss of an hour */
		log_warn("use", "times of last use not kept", LOG_ERR(&job->err));
	mem_free(u->items);
	mem_free(u);
}

void use_save(struct engine *e)
{
	struct gathering g = {.forget = !use_kept(e)};

	envs_each(&e->envs, count, &g.cap);
	g.to = mem_calloc(1, sizeof *g.to);
	if (g.to != NULL)
		g.to->items = mem_calloc(g.cap + 1, sizeof *g.to->items);
	if (g.to == NULL || g.to->items == NULL) {
		mem_free(g.to);
		return; /* the next time */
	}
	envs_each(&e->envs, gather, &g);
	if (g.to->n == 0) {
		mem_free(g.to->items);
		mem_free(g.to);
		return;
	}
	g.to->job.run = save_run;
	g.to->job.done = save_done;
	engine_submit(e, &g.to->job);
}

/* --- telling the server ------------------------------------------------------------------- */

struct telling {
	const struct engine *e;
	struct use_told *out;
	size_t n;
	size_t max;
};

static void tell(void *ctx, struct env *env)
{
	struct telling *t = ctx;
	int64_t last = use_last(t->e, env);

	if (t->n < t->max && env->lives && last > t->e->use_told_ms)
		t->out[t->n++] = (struct use_told){.environment = env->id, .last_used_ms = last};
}

size_t use_untold(struct engine *e, struct use_told *out, size_t max)
{
	struct telling t = {.e = e, .out = out, .max = max};
	int64_t since = engine_wall(e) - e->use_told_ms;

	/* A clock that went back must not keep it from being told for long. */
	if (since < 0)
		e->use_told_ms = 0;
	if (!use_kept(e) || (since >= 0 && since < TELL_MS))
		return 0;
	envs_each(&e->envs, tell, &t);
	return t.n;
}

static void on_save_time(uv_timer_t *timer)
{
	struct engine *e = timer->data;
	struct use_told one;

	use_save(e);
	timekeeping_save(e);
	if (syncing_connected(e) && use_untold(e, &one, 1) > 0)
		syncing_journal_grew(e); /* there is something to send */
}

void use_start(struct engine *e)
{
	uv_timer_start(&e->use_timer, on_save_time, SAVE_MS, SAVE_MS);
	if (!use_kept(e))
		use_save(e); /* what was kept before it was switched off */
}
