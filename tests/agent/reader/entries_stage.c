#include "tests/agent/reader/entries_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "agent/prefix/last_run.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/net/frame.h"
#include "platform/clock.h"
#include "proto/codec.h"
#include "proto/limits.h"

#define PATIENCE_MS 20000

static struct seen *note(struct stage *f, enum said said, const char *path)
{
	struct seen *s;

	assert_true(f->n < SEEN_MAX);
	s = &f->seen[f->n++];
	*s = (struct seen){.said = said};
	(void)snprintf(s->path, sizeof s->path, "%s", path);
	return s;
}

static void on_facts(void *ctx, struct buf *frames)
{
	struct frame_decoder decoder;
	struct arena arena;
	struct seen *s = NULL;
	size_t at = 0;

	frame_decoder_init(&decoder, LIMIT_READER_FRAME);
	arena_init(&arena, LIMIT_READER_MEMORY);
	while (at < frames->len) {
		Envwarden__Reader__Envelope *m;
		const void *payload;
		size_t n;
		size_t used;

		assert_int_equal(frame_decode(&decoder, frames->data + at, frames->len - at, &used,
					      &payload, &n),
				 0);
		at += used;
		if (payload == NULL)
			continue;
		assert_int_equal(codec_unpack_reader(payload, n, &arena, &m, NULL), 0);
		if (m->kind_case == ENVWARDEN__READER__ENVELOPE__KIND_FACTS) {
			s = note(ctx, SAID_FACTS, m->facts->prefix);
			s->at_start = m->facts->at_start;
			(void)snprintf(s->renamed_from, sizeof s->renamed_from, "%s",
				       m->facts->renamed_from);
		} else if (m->kind_case == ENVWARDEN__READER__ENVELOPE__KIND_FACTS_END) {
			assert_non_null(s);
			if (s != NULL)
				s->packages = m->facts_end->total;
		}
		arena_reset(&arena);
	}
	assert_non_null(s);
	arena_deinit(&arena);
	frame_decoder_deinit(&decoder);
}

static void on_gone(void *ctx, const struct entries_gone *gone)
{
	struct seen *s = note(ctx, SAID_GONE, gone->prefix);

	assert_true(gone->dev != 0 && gone->ino != 0);
	s->ino = gone->ino;
	if (gone->last != NULL)
		(void)snprintf(s->command, sizeof s->command, "%.200s", gone->last->command);
}

static void on_read_done(void *ctx, uint64_t id, int rc, const char *prefix)
{
	struct seen *s = note(ctx, SAID_DONE, prefix);

	s->id = id;
	s->rc = rc;
}

static void on_environment(void *ctx, const char *prefix)
{
	(void)note(ctx, SAID_ENVIRONMENT, prefix);
}

static void on_caught_up(void *ctx)
{
	struct stage *f = ctx;

	f->caught_up = true;
}

static void on_away(void *ctx, const char *prefix, bool away)
{
	struct seen *s = note(ctx, SAID_AWAY, prefix);

	s->rc = away;
}

static void on_refresh_mounts(void *ctx)
{
	struct stage *f = ctx;

	char path[TMPDIR_PATH_MAX];

	if (f->next_table != NULL)
		lanes_set_table(f->lanes, f->next_table);
	if (f->tear != NULL) {
		tmpdir_path(&f->dir, f->tear, path);
		f->tear = NULL;
		f->blocked = true; /* no other look begins before this one has ended */
		entries_touched(f->entries, path);
	}
}

static void on_changed(void *ctx)
{
	(void)ctx;
}

static bool on_may_send(void *ctx)
{
	struct stage *f = ctx;

	return !f->blocked;
}

