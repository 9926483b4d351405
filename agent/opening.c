/*
 * The state folder and the store in it, at the start: taken for this agent alone, opened, and set
 * aside for a new one when it is damaged. Marks in files say what the store itself may not be able
 * to: that it was open, is damaged, or which journal it held.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "platform/process.h"

#define PROBE_MS 60000 /* how long checking a store after a crash may take */
#define LOCK_MS 10000
#define LOCK_STEP_MS 20
#define DAMAGED_FILE "damaged"
#define EPOCH_FILE "epoch" /* of the journal, 16 bytes: a store that takes its place names it */
#define RUNNING_FILE "running"
#define KEY_ASIDE "aside" /* setting: "<time> <name>" of a store that was damaged */

/* A core that was killed a moment ago ends, and lets go then: on a busy machine not at once. */
static int take_lock(struct engine *e, const char *path, struct err *err)
{
	int64_t deadline = engine_mono(e) + LOCK_MS;
	struct err why = ERR_INIT;
	int rc = files_lock_take(path, &e->lock, &why);

	if (rc == ERR_BUSY)
		log_info("core", "waits for another agent to end", LOG_ERR(&why));
	while (rc == ERR_BUSY && engine_mono(e) < deadline) {
		uv_sleep(LOCK_STEP_MS);
		why = ERR_INIT;
		rc = files_lock_take(path, &e->lock, &why);
	}
	if (rc < 0 && err)
		*err = why;
	return rc;
}

int opening_state_dir(struct engine *e, struct err *err)
{
	const char *dir = e->options->paths.state;
	char path[PATHS_MAX];
	int rc = files_mkdir(dir, 0711, err);

	if (rc == 0)
		rc = files_mkdir_private(dir, err); /* checks what is there */
	if (rc == 0)
		rc = paths_join(path, dir, "lock", err);
	if (rc == 0)
		rc = take_lock(e, path, err);
	return rc < 0 ? err_context(err, "state folder") : 0;
}

/* Told to end, or killed from outside: that says nothing about the store. */
static bool was_stopped(const struct process_end *end)
{
	return end->signal == SIGKILL || end->signal == SIGTERM || end->signal == SIGINT;
}

/*
 * A store that was open when its process died is walked by a child first: damage that ends the
 * process that touches it then ends that child. What can't be told so, opening will tell.
 */
static int probe_in_child(const struct engine *e)
{
	const char *args[] = {
		"envwardend", "--role", "probe", "--state-dir", e->options->paths.state, NULL};
	struct process_end end = {.exit_code = -1};
	struct err err = ERR_INIT;
	int64_t pid;

	if (process_spawn_self(args, NULL, 0, &pid, &err) < 0)
		return 0;
	for (int waited = 0; waited < PROBE_MS; waited += 5) {
		if (process_reap(&end) == 0)
			return end.exit_code == ENGINE_EXIT_DAMAGED ||
					       (end.signal != 0 && !was_stopped(&end))
				       ? ERR_CORRUPT
				       : 0;
		uv_sleep(5);
	}
	log_warn("store", "too big to be checked in time", LOG_NONE);
	(void)process_signal(pid, PROCESS_KILL, NULL);
	return 0;
}

/* Says that the store is open, to the start after a crash. A full disk must not stop this start. */
static void mark_open(const char *path)
{
	struct err err = ERR_INIT;

	if (files_atomic_write(path, "", 0, 0600, &err) < 0)
		log_warn("store", "a crash will not be noticed", LOG_ERR(&err));
}

/* The epoch of the journal that is lost; zero if that is not known. */
static void read_epoch(const struct engine *e, struct uuid *out)
{
	char path[PATHS_MAX];
	struct buf bytes;

	buf_init(&bytes, 64);
	if (paths_join(path, e->options->paths.state, EPOCH_FILE, NULL) == 0 &&
	    files_read_whole(path, UUID_SIZE, &bytes, NULL) == 0 && bytes.len == UUID_SIZE)
		memcpy(out->b, bytes.data, UUID_SIZE);
	buf_deinit(&bytes);
}

/* The store is new, and another one was lost: it says so. */
static int declare_lost(struct engine *e, const struct uuid *lost, struct err *err)
{
	struct store_new_epoch how = {.gap = true, .now_ms = engine_wall(e), .lost = *lost};
	int rc = store_new_epoch(e->store, &how, err);

	/* An organisation's switch begins another epoch, which has to say it again. */
	if (rc == 0)
		rc = store_kv_put(e->store, ENGINE_KEY_LOST, how.lost.b, UUID_SIZE, err);
	return rc;
}

/* An empty store where there was one with a journal: removed, or cut to nothing. */
static int check_lost(struct engine *e, struct err *err)
{
	struct store_journal journal;
	struct uuid last = {{0}};

	read_epoch(e, &last);
	store_journal(e->store, &journal);
	if (uuid_is_zero(&last) || journal.epoch_no > 1 || journal.head > 0 ||
	    uuid_cmp(&last, &journal.epoch) == 0)
		return 0;
	log_error("store", "the store is empty and was not; starting a new one", LOG_NONE);
	return declare_lost(e, &last, err);
}

