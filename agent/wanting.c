/*
 * Bases that lack the gate's pieces, told in a file that whoever may place them waits for
 * (proto/wanted.h; the core may not look into bases, nor change them). That they lack them follows
 * from their packages: after Python went to another minor version, after a base was made anew, and
 * where nobody has placed them yet.
 *
 * A base is asked for once as it is, and again when its packages have changed, or another agent has
 * started: one in which nothing can be placed is no reason to go on asking. The file goes when
 * somebody takes it; until then what it asked for stays in it.
 */
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/wanted.h"

#define SOON_MS 2000	/* what changes together is asked for together */
#define APART_MS 15000	/* whoever changes a base over and over has root look at most so often */
#define RETRY_MS 300000 /* after the file could not be written */

struct wanting_job {
	struct job job;
	struct buf text;
	size_t n_new; /* bytes of it, head included, that are new: the rest was asked before */
};

static void plan(struct engine *e, int64_t from_now_ms)
{
	int64_t apart =
		e->wanting.last_ms == 0 ? 0 : e->wanting.last_ms + APART_MS - engine_mono(e);

	if (e->wanting.writing)
		e->wanting.again = true;
	if (e->stopping || e->wanting.writing || uv_is_active((uv_handle_t *)&e->wanting.timer))
		return;
	if (apart > from_now_ms)
		from_now_ms = apart;
	uv_timer_start(&e->wanting.timer, wanting_on_time, (uint64_t)from_now_ms, 0);
}

void wanting_seen(struct engine *e, struct env *env, bool lacks)
{
	if (!lacks) {
		env->pieces = ENV_PIECES_FINE;
		return;
	}
	if (env->pieces == ENV_PIECES_ASKED &&
	    memcmp(env->pieces_digest, env->digest, sizeof env->digest) == 0)
		return;
	env->pieces = ENV_PIECES_LACKING;
	memcpy(env->pieces_digest, env->digest, sizeof env->digest);
	plan(e, SOON_MS);
}

/* --- the file --- */

#define ACCOUNTS_MAX 256 /* beyond these, only the file's size bounds what one has */
#define OF_ONE_MAX 50	 /* bases of one account that are named: others are to fit, too */

struct collecting {
	struct buf *text;
	enum env_pieces which;
	struct {
		int64_t uid;
		unsigned n;
	} accounts[ACCOUNTS_MAX];
	size_t n_accounts;
	size_t n;
	int rc;
};

static bool has_had_enough(struct collecting *c, int64_t uid)
{
	size_t i = 0;

	while (i < c->n_accounts && c->accounts[i].uid != uid)
		i++;
	if (i == ACCOUNTS_MAX)
		return false;
	if (i == c->n_accounts) {
		c->accounts[i].uid = uid;
		c->accounts[i].n = 0;
		c->n_accounts++;
	}
	return c->accounts[i].n++ >= OF_ONE_MAX;
}

static void collect(void *ctx, struct env *env)
{
	struct collecting *c = ctx;
	int rc;

	if (!env->lives || env->pieces != c->which || env->owner_uid < 0 ||
	    env->owner_uid >= UINT32_MAX)
		return;
	rc = has_had_enough(c, env->owner_uid)
		     ? ERR_LIMIT
		     : wanted_add(c->text, (uint32_t)env->owner_uid, env->prefix);
	if (rc < 0)
		c->rc = rc;
	else
		c->n++;
}

static void asked(void *ctx, struct env *env)
{
	(void)ctx;
	if (env->pieces == ENV_PIECES_LACKING)
		env->pieces = ENV_PIECES_ASKED;
}

/* False: there is nothing to ask for. */
static bool make(struct engine *e, struct wanting_job *w)
{
	struct collecting c = {.text = &w->text, .which = ENV_PIECES_LACKING};
	size_t fresh;

	wanted_begin(&w->text);
	envs_each(&e->envs, collect, &c);
	if (c.rc < 0)
		log_warn("core", "not every base that lacks the gate's pieces is named",
			 LOG_INT("named", c.n));
	w->n_new = w->text.len;
	fresh = c.n;
	c.which = ENV_PIECES_ASKED;
	envs_each(&e->envs, collect, &c);
	if (e->wanting.everything)
		w->n_new = w->text.len;
	return fresh > 0 || (e->wanting.everything && c.n > 0);
}

static bool is_there_already(const char *path, const struct buf *text, size_t n)
{
	struct buf found;
	bool same;

	buf_init(&found, WANTED_MAX + 1);
	same = files_read_whole(path, WANTED_MAX, &found, NULL) == 0 && found.len == n &&
	       memcmp(found.data, text->data, n) == 0;
	buf_deinit(&found);
	return same;
}

static void write_run(struct job *job)
{
	struct wanting_job *w = container_of(job, struct wanting_job, job);
	char path[PATHS_MAX];
	size_t n;

	job->rc = paths_join(path, job->e->options->paths.state, WANTED_FILE, &job->err);
	if (job->rc < 0)
		return;
	n = files_exists(path) ? w->text.len : w->n_new;
	if (!is_there_already(path, &w->text, n))
		job->rc = files_atomic_write(path, w->text.data, n, 0600, &job->err);
}

static void write_done(struct job *job)
{
	struct wanting_job *w = container_of(job, struct wanting_job, job);
	struct engine *e = job->e;
	bool again = e->wanting.again;

	e->wanting.writing = false;
	e->wanting.again = false;
	e->wanting.last_ms = engine_mono(e);
	e->wanting.everything = job->rc < 0;
	if (job->rc < 0)
		log_warn("core", "bases that lack the gate's pieces are not asked for",
			 LOG_ERR(&job->err));
	if (job->rc < 0 || again)
		plan(e, again ? SOON_MS : RETRY_MS);
	buf_deinit(&w->text);
	mem_free(w);
}

void wanting_on_time(uv_timer_t *timer)
{
	struct engine *e = timer->data;
	struct wanting_job *w;

	if (e->stopping || !engine_logging(e))
		return;
	w = mem_calloc(1, sizeof *w);
	if (w == NULL) {
		plan(e, RETRY_MS);
		return;
	}
	buf_init(&w->text, WANTED_MAX);
	if (!make(e, w)) {
		buf_deinit(&w->text);
		mem_free(w);
		return;
	}
	envs_each(&e->envs, asked, NULL);
	e->wanting.writing = true;
	w->job.run = write_run;
	w->job.done = write_done;
	engine_submit(e, &w->job);
}
