/*
 * The fallback file: what the gate goes by when no agent answers. Written on the store's thread, as
 * a whole, whenever what it says may have changed; a burst of changes makes one or two writes.
 */
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define RETRY_MS 30000
#define RECHECK_MAX_MS (24 * 60 * 60 * 1000) /* of a decision that runs out later than that */

struct fallback_job {
	struct job job;
	struct buf bytes;
	unsigned char digest[SHA256_SIZE];
};

struct collect {
	struct engine *e;
	struct arena *arena;
	struct fallback_entry *entries;
	size_t n;
	size_t cap;
	bool all;	  /* the allowed ones too: unknown ones are blocked */
	int64_t until_ms; /* when the first of the decisions runs out */
	int rc;
};

static void collect_one(void *ctx, struct env *env)
{
	struct collect *c = ctx;
	struct decision_reply reply;
	struct fallback_entry *entry;

	if (!env->lives || c->rc < 0 || c->n == c->cap)
		return;
	c->rc = engine_decide(c->e, env, env->prefix, c->arena, &reply);
	if (c->rc == 0 && reply.decision.valid_until_ms < c->until_ms)
		c->until_ms = reply.decision.valid_until_ms;
	if (c->rc < 0 || (reply.decision.action == ACTION_ALLOW && !c->all))
		return;
	entry = &c->entries[c->n++];
	*entry = (struct fallback_entry){
		.path = env->prefix,
		.device = env->device,
		.inode = env->inode,
		.action = reply.decision.action,
		.name = env_name(env),
		.case_code = arena_strdup(c->arena, reply.decision.case_code),
		.message = reply.decision.n_reasons > 0 ? reply.decision.reasons[0].message : ""};
	if (entry->case_code == NULL)
		c->rc = ERR_NOMEM;
}

static void on_time(uv_timer_t *timer)
{
	fallback_update(timer->data);
}

static void again_at(struct engine *e, int64_t trusted_ms)
{
	int64_t wait = trusted_ms - engine_trusted(e);

	if (wait > RECHECK_MAX_MS)
		wait = RECHECK_MAX_MS;
	uv_timer_start(&e->fallback_timer, on_time, (uint64_t)(wait > 1000 ? wait : 1000), 0);
}

static int encode(struct engine *e, struct buf *out, struct err *err)
{
	struct arena arena;
	struct collect c = {.e = e, .arena = &arena, .cap = e->envs.living, .until_ms = INT64_MAX};
	struct fallback file = {.policy_version = state_version(e, TRUST_POLICY),
				.when_agent_down = state_when_agent_down(e),
				.contact = state_contact(e)};
	int rc;

	arena_init(&arena, 64u << 20);
	c.all = file.when_agent_down == AGENT_DOWN_BLOCK;
	c.entries = arena_calloc(&arena, c.cap + 1, sizeof *c.entries);
	if (c.entries != NULL)
		envs_each(&e->envs, collect_one, &c);
	if (c.entries == NULL || c.rc < 0) {
		rc = err_nomem(err);
	} else {
		file.entries = c.entries;
		file.n = c.n;
		rc = fallback_encode(&file, out, err);
	}
	if (c.until_ms < INT64_MAX)
		again_at(e, c.until_ms);
	else
		uv_timer_stop(&e->fallback_timer);
	arena_deinit(&arena);
	return rc;
}

static void write_run(struct job *job)
{
	struct fallback_job *f = container_of(job, struct fallback_job, job);
	const char *path = job->e->options->fallback;
	char dir[PATHS_MAX];

	job->rc = paths_parent(dir, path, &job->err);
	if (job->rc == 0)
		job->rc = files_mkdir(dir, 0755, &job->err);
	if (job->rc == 0)
		job->rc = files_atomic_write(path, f->bytes.data, f->bytes.len, 0644, &job->err);
}

static void write_done(struct job *job)
{
	struct fallback_job *f = container_of(job, struct fallback_job, job);
	struct engine *e = job->e;

	buf_deinit(&f->bytes);
	e->fallback_writing = false;
	if (job->rc < 0)
		log_error("fallback", "not written", LOG_ERR(&job->err));
	else
		memcpy(e->fallback_digest, f->digest, sizeof f->digest);
	if (e->fallback_again)
		fallback_update(e);
	else if (job->rc < 0 && !e->stopping)
		uv_timer_start(&e->fallback_timer, on_time, RETRY_MS, 0);
	mem_free(f);
}

void fallback_update(struct engine *e)
{
	struct fallback_job *f;
	struct err err = ERR_INIT;

	if (e->stopping)
		return;
	e->fallback_again = e->fallback_writing;
	if (e->fallback_writing)
		return;
	f = mem_calloc(1, sizeof *f);
	if (f == NULL)
		return;
	buf_init(&f->bytes, FALLBACK_MAX);
	if (encode(e, &f->bytes, &err) < 0) {
		log_error("fallback", "not made", LOG_ERR(&err));
		buf_deinit(&f->bytes);
		mem_free(f);
		return;
	}
	sha256(f->bytes.data, f->bytes.len, f->digest);
	if (memcmp(f->digest, e->fallback_digest, sizeof f->digest) == 0) {
		buf_deinit(&f->bytes); /* it says so already */
		mem_free(f);
		return;
	}
	e->fallback_writing = true;
	f->job.run = write_run;
	f->job.done = write_done;
	engine_submit(e, &f->job);
}