/* For `status`, over restarts. */
static int note_aside(struct engine *e, const char *path, struct err *err)
{
	const char *name = strrchr(path, '/');
	struct buf text;
	int rc;

	if (name == NULL)
		return 0; /* there was nothing to set aside */
	buf_init(&text, STORE_VALUE_MAX);
	buf_addf(&text, "%lld %s", (long long)engine_wall(e), name + 1);
	rc = buf_rc(&text) < 0 ? err_nomem(err)
			       : store_kv_put(e->store, KEY_ASIDE, text.data, text.len, err);
	buf_deinit(&text);
	return rc;
}

void opening_read_aside(struct engine *e)
{
	struct buf text;
	char *name;

	buf_init(&text, STORE_VALUE_MAX);
	if (store_kv_get(e->store, KEY_ASIDE, &text, NULL) == 0) {
		e->aside_ms = strtoll(buf_cstr(&text), &name, 10);
		if (*name == ' ' &&
		    paths_join(e->aside, e->options->paths.state, name + 1, NULL) < 0)
			e->aside[0] = '\0';
	}
	buf_deinit(&text);
}

/* The damaged store keeps a name of its own; a new one declares that there is a gap. */
static int replace_store(struct engine *e, const char *dir, const struct store_options *options,
			 struct err *err)
{
	struct uuid lost = {{0}};
	char aside[PATHS_MAX] = "";
	int rc = 0;

	if (files_exists(dir))
		rc = store_set_aside(dir, engine_wall(e), aside, sizeof aside, err);
	if (rc < 0)
		return rc;
	log_error("store", "damaged, set aside; starting a new one", LOG_STR("folder", aside));
	rc = files_mkdir_private(dir, err);
	if (rc == 0)
		rc = store_open(dir, options, &e->store, err);
	read_epoch(e, &lost);
	if (rc == 0)
		rc = note_aside(e, aside, err);
	return rc == 0 ? declare_lost(e, &lost, err) : rc;
}

int opening_store(struct engine *e, struct err *err)
{
	const char *patterns[CONFIG_LIST_MAX];
	struct store_options options = {.journal_max_bytes = (uint64_t)e->config.journal_max_mb
							     << 20,
					.hide_key = e->hide_key,
					.hide_patterns = patterns,
					.n_hide = hide_paths_patterns(&e->config, patterns)};
	char dir[PATHS_MAX];
	char dirty[PATHS_MAX];
	char damaged[PATHS_MAX];
	int rc = paths_join(dir, e->options->paths.state, "store", err);
	bool crashed;

	if (rc == 0)
		rc = paths_join(dirty, e->options->paths.state, RUNNING_FILE, err);
	if (rc == 0)
		rc = paths_join(damaged, e->options->paths.state, DAMAGED_FILE, err);
	if (rc < 0)
		return rc;
	crashed = files_exists(dirty);
	if (files_exists(damaged))
		rc = ERR_CORRUPT;
	else if (crashed)
		rc = probe_in_child(e);
	if (rc == 0)
		rc = files_mkdir_private(dir, err);
	if (rc == 0)
		rc = store_open(dir, &options, &e->store, err);
	if (rc == ERR_CORRUPT)
		rc = replace_store(e, dir, &options, err);
	else if (rc == 0)
		rc = check_lost(e, err);
	if (rc == 0)
		rc = files_remove(damaged, err);
	if (rc == 0 && !crashed)
		mark_open(dirty);
	return rc;
}

/* What a store that has to take this one's place should say it lacks. */
void opening_note_epoch(const struct engine *e)
{
	char path[PATHS_MAX];
	struct err err = ERR_INIT;

	if (paths_join(path, e->options->paths.state, EPOCH_FILE, &err) < 0 ||
	    files_atomic_write(path, e->journal.epoch.b, UUID_SIZE, 0600, &err) < 0)
		log_warn("store", "the journal's epoch is not noted", LOG_ERR(&err));
}

/* Without the mark the next core checks the store itself, as after any crash. */
void opening_mark_damaged(const struct engine *e, const char *what)
{
	char path[PATHS_MAX];
	struct err err = ERR_INIT;

	if (paths_join(path, e->options->paths.state, DAMAGED_FILE, &err) < 0 ||
	    files_atomic_write(path, what, strlen(what), 0600, &err) < 0)
		log_warn("store", "the damage could not be marked", LOG_ERR(&err));
}

void opening_mark_closed(const struct engine *e)
{
	char dirty[PATHS_MAX];

	if (paths_join(dirty, e->options->paths.state, RUNNING_FILE, NULL) == 0)
		(void)files_remove(dirty, NULL);
}
