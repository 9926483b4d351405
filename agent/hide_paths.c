/*
 * The setting hash_paths: its key, and handing it to the store. The key lies beside the store, so
 * that a store that has to be made anew knows the environments again that the server tells of.
 */
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/secret.h"

#define KEY_FILE "path-key"

int hide_paths_prepare(struct engine *e, const struct config *config, struct err *err)
{
	unsigned char fresh[HIDE_KEY];
	char path[PATHS_MAX];
	struct buf key;
	int rc;

	if (config->hash_paths.n == 0)
		return 0;
	buf_init(&key, 2 * HIDE_KEY);
	rc = paths_join(path, e->options->paths.state, KEY_FILE, err);
	if (rc == 0)
		rc = secret_read(path, HIDE_KEY, &key, err);
	if (rc == 0 && key.len != HIDE_KEY)
		rc = err_set(err, ERR_INVALID, "%s is not a key of %d bytes", path, HIDE_KEY);
	if (rc == ERR_NOTFOUND) {
		crypto_random(fresh, sizeof fresh);
		rc = secret_write(path, fresh, sizeof fresh, err);
		if (rc == 0)
			buf_add(&key, fresh, sizeof fresh);
		crypto_wipe(fresh, sizeof fresh);
	}
	if (rc == 0)
		memcpy(e->hide_key, key.data, HIDE_KEY);
	else
		(void)err_context(err, "hash_paths");
	if (key.len > 0)
		crypto_wipe(key.data, key.len);
	buf_deinit(&key);
	return rc;
}

size_t hide_paths_patterns(const struct config *config, const char *out[CONFIG_LIST_MAX])
{
	const struct config_list *list = &config->hash_paths;

	for (size_t i = 0; i < list->n; i++)
		out[i] = strcmp(list->items[i], "on") == 0 ? "/" : list->items[i];
	return list->n;
}

struct hide_job {
	struct job job;
	struct arena arena;
	const char *patterns[CONFIG_LIST_MAX];
	size_t n;
};

static void hide_run(struct job *job)
{
	struct hide_job *h = container_of(job, struct hide_job, job);

	job->rc = store_hide_paths(job->e->store, job->e->hide_key, h->patterns, h->n, &job->err);
}

static void hide_done(struct job *job)
{
	struct hide_job *h = container_of(job, struct hide_job, job);

	/* Nothing may be written that says more than it should: the next core opens it so. */
	if (job->rc < 0) {
		log_error("store", "hash_paths not taken over", LOG_ERR(&job->err));
		job->e->exit_code = 1;
		engine_stop(job->e);
	}
	arena_deinit(&h->arena);
	mem_free(h);
}

int hide_paths_use(struct engine *e, const struct config *config, struct err *err)
{
	struct hide_job *h = mem_calloc(1, sizeof *h);
	bool whole = h != NULL;

	if (whole) {
		arena_init(&h->arena, 2 * CONFIG_FILE_MAX);
		h->n = hide_paths_patterns(config, h->patterns);
	}
	for (size_t i = 0; whole && i < h->n; i++) {
		h->patterns[i] = arena_strdup(&h->arena, h->patterns[i]);
		whole = h->patterns[i] != NULL;
	}
	if (!whole) {
		if (h != NULL)
			arena_deinit(&h->arena);
		mem_free(h);
		return err_nomem(err);
	}
	h->job.run = hide_run;
	h->job.done = hide_done;
	engine_submit(e, &h->job);
	return 0;
}
