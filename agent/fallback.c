/*
 * The fallback file: what the gate goes by when no agent answers. Written on the store's thread, as
 * a whole, whenever what it says may have changed; a burst of changes makes one or two writes.
 */
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define RETRY_MS 30000

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
	bool all;     /* the allowed ones too: unknown ones are blocked */
	bool unknown; /* one is not decided yet */
	int rc;
};

static void collect_one(void *ctx, struct env *env)
{
	struct collect *c = ctx;
	struct decision_reply reply;
	struct fallback_entry *entry;

	if (!env->lives || c->rc < 0 || c->n == c->cap)
		return;
	c->unknown = c->unknown || !env->ruling.known;
	c->rc = engine_decide(c->e, env, env->prefix, c->arena, &reply);
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
		.message = reply.decision.n_reasons > 0 ? reply.decision.reasons[0].message : "",
		.fix = reply.decision.n_reasons > 0 ? reply.decision.reasons[0].fix : ""};
	if (entry->case_code == NULL)
		c->rc = ERR_NOMEM;
}

static void on_time(uv_timer_t *timer)
{
	fallback_update(timer->data);
}

/* What is left out when it is too much, one after the other. */
enum lean {
	LEAN_NOT,
	LEAN_WITHOUT_FIXES,
	LEAN_BLOCKS,	   /* the warnings */
	LEAN_WITHOUT_WORDS /* and the messages of the blocks */
};

static void slim(struct collect *c, enum lean lean)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		c->entries[i].fix = "";
		if (c->entries[i].action == ACTION_WARN && lean >= LEAN_BLOCKS)
			continue;
		if (lean == LEAN_WITHOUT_WORDS)
			c->entries[i].message = "";
		c->entries[n++] = c->entries[i];
	}
	c->n = n;
}

static int encode_fitting(struct collect *c, struct fallback *file, struct buf *out,
			  struct err *err)
{
	static const char *const left_out[] = {"", "fixes", "warnings", "messages"};
	int rc = ERR_LIMIT;

	for (enum lean lean = LEAN_NOT; lean <= LEAN_WITHOUT_WORDS && rc == ERR_LIMIT; lean++) {
		if (lean > LEAN_NOT) {
			slim(c, lean);
			log_warn("fallback", "too big, some is left out",
				 LOG_STR("what", left_out[lean]));
		}
		file->entries = c->entries;
		file->n = c->n;
		buf_clear(out);
		rc = fallback_encode(file, out, err);
	}
	return rc;
}

static int encode(struct engine *e, struct buf *out, struct err *err)
{
	struct arena arena;
	struct collect c = {.e = e, .arena = &arena, .cap = e->envs.living};
	struct fallback file = {.policy_version = state_version(e, TRUST_POLICY),
				.when_agent_down = state_when_agent_down(e),
				.contact = state_contact(e)};
	int rc;

	arena_init(&arena, 64u << 20);
	c.all = file.when_agent_down == AGENT_DOWN_BLOCK;
	c.entries = arena_calloc(&arena, c.cap + 1, sizeof *c.entries);
	if (c.entries != NULL)
		envs_each(&e->envs, collect_one, &c);
	if (c.entries == NULL || c.rc < 0)
		rc = err_nomem(err);
	else if (c.unknown)
		rc = ERR_BUSY;
	else
		rc = encode_fitting(&c, &file, out, err);
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

/* Makes the bytes; false when there is nothing to write. */
static bool make(struct engine *e, struct fallback_job *f)
{
	struct err err = ERR_INIT;
	int rc = encode(e, &f->bytes, &err);

	e->fallback_wanted = rc == ERR_BUSY; /* what is there stays until all is decided */
	if (rc == ERR_BUSY)
		return false;
	e->fallback_full = rc == ERR_LIMIT;
	if (rc < 0) {
		log_error("fallback", "not made", LOG_ERR(&err));
		return false;
	}
	sha256(f->bytes.data, f->bytes.len, f->digest);
	return memcmp(f->digest, e->fallback_digest, sizeof f->digest) != 0;
}

void fallback_update(struct engine *e)
{
	struct fallback_job *f;

	if (e->stopping)
		return;
	e->fallback_wanted = !decisions_idle(e->decisions);
	e->fallback_again = e->fallback_writing;
	if (e->fallback_writing || e->fallback_wanted)
		return;
	f = mem_calloc(1, sizeof *f);
	if (f == NULL)
		return;
	buf_init(&f->bytes, FALLBACK_MAX);
	if (!make(e, f)) {
		buf_deinit(&f->bytes);
		mem_free(f);
		return;
	}
	e->fallback_writing = true;
	f->job.run = write_run;
	f->job.done = write_done;
	engine_submit(e, &f->job);
}
