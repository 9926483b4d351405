/*
 * What the server is told of environments beside their changes: what could not be read in them,
 * and that they are left alone. Told once; again when it differs from what the server acknowledged,
 * of which a digest for each environment is kept in the store.
 */
#include <string.h>

#include "agent/core/hide.h"
#include "agent/engine.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

#define KEY_TOLD "notes-told" /* setting: struct note_told of every environment with one */
#define ROW (UUID_SIZE + ENV_NOTES_DIGEST)
#define PIECE_BYTES (256u << 10) /* texts told with one message; the rest goes with the next */

static bool is_hidden(const struct engine *e, const char *prefix)
{
	const char *patterns[CONFIG_LIST_MAX];
	struct hide hide = {.patterns = patterns};

	hide.n = hide_paths_patterns(&e->config, patterns);
	return hide_matches(&hide, prefix);
}

/* Zeroes: there is nothing to tell of it. */
static void digest(const struct engine *e, const struct env *env,
		   unsigned char out[ENV_NOTES_DIGEST])
{
	unsigned char hash[SHA256_SIZE];
	bool excluded = report_excluded(e, env->prefix);
	struct sha256 sha;

	memset(out, 0, ENV_NOTES_DIGEST);
	if (!env->lives || (!excluded && env->n_notes == 0))
		return;
	sha256_init(&sha);
	sha256_update(&sha, excluded ? "1" : "0", 1);
	sha256_update(&sha, is_hidden(e, env->prefix) ? "1" : "0", 1);
	for (size_t i = 0; i < env->n_notes; i++)
		sha256_update(&sha, env->notes[i], strlen(env->notes[i]) + 1);
	sha256_final(&sha, hash);
	memcpy(out, hash, ENV_NOTES_DIGEST);
}

/* As long as the reader has not told it since the start, what was told holds. */
static bool differs(const struct engine *e, const struct env *env,
		    unsigned char now[ENV_NOTES_DIGEST])
{
	if (env->lives && !env->seen && !report_excluded(e, env->prefix))
		return false;
	digest(e, env, now);
	return memcmp(now, env->notes_told, ENV_NOTES_DIGEST) != 0;
}

/* --- telling ------------------------------------------------------------------------------ */

struct gathering {
	struct engine *e;
	struct arena *arena;
	struct notes_batch *to;
	size_t size;
	bool failed;
};

static bool add_texts(struct gathering *g, const struct env *env,
		      Envwarden__Sync__EnvironmentNotes *item)
{
	static const char hidden[] = "files that can't be read; which, hash_paths keeps here";
	size_t n = env->n_notes < LIMIT_DEGRADED ? env->n_notes : LIMIT_DEGRADED;

	if (n > 0 && is_hidden(g->e, env->prefix))
		n = 1;
	item->degraded = arena_calloc(g->arena, n + 1, sizeof *item->degraded);
	for (size_t i = 0; item->degraded != NULL && i < n; i++) {
		const char *text = is_hidden(g->e, env->prefix) ? hidden : env->notes[i];

		item->degraded[i] = arena_strdup(g->arena, text);
		if (item->degraded[i] == NULL)
			return false;
		item->n_degraded++;
		g->size += strlen(text);
	}
	return item->degraded != NULL;
}

static void gather(void *ctx, struct env *env)
{
	struct gathering *g = ctx;
	Envwarden__Sync__EnvironmentNotes *item;
	unsigned char now[ENV_NOTES_DIGEST];
	struct note_told *told;
	unsigned char *id;

	if (g->failed || g->to->n == LIMIT_NOTES || g->size > PIECE_BYTES ||
	    !differs(g->e, env, now))
		return;
	item = arena_alloc(g->arena, sizeof *item);
	id = arena_dup(g->arena, env->id.b, UUID_SIZE);
	g->failed = item == NULL || id == NULL;
	if (g->failed)
		return;
	envwarden__sync__environment_notes__init(item);
	item->environment = wire_bytes(id, UUID_SIZE);
	if (env->lives) {
		item->excluded = report_excluded(g->e, env->prefix);
		g->failed = !add_texts(g, env, item);
	}
	told = &g->to->told[g->to->n];
	told->environment = env->id;
	memcpy(told->digest, now, ENV_NOTES_DIGEST);
	g->to->items[g->to->n++] = item;
}