/* As the reader process does it: what a folder of environments tells is a hint or a candidate. */
static void on_watch(void *ctx, int watch, void *user, enum watch_kind kind, const char *name)
{
	struct stage *f = ctx;
	struct watch_user *which = user;
	char path[TMPDIR_PATH_MAX];

	(void)watch;
	if (f->ending || f->deaf)
		return;
	if (kind == WATCH_OVERFLOW) {
		entries_sweep(f->entries);
	} else if (which->kind == WATCH_USER_ENTRY) {
		entries_watched(which, kind);
	} else if (name != NULL) {
		tmpdir_path(&f->dir, name, path);
		if (entries_find(f->entries, path) != NULL)
			entries_touched(f->entries, path);
		else
			(void)entries_candidate(f->entries, path, false);
	}
}

static const struct entries_callbacks callbacks = {.facts = on_facts,
						   .gone = on_gone,
						   .away = on_away,
						   .refresh_mounts = on_refresh_mounts,
						   .read_done = on_read_done,
						   .environment = on_environment,
						   .caught_up = on_caught_up,
						   .may_send = on_may_send};

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

int stage_setup(void **state)
{
	static struct stage f;
	struct entries_config config = {.clock = clock_system(),
					.settle_ms = SETTLE_MS,
					.poll_ms = 200,
					.callbacks = &callbacks};

	f = (struct stage){0};
	tmpdir_make(&f.dir);
	assert_int_equal(uv_loop_init(&f.loop), 0);
	assert_int_equal(uv_timer_init(&f.loop, &f.tick), 0);
	assert_int_equal(uv_timer_start(&f.tick, on_tick, 10, 10), 0);
	assert_int_equal(lanes_new(&(struct lanes_config){&f.loop, clock_system(), on_changed, &f},
				   &f.lanes, NULL),
			 0);
	assert_int_equal(watcher_new(&(struct watcher_config){.loop = &f.loop,
							      .queue = WATCH_NONE,
							      .cb = on_watch,
							      .ctx = &f},
				     &f.watcher, NULL),
			 0);
	config.loop = &f.loop;
	config.lanes = f.lanes;
	config.ctx = &f;
	assert_int_equal(entries_new(&config, &f.entries, NULL), 0);
	entries_set_watcher(f.entries, f.watcher);
	f.parent = (struct watch_user){WATCH_USER_PLACE, WATCH_NONE, &f};
	assert_int_equal(
		watcher_add(f.watcher, f.dir.path, WATCH_FOLDERS, &f.parent, &f.parent.watch, NULL),
		0);
	*state = &f;
	return 0;
}

static void on_stopped(void *owner)
{
	struct stage *f = owner;

	f->stopped++;
}

static void on_lanes_stopped(void *owner)
{
	struct stage *f = owner;

	f->stopped++;
	watcher_stop(f->watcher, on_stopped, f);
}

static void on_entries_stopped(void *owner)
{
	struct stage *f = owner;

	f->stopped++;
	lanes_stop(f->lanes, on_lanes_stopped, f);
}

int stage_teardown(void **state)
{
	struct stage *f = *state;

	f->ending = true;
	entries_stop(f->entries, on_entries_stopped, f);
	uv_close((uv_handle_t *)&f->tick, NULL);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(f->stopped, 3);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	tmpdir_remove(&f->dir);
	return 0;
}

/* --- waiting --- */

void stage_run_for(struct stage *f, int64_t ms)
{
	const struct clock *clock = clock_system();
	int64_t end = clock->mono_ms(clock) + ms;

	while (clock->mono_ms(clock) < end)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

struct seen *stage_find(struct stage *f, size_t from, enum said said, const char *name)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	for (size_t i = from; i < f->n; i++)
		if (f->seen[i].said == said && strcmp(f->seen[i].path, path) == 0)
			return &f->seen[i];
	return NULL;
}

struct seen *stage_await(struct stage *f, size_t from, enum said said, const char *name)
{
	const struct clock *clock = clock_system();
	int64_t end = clock->mono_ms(clock) + PATIENCE_MS;
	struct seen *s;