void notes_gather(struct engine *e, struct arena *arena, struct notes_batch *out)
{
	struct gathering g = {.e = e, .arena = arena, .to = out};

	*out = (struct notes_batch){.n = 0};
	out->items = arena_calloc(arena, LIMIT_NOTES, sizeof *out->items);
	out->told = mem_calloc(LIMIT_NOTES, sizeof *out->told);
	if (out->items != NULL && out->told != NULL)
		envs_each(&e->envs, gather, &g);
	if (g.failed)
		out->n = 0; /* the next time */
}

static void find_untold(void *ctx, struct env *env)
{
	struct gathering *g = ctx;
	unsigned char now[ENV_NOTES_DIGEST];

	g->failed = g->failed || differs(g->e, env, now);
}

void notes_seen(struct engine *e, const struct env *env)
{
	unsigned char now[ENV_NOTES_DIGEST];

	if (syncing_connected(e) && differs(e, env, now))
		syncing_journal_grew(e);
}

void notes_changed(struct engine *e)
{
	struct gathering g = {.e = e};

	if (!syncing_connected(e))
		return; /* asked when it is */
	envs_each(&e->envs, find_untold, &g);
	if (g.failed)
		syncing_journal_grew(e);
}

/* --- acknowledged ------------------------------------------------------------------------- */

static void add_told(void *ctx, struct env *env)
{
	static const unsigned char none[ENV_NOTES_DIGEST];
	struct buf *rows = ctx;

	if (memcmp(env->notes_told, none, sizeof none) == 0 || rows->len + ROW > STORE_VALUE_MAX)
		return;
	buf_add(rows, env->id.b, UUID_SIZE);
	buf_add(rows, env->notes_told, ENV_NOTES_DIGEST);
}

struct keep_job {
	struct job job;
	struct buf rows;
};

static void keep_run(struct job *job)
{
	struct keep_job *k = container_of(job, struct keep_job, job);

	if (k->rows.len == 0)
		job->rc = store_kv_delete(job->e->store, KEY_TOLD, &job->err);
	else if (buf_rc(&k->rows) == 0)
		job->rc =
			store_kv_put(job->e->store, KEY_TOLD, k->rows.data, k->rows.len, &job->err);
}

/* What could not be kept is told once more after the next start. */
static void keep_done(struct job *job)
{
	struct keep_job *k = container_of(job, struct keep_job, job);

	buf_deinit(&k->rows);
	mem_free(k);
}

static void keep(struct engine *e)
{
	struct keep_job *k = mem_calloc(1, sizeof *k);

	if (k == NULL)
		return;
	buf_init(&k->rows, STORE_VALUE_MAX);
	envs_each(&e->envs, add_told, &k->rows);
	k->job.run = keep_run;
	k->job.done = keep_done;
	engine_submit(e, &k->job);
}

void notes_acked(struct engine *e, const struct note_told *told, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct env *env = envs_by_id(&e->envs, &told[i].environment);

		if (env != NULL)
			memcpy(env->notes_told, told[i].digest, ENV_NOTES_DIGEST);
	}
	if (n > 0)
		keep(e);
}

static void forget(void *ctx, struct env *env)
{
	(void)ctx;
	memset(env->notes_told, 0, ENV_NOTES_DIGEST);
}

void notes_forget(struct engine *e)
{
	envs_each(&e->envs, forget, NULL);
	keep(e);
}

void notes_start(struct engine *e)
{
	struct buf rows;

	buf_init(&rows, STORE_VALUE_MAX);
	if (store_kv_get(e->store, KEY_TOLD, &rows, NULL) == 0)
		for (size_t at = 0; at + ROW <= rows.len; at += ROW) {
			struct uuid id;
			struct env *env;

			memcpy(id.b, rows.data + at, UUID_SIZE);
			env = envs_by_id(&e->envs, &id);
			if (env != NULL)
				memcpy(env->notes_told, rows.data + at + UUID_SIZE,
				       ENV_NOTES_DIGEST);
		}
	buf_deinit(&rows);
}