	while ((s = stage_find(f, from, said, name)) == NULL) {
		if (clock->mono_ms(clock) > end)
			fail_msg("waited in vain for %d of %s", (int)said, name);
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
	return s;
}

size_t stage_count(const struct stage *f, size_t from, enum said said)
{
	size_t n = 0;

	for (size_t i = from; i < f->n; i++)
		n += f->seen[i].said == said;
	return n;
}

/* --- prefixes --- */

void stage_record(struct stage *f, const char *env, const char *package, const char *version)
{
	char name[256];
	char text[512];

	(void)snprintf(name, sizeof name, "%s/conda-meta/%s-%s-0.json", env, package, version);
	(void)snprintf(text, sizeof text,
		       "{\"name\": \"%s\", \"version\": \"%s\", \"build\": \"0\", "
		       "\"build_number\": 0, \"channel\": \"conda-forge\", \"subdir\": "
		       "\"linux-64\"}",
		       package, version);
	tmpdir_write_text(&f->dir, name, text);
}

void stage_history(struct stage *f, const char *env, const char *command)
{
	char name[256];
	char text[1024];

	(void)snprintf(name, sizeof name, "%s/conda-meta/history", env);
	(void)snprintf(text, sizeof text,
		       "==> 2026-11-22 18:48:09 <==\n# cmd: /opt/conda/bin/conda %s\n"
		       "# conda version: 26.7.1\n+conda-forge/linux-64::foo-1.0-0\n",
		       command);
	tmpdir_write_text(&f->dir, name, text);
}

void stage_make_env(struct stage *f, const char *env)
{
	stage_record(f, env, "foo", "1.0");
	stage_history(f, env, "create -n a foo");
}

void stage_move(struct stage *f, const char *from, const char *to)
{
	char a[TMPDIR_PATH_MAX];
	char b[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, from, a);
	tmpdir_path(&f->dir, to, b);
	assert_int_equal(rename(a, b), 0);
}

void stage_remove_file(struct stage *f, const char *name)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	assert_int_equal(remove(path), 0);
}

void stage_remove_env(struct stage *f, const char *env)
{
	static const char *const parts[] = {"/conda-meta/foo-1.0-0.json", "/conda-meta/history",
					    "/conda-meta", ""};
	char name[256];

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		(void)snprintf(name, sizeof name, "%s%s", env, parts[i]);
		stage_remove_file(f, name);
	}
}

enum entry_state stage_state(struct stage *f, const char *name)
{
	char path[TMPDIR_PATH_MAX];
	struct entry *e;

	tmpdir_path(&f->dir, name, path);
	e = entries_find(f->entries, path);
	assert_non_null(e);
	return entry_state(e);
}

bool stage_knows(struct stage *f, const char *name)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	return entries_find(f->entries, path) != NULL;
}

void stage_ask(struct stage *f, const char *name, uint64_t id)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	entries_read(f->entries, path, NULL, id);
}

void stage_make_python(struct stage *f, const char *env)
{
	stage_record(f, env, "python", "3.11.9");
	stage_history(f, env, "create -n a python");
}

void stage_dist(struct stage *f, const char *env, const char *package)
{
	char name[256];
	char text[256];

	(void)snprintf(name, sizeof name,
		       "%s/lib/python3.11/site-packages/%s-1.0.dist-info/METADATA", env, package);
	(void)snprintf(text, sizeof text, "Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n\n",
		       package);
	tmpdir_write_text(&f->dir, name, text);
	(void)snprintf(name, sizeof name, "%s/lib/python3.11/site-packages/%s-1.0.dist-info/RECORD",
		       env, package);
	tmpdir_write_text(&f->dir, name, "");
}

void stage_candidate(struct stage *f, const char *name)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	assert_int_equal(entries_candidate(f->entries, path, false), 0);
}

void stage_await_state(struct stage *f, const char *name, enum entry_state state)
{
	const struct clock *clock = clock_system();
	int64_t end = clock->mono_ms(clock) + PATIENCE_MS;

	while (stage_state(f, name) != state) {
		if (clock->mono_ms(clock) > end)
			fail_msg("waited in vain for %s to be %d", name, (int)state);
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
}

void stage_await_unknown(struct stage *f, const char *name)
{
	while (stage_knows(f, name)) /* ends by the time limit of the test */
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}
