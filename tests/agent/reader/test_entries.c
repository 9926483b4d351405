#include "agent/reader/entries.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "agent/prefix/last_run.h"
#include "agent/reader/lanes.h"
#include "agent/reader/watch_user.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/net/frame.h"
#include "platform/clock.h"
#include "proto/codec.h"
#include "proto/limits.h"
#include "tests/support/tmpdir.h"

#define SETTLE_MS 60
#define SEEN_MAX 128
#define PATIENCE_MS 20000

enum said {
	SAID_FACTS,
	SAID_GONE,
	SAID_DONE,
	SAID_ENVIRONMENT,
	SAID_AWAY
};

/* What the entries said, in order. */
struct seen {
	enum said said;
	char path[TMPDIR_PATH_MAX];
	char renamed_from[TMPDIR_PATH_MAX];
	char command[256]; /* of what is gone */
	uint64_t ino;
	uint64_t packages;
	uint64_t id;
	int rc;
	bool at_start;
};

struct fixture {
	struct tmpdir dir;
	uv_loop_t loop;
	uv_timer_t tick; /* so that conditions are looked at even when nothing happens */
	struct watcher *watcher;
	struct lanes *lanes;
	struct mount_table *next_table; /* of when it is asked for again; NULL as it is */
	struct entries *entries;
	struct watch_user parent;
	struct seen seen[SEEN_MAX];
	size_t n;
	bool caught_up;
	bool blocked;	  /* the core is behind */
	const char *tear; /* something happens there as a look that found no environment ends */
	bool ending;
	unsigned stopped;
};

static struct seen *note(struct fixture *f, enum said said, const char *path)
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
	struct fixture *f = ctx;

	f->caught_up = true;
}

static void on_away(void *ctx, const char *prefix, bool away)
{
	struct seen *s = note(ctx, SAID_AWAY, prefix);

	s->rc = away;
}

static void on_refresh_mounts(void *ctx)
{
	struct fixture *f = ctx;

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
	struct fixture *f = ctx;

	return !f->blocked;
}

/* As the reader process does it: what a folder of environments tells is a hint or a candidate. */
static void on_watch(void *ctx, int watch, void *user, enum watch_kind kind, const char *name)
{
	struct fixture *f = ctx;
	struct watch_user *which = user;
	char path[TMPDIR_PATH_MAX];

	(void)watch;
	if (f->ending)
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

static int setup(void **state)
{
	static struct fixture f;
	struct entries_config config = {.clock = clock_system(),
					.settle_ms = SETTLE_MS,
					.poll_ms = 200,
					.callbacks = &callbacks};

	f = (struct fixture){0};
	tmpdir_make(&f.dir);
	assert_int_equal(uv_loop_init(&f.loop), 0);
	assert_int_equal(uv_timer_init(&f.loop, &f.tick), 0);
	assert_int_equal(uv_timer_start(&f.tick, on_tick, 10, 10), 0);
	assert_int_equal(lanes_new(&(struct lanes_config){&f.loop, clock_system(), on_changed, &f},
				   &f.lanes, NULL),
			 0);
	assert_int_equal(watcher_new(&f.loop, on_watch, &f, &f.watcher, NULL), 0);
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
	struct fixture *f = owner;

	f->stopped++;
}

static void on_lanes_stopped(void *owner)
{
	struct fixture *f = owner;

	f->stopped++;
	watcher_stop(f->watcher, on_stopped, f);
}

static void on_entries_stopped(void *owner)
{
	struct fixture *f = owner;

	f->stopped++;
	lanes_stop(f->lanes, on_lanes_stopped, f);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

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

static void run_for(struct fixture *f, int64_t ms)
{
	const struct clock *clock = clock_system();
	int64_t end = clock->mono_ms(clock) + ms;

	while (clock->mono_ms(clock) < end)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

static struct seen *find(struct fixture *f, size_t from, enum said said, const char *name)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	for (size_t i = from; i < f->n; i++)
		if (f->seen[i].said == said && strcmp(f->seen[i].path, path) == 0)
			return &f->seen[i];
	return NULL;
}

static struct seen *await(struct fixture *f, size_t from, enum said said, const char *name)
{
	const struct clock *clock = clock_system();
	int64_t end = clock->mono_ms(clock) + PATIENCE_MS;
	struct seen *s;

	while ((s = find(f, from, said, name)) == NULL) {
		if (clock->mono_ms(clock) > end)
			fail_msg("waited in vain for %d of %s", (int)said, name);
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
	return s;
}

static size_t count(const struct fixture *f, size_t from, enum said said)
{
	size_t n = 0;

	for (size_t i = from; i < f->n; i++)
		n += f->seen[i].said == said;
	return n;
}

/* --- prefixes --- */

static void record(struct fixture *f, const char *env, const char *package, const char *version)
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

static void history(struct fixture *f, const char *env, const char *command)
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

static void make_env(struct fixture *f, const char *env)
{
	record(f, env, "foo", "1.0");
	history(f, env, "create -n a foo");
}

static void move(struct fixture *f, const char *from, const char *to)
{
	char a[TMPDIR_PATH_MAX];
	char b[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, from, a);
	tmpdir_path(&f->dir, to, b);
	assert_int_equal(rename(a, b), 0);
}

static void remove_file(struct fixture *f, const char *name)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	assert_int_equal(remove(path), 0);
}

static void remove_env(struct fixture *f, const char *env)
{
	static const char *const parts[] = {"/conda-meta/foo-1.0-0.json", "/conda-meta/history",
					    "/conda-meta", ""};
	char name[256];

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		(void)snprintf(name, sizeof name, "%s%s", env, parts[i]);
		remove_file(f, name);
	}
}

static enum entry_state state_of(struct fixture *f, const char *name)
{
	char path[TMPDIR_PATH_MAX];
	struct entry *e;

	tmpdir_path(&f->dir, name, path);
	e = entries_find(f->entries, path);
	assert_non_null(e);
	return entry_state(e);
}

static bool knows(struct fixture *f, const char *name)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	return entries_find(f->entries, path) != NULL;
}

static void ask(struct fixture *f, const char *name, uint64_t id)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	entries_read(f->entries, path, NULL, id);
}

static void make_python(struct fixture *f, const char *env)
{
	record(f, env, "python", "3.11.9");
	history(f, env, "create -n a python");
}

/* What pip leaves. */
static void dist(struct fixture *f, const char *env, const char *package)
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

static void candidate(struct fixture *f, const char *name)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	assert_int_equal(entries_candidate(f->entries, path, false), 0);
}

static void await_state(struct fixture *f, const char *name, enum entry_state state)
{
	const struct clock *clock = clock_system();
	int64_t end = clock->mono_ms(clock) + PATIENCE_MS;

	while (state_of(f, name) != state) {
		if (clock->mono_ms(clock) > end)
			fail_msg("waited in vain for %s to be %d", name, (int)state);
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
}

static void await_unknown(struct fixture *f, const char *name)
{
	const struct clock *clock = clock_system();
	int64_t end = clock->mono_ms(clock) + PATIENCE_MS;

	while (knows(f, name)) {
		if (clock->mono_ms(clock) > end)
			fail_msg("waited in vain for %s to be forgotten", name);
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
}

/* --- tests --- */

static void test_created_and_changed(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	assert_int_equal(await(f, 0, SAID_FACTS, "a")->packages, 1);
	(void)await(f, 0, SAID_ENVIRONMENT, "a");
	run_for(f, 4 * SETTLE_MS);
	assert_int_equal(count(f, 0, SAID_FACTS), 1);
	assert_int_equal(state_of(f, "a"), ENTRY_CLEAN);

	before = f->n;
	record(f, "a", "bar", "2.0");
	history(f, "a", "install bar");
	assert_int_equal(await(f, before, SAID_FACTS, "a")->packages, 2);
	assert_int_equal(count(f, 0, SAID_ENVIRONMENT), 1);
}

static void test_rolled_back_is_no_change(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	run_for(f, 3 * SETTLE_MS);
	before = f->n;
	move(f, "a/conda-meta/foo-1.0-0.json", "a/conda-meta/foo-1.0-0.json.c~");
	run_for(f, 4 * SETTLE_MS);
	assert_int_equal(state_of(f, "a"), ENTRY_BUSY);
	assert_int_equal(f->n, before);
	move(f, "a/conda-meta/foo-1.0-0.json.c~", "a/conda-meta/foo-1.0-0.json");
	run_for(f, 12 * SETTLE_MS);
	/* Its time of change is new, so it may be told again, but whole. */
	for (size_t i = before; i < f->n; i++)
		assert_true(f->seen[i].said == SAID_FACTS && f->seen[i].packages == 1);
}

/* The old path is told gone, once, when the facts of the new one were told. */
static void gone_after_facts(struct fixture *f, size_t from)
{
	size_t facts = 0;

	assert_int_equal(count(f, from, SAID_GONE), 1);
	for (size_t i = from; i < f->n && f->seen[i].said != SAID_GONE; i++)
		facts += f->seen[i].said == SAID_FACTS;
	assert_true(facts > 0);
}

static void test_moved(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	run_for(f, 3 * SETTLE_MS);
	before = f->n;
	move(f, "a", "b");
	(void)await(f, before, SAID_FACTS, "b");
	run_for(f, 12 * SETTLE_MS);
	/* The core sees by the inode that it is the same one; "gone" before would make it two. */
	gone_after_facts(f, before);
	assert_false(knows(f, "a"));

	before = f->n;
	record(f, "b", "bar", "2.0");
	history(f, "b", "install bar");
	assert_int_equal(await(f, before, SAID_FACTS, "b")->packages, 2);
}

/* However much of the first move was seen when the second came. */
static void test_moved_and_another_in_its_place(void **state)
{
	struct fixture *f = *state;

	for (unsigned pause = 0; pause < 8; pause++) {
		const char letter = (char)('a' + 3 * pause);
		const char first[] = {letter, '\0'};
		const char second[] = {(char)(letter + 1), '\0'};
		const char third[] = {(char)(letter + 2), '\0'};
		size_t before = f->n;

		make_env(f, first);
		make_env(f, second);
		(void)await(f, before, SAID_FACTS, first);
		(void)await(f, before, SAID_FACTS, second);
		run_for(f, 3 * SETTLE_MS);
		before = f->n;
		move(f, first, third);
		run_for(f, pause * SETTLE_MS / 2);
		move(f, second, first);
		(void)await(f, before, SAID_FACTS, third);
		(void)await(f, before, SAID_FACTS, first);
	}
}

/* Each path leads to the directory that the other one is known by. */
static void test_swapped(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	make_env(f, "b");
	record(f, "b", "bar", "1.0");
	history(f, "b", "install bar");
	(void)await(f, 0, SAID_FACTS, "a");
	(void)await(f, 0, SAID_FACTS, "b");
	await_state(f, "a", ENTRY_CLEAN);
	await_state(f, "b", ENTRY_CLEAN);
	before = f->n;
	move(f, "a", "elsewhere");
	move(f, "b", "a");
	move(f, "elsewhere", "b");
	assert_int_equal(await(f, before, SAID_FACTS, "a")->packages, 2);
	assert_int_equal(await(f, before, SAID_FACTS, "b")->packages, 1);
	await_state(f, "a", ENTRY_CLEAN);
	await_state(f, "b", ENTRY_CLEAN);
	before = f->n;
	record(f, "a", "more", "1.0");
	history(f, "a", "install more");
	record(f, "b", "more", "1.0");
	history(f, "b", "install more");
	assert_int_equal(await(f, before, SAID_FACTS, "a")->packages, 3);
	assert_int_equal(await(f, before, SAID_FACTS, "b")->packages, 2);
}

/* A look that something happened during says nothing about where the old path leads. */
static void test_moved_and_touched(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "in/a");
	candidate(f, "in/a");
	(void)await(f, 0, SAID_FACTS, "in/a");
	await_state(f, "in/a", ENTRY_CLEAN);
	before = f->n;
	move(f, "in/a", "in/b");
	f->tear = "in/a";
	candidate(f, "in/b");
	while (f->tear != NULL)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	f->blocked = false;
	entries_go_on(f->entries);
	(void)await(f, before, SAID_FACTS, "in/b");
	(void)await(f, before, SAID_GONE, "in/a");
}

/* Nobody has heard of what is at the new path yet when that goes, too. */
static void test_moved_and_removed(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	await_state(f, "a", ENTRY_CLEAN);
	before = f->n;
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	move(f, "a", "b");
	await_unknown(f, "a");
	assert_int_equal(count(f, before, SAID_FACTS), 0);
	remove_file(f, "b/conda-meta/bar-1.0-0.json.c~");
	remove_file(f, "b/conda-meta/foo-1.0-0.json");
	remove_file(f, "b/conda-meta/history");
	remove_file(f, "b/conda-meta"); /* and b stays */
	(void)await(f, before, SAID_GONE, "a");
}

static void test_moved_and_back(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	await_state(f, "a", ENTRY_CLEAN);
	before = f->n;
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	move(f, "a", "b");
	await_unknown(f, "a");
	move(f, "b", "a");
	await_unknown(f, "b");
	record(f, "a", "bar", "1.0");
	history(f, "a", "install bar");
	remove_file(f, "a/conda-meta/bar-1.0-0.json.c~");
	assert_int_equal(await(f, before, SAID_FACTS, "a")->packages, 2);
	await_state(f, "a", ENTRY_CLEAN);
	assert_int_equal(count(f, before, SAID_GONE), 0);
}

/* The watch that is there went along with what was there before. */
static void test_folder_in_its_place(void **state)
{
	struct fixture *f = *state;

	make_env(f, "a");
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	run_for(f, 4 * SETTLE_MS);
	move(f, "a", "b");
	tmpdir_mkdir(&f->dir, "a");
	await_state(f, "a", ENTRY_PLAIN);
	run_for(f, 4 * SETTLE_MS);
	make_env(f, "a");
	assert_int_equal(await(f, 0, SAID_FACTS, "a")->packages, 1);
}

/* As after a start of the reader: the core knows an environment that was never told here. */
static void expect_env(struct fixture *f, const char *name, uint64_t id)
{
	char path[TMPDIR_PATH_MAX];
	struct stat st;

	tmpdir_path(&f->dir, name, path);
	assert_int_equal(stat(path, &st), 0);
	entries_read(f->entries, path,
		     &(struct entries_told){.dev = (uint64_t)st.st_dev, .ino = (uint64_t)st.st_ino},
		     id);
}

static void test_expected_and_moved(void **state)
{
	struct fixture *f = *state;

	make_env(f, "a");
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	expect_env(f, "a", 1);
	run_for(f, 4 * SETTLE_MS);
	move(f, "a", "b");
	await_unknown(f, "a");
	assert_int_equal(f->n, 0);
	remove_file(f, "b/conda-meta/bar-1.0-0.json.c~");
	(void)await(f, 0, SAID_GONE, "a");
	gone_after_facts(f, 0);
	assert_non_null(find(f, 0, SAID_FACTS, "b"));
}

static void test_expected_and_removed(void **state)
{
	struct fixture *f = *state;

	make_env(f, "a");
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	expect_env(f, "a", 1);
	run_for(f, 4 * SETTLE_MS);
	remove_file(f, "a/conda-meta/bar-1.0-0.json.c~");
	remove_env(f, "a");
	assert_int_equal(await(f, 0, SAID_DONE, "a")->rc, ERR_NOTFOUND);
	assert_int_equal(count(f, 0, SAID_GONE), 1);
	assert_int_equal(count(f, 0, SAID_FACTS), 0);
}

/* Taken to another disk, and a link left behind: before or after the copy was seen. */
static void test_link_in_its_place(void **state)
{
	struct fixture *f = *state;
	char copy[TMPDIR_PATH_MAX];
	char link[TMPDIR_PATH_MAX];

	for (int seen = 0; seen < 2; seen++) {
		const char *name = seen ? "a" : "b";
		size_t before = f->n;

		make_env(f, name);
		(void)await(f, before, SAID_FACTS, name);
		await_state(f, name, ENTRY_CLEAN);
		before = f->n;
		make_env(f, seen ? "disk/a" : "disk/b");
		tmpdir_path(&f->dir, seen ? "disk/a" : "disk/b", copy);
		if (seen) {
			candidate(f, "disk/a");
			(void)await(f, before, SAID_FACTS, "disk/a");
		}
		remove_env(f, name);
		tmpdir_path(&f->dir, name, link);
		assert_int_equal(symlink(copy, link), 0);
		(void)await(f, before, SAID_GONE, name);
		assert_non_null(find(f, before, SAID_FACTS, seen ? "disk/a" : "disk/b"));
	}
}

static void test_site_packages_come_last(void **state)
{
	static const char *const steps[] = {"", "a/lib", "a/lib/python3.11",
					    "a/lib/python3.11/site-packages"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (i == 0)
			make_python(f, "a");
		else
			tmpdir_mkdir(&f->dir, steps[i]);
		(void)await(f, 0, SAID_FACTS, "a");
		run_for(f, 3 * SETTLE_MS);
		await_state(f, "a", ENTRY_CLEAN);
	}
	f->n = 0;
	dist(f, "a", "demo");
	assert_int_equal(await(f, 0, SAID_FACTS, "a")->packages, 2);
}

static void test_site_packages_come_at_once(void **state)
{
	struct fixture *f = *state;

	make_python(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	await_state(f, "a", ENTRY_CLEAN);
	f->n = 0;
	dist(f, "a", "demo");
	assert_int_equal(await(f, 0, SAID_FACTS, "a")->packages, 2);
}

/* Nothing has changed when it is back; but nobody watches it any more. */
static void test_there_and_back(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_python(f, "in/a");
	dist(f, "in/a", "demo");
	candidate(f, "in/a");
	assert_int_equal(await(f, 0, SAID_FACTS, "in/a")->packages, 2);
	await_state(f, "in/a", ENTRY_CLEAN);
	before = f->n;
	move(f, "in", "out");
	entries_sweep(f->entries);
	await_state(f, "in/a", ENTRY_BUSY); /* it was not there */
	move(f, "out", "in");
	await_state(f, "in/a", ENTRY_CLEAN);
	assert_int_equal(f->n, before);
	dist(f, "in/a", "other");
	assert_int_equal(await(f, before, SAID_FACTS, "in/a")->packages, 3);
}

/* What is watched has gone elsewhere, and nothing told that. */
static void test_site_packages_replaced(void **state)
{
	struct fixture *f = *state;

	make_python(f, "a");
	dist(f, "a", "demo");
	assert_int_equal(await(f, 0, SAID_FACTS, "a")->packages, 2);
	await_state(f, "a", ENTRY_CLEAN);
	move(f, "a/lib", "a/old");
	dist(f, "a", "demo");
	f->n = 0;
	entries_sweep(f->entries);
	assert_int_equal(await(f, 0, SAID_FACTS, "a")->packages, 2);
	await_state(f, "a", ENTRY_CLEAN);
	f->n = 0;
	dist(f, "a", "other");
	assert_int_equal(await(f, 0, SAID_FACTS, "a")->packages, 3);
}

/* The folder above is not watched: nobody tells that the old path is void. */
static void test_moved_unseen(void **state)
{
	struct fixture *f = *state;
	char path[TMPDIR_PATH_MAX];
	size_t before;

	make_env(f, "in/a");
	tmpdir_path(&f->dir, "in/a", path);
	assert_int_equal(entries_candidate(f->entries, path, false), 0);
	(void)await(f, 0, SAID_FACTS, "in/a");
	run_for(f, 3 * SETTLE_MS);
	before = f->n;
	move(f, "in/a", "in/b");
	ask(f, "in/a", 5);
	ask(f, "in/b", 6);
	(void)await(f, before, SAID_FACTS, "in/b");
	run_for(f, 6 * SETTLE_MS);
	gone_after_facts(f, before);
	assert_int_equal(count(f, before, SAID_DONE), 2);
}

static void test_deleted_and_made_again(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	run_for(f, 3 * SETTLE_MS);
	before = f->n;
	remove_env(f, "a");
	assert_string_equal(await(f, before, SAID_GONE, "a")->command, "");
	assert_false(knows(f, "a"));
	before = f->n;
	make_env(f, "a");
	assert_int_equal(await(f, before, SAID_FACTS, "a")->packages, 1);
}

/* Whether this process holds a file open, by its path. */
static bool holds(struct fixture *f, const char *name)
{
	char path[TMPDIR_PATH_MAX];
	char link[512];
	char target[TMPDIR_PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir = opendir("/proc/self/fd");

	assert_non_null(dir);
	tmpdir_path(&f->dir, name, path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		ssize_t n;

		(void)snprintf(link, sizeof link, "/proc/self/fd/%s", entry->d_name);
		n = readlink(link, target, sizeof target - 1);
		target[n > 0 ? n : 0] = '\0';
		found |= strcmp(target, path) == 0;
	}
	(void)closedir(dir);
	return found;
}

/* conda begins by opening history; the section that tells of the removal goes with the file. */
static void test_removed_by_conda(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	run_for(f, 3 * SETTLE_MS);
	before = f->n;
	while (!holds(f, "a/conda-meta/history") || state_of(f, "a") != ENTRY_BUSY) {
		history(f, "a", "create -n a foo");
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
	history(f, "a", "env remove -n a");
	remove_env(f, "a");
	assert_string_equal(await(f, before, SAID_GONE, "a")->command,
			    "/opt/conda/bin/conda env remove -n a");

	before = f->n; /* held no longer than something happens */
	make_env(f, "a");
	(void)await(f, before, SAID_FACTS, "a");
	history(f, "a", "install foo");
	run_for(f, 6 * SETTLE_MS);
	while (holds(f, "a/conda-meta/history"))
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

/* The packages went, and what is left is deleted later: by conda, or who else cleans up. */
static void test_removed_in_two_steps(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	run_for(f, 3 * SETTLE_MS);
	before = f->n;
	remove_file(f, "a/conda-meta/foo-1.0-0.json");
	history(f, "a", "remove -n a --all");
	assert_int_equal(await(f, before, SAID_FACTS, "a")->packages, 0);
	record(f, "a", "foo", "1.0"); /* for remove_env */
	remove_env(f, "a");
	assert_string_equal(await(f, before, SAID_GONE, "a")->command,
			    "/opt/conda/bin/conda remove -n a --all");
}

/* What took its place was never told: the one that was is gone. */
static void test_gone_is_what_was_told(void **state)
{
	struct fixture *f = *state;
	char path[TMPDIR_PATH_MAX];
	struct stat told;
	size_t before;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	run_for(f, 3 * SETTLE_MS);
	tmpdir_path(&f->dir, "a", path);
	assert_int_equal(stat(path, &told), 0);
	before = f->n;
	tmpdir_mkdir(&f->dir, "elsewhere");
	move(f, "a", "elsewhere/a");
	make_env(f, "a");
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	run_for(f, 6 * SETTLE_MS);
	assert_int_equal(state_of(f, "a"), ENTRY_BUSY);
	remove_file(f, "a/conda-meta/bar-1.0-0.json.c~");
	remove_env(f, "a");
	assert_int_equal(await(f, before, SAID_GONE, "a")->ino, told.st_ino);
}

/* What is left after conda remove --all may hold the member's own files, and be used again. */
static void test_made_again_in_what_was_left(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	tmpdir_write_text(&f->dir, "a/notes", "mine");
	(void)await(f, 0, SAID_FACTS, "a");
	run_for(f, 3 * SETTLE_MS);
	before = f->n;
	remove_file(f, "a/conda-meta/foo-1.0-0.json");
	remove_file(f, "a/conda-meta/history");
	remove_file(f, "a/conda-meta");
	(void)await(f, before, SAID_GONE, "a");
	run_for(f, 2 * SETTLE_MS);
	before = f->n;
	make_env(f, "a");
	assert_int_equal(await(f, before, SAID_FACTS, "a")->packages, 1);
}

static void test_alias(void **state)
{
	struct fixture *f = *state;
	char a[TMPDIR_PATH_MAX];
	char link[TMPDIR_PATH_MAX];
	size_t before;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	run_for(f, 3 * SETTLE_MS);
	before = f->n;
	tmpdir_path(&f->dir, "a", a);
	tmpdir_path(&f->dir, "link", link);
	assert_int_equal(symlink(a, link), 0);
	ask(f, "link", 7);
	(void)await(f, before, SAID_FACTS, "a"); /* asked for, so read again, by its real name */
	assert_int_equal(await(f, before, SAID_DONE, "a")->id, 7);
	assert_false(knows(f, "link"));
}

static void test_never_an_environment(void **state)
{
	struct fixture *f = *state;

	tmpdir_mkdir(&f->dir, "folder");
	run_for(f, 4 * SETTLE_MS);
	assert_int_equal(f->n, 0);
	assert_int_equal(state_of(f, "folder"), ENTRY_PLAIN);
	ask(f, "folder", 1); /* is answered now, not when its time is over */
	assert_int_equal(await(f, 0, SAID_DONE, "folder")->rc, ERR_NOTFOUND);
	ask(f, "nothing", 2);
	assert_int_equal(await(f, 0, SAID_DONE, "nothing")->rc, ERR_NOTFOUND);
	assert_false(knows(f, "nothing"));
}

static void test_files_are_no_candidates(void **state)
{
	struct fixture *f = *state;

	tmpdir_write_text(&f->dir, "file", "text");
	(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_false(knows(f, "file"));
}

static void test_half_made(void **state)
{
	struct fixture *f = *state;
	struct seen *s;

	tmpdir_mkdir(&f->dir, "a/conda-meta");
	(void)await(f, 0, SAID_FACTS, "a"); /* an empty one, for the core to judge */
	make_env(f, "a");
	do
		s = await(f, f->n, SAID_FACTS, "a");
	while (s->packages == 0);
	assert_int_equal(s->packages, 1);
}

static void test_damaged_record(void **state)
{
	struct fixture *f = *state;

	tmpdir_write_text(&f->dir, "a/conda-meta/bad-1-0.json", "{\"name\": \"bad\"");
	make_env(f, "a");
	run_for(f, 6 * SETTLE_MS);
	assert_int_equal(count(f, 0, SAID_FACTS), 0); /* it may be in the middle of being written */
	record(f, "a", "bad", "1");
	history(f, "a", "install bad");
	assert_true(await(f, 0, SAID_FACTS, "a")->packages >= 2);
}

static void test_sweep_finds_what_no_event_told(void **state)
{
	struct fixture *f = *state;
	size_t before;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	run_for(f, 3 * SETTLE_MS);
	before = f->n;
	entries_sweep(f->entries);
	run_for(f, 4 * SETTLE_MS);
	assert_int_equal(f->n, before); /* unchanged: not even read */
	f->blocked = true;
	record(f, "a", "bar", "2.0");
	history(f, "a", "install bar");
	run_for(f, 4 * SETTLE_MS);
	assert_int_equal(f->n, before); /* the core is behind */
	f->blocked = false;
	entries_go_on(f->entries);
	assert_int_equal(await(f, before, SAID_FACTS, "a")->packages, 2);
}

/* Askers of one prefix are bounded, and each of them is answered. */
static void test_many_askers(void **state)
{
	struct fixture *f = *state;
	size_t busy = 0;

	make_env(f, "a");
	f->blocked = true;
	for (uint64_t id = 1; id <= 70; id++) {
		ask(f, "a", id);
		if (f->n > 0) {
			assert_int_equal(f->seen[0].rc, ERR_BUSY);
			busy++;
			f->n = 0;
		}
	}
	assert_int_equal(busy, 6);
	f->blocked = false;
	entries_go_on(f->entries);
	(void)await(f, 0, SAID_ENVIRONMENT, "a");
	assert_int_equal(count(f, 0, SAID_DONE), 64);
}

/* A prefix that somebody touches for ever is looked at all the same. */
static void test_never_quiet(void **state)
{
	struct fixture *f = *state;
	const struct clock *clock = clock_system();
	int64_t end = clock->mono_ms(clock) + 60000;
	size_t before;
	unsigned i = 0;

	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	run_for(f, 3 * SETTLE_MS);
	before = f->n;
	record(f, "a", "bar", "2.0");
	while (find(f, before, SAID_FACTS, "a") == NULL) {
		assert_true(clock->mono_ms(clock) < end);
		tmpdir_write_text(&f->dir, "a/conda-meta/state", i++ % 2 ? "1" : "22");
		history(f, "a", "install bar");
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
}

/* A record dated into the future is not for ever just written. */
static void test_dated_ahead(void **state)
{
	struct fixture *f = *state;
	const struct timespec times[2] = {{.tv_sec = 4102444800}, {.tv_sec = 4102444800}};
	char path[TMPDIR_PATH_MAX];

	make_env(f, "a");
	tmpdir_path(&f->dir, "a/conda-meta/foo-1.0-0.json", path);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(await(f, 0, SAID_FACTS, "a")->packages, 1);
}

static void test_denied(void **state)
{
	struct fixture *f = *state;
	struct entries_health health;
	char path[TMPDIR_PATH_MAX];

	if (geteuid() == 0) {
		print_message("root may read everything: skipped\n");
		skip();
	}
	make_env(f, "a");
	(void)await(f, 0, SAID_FACTS, "a");
	tmpdir_path(&f->dir, "a/conda-meta", path);
	assert_int_equal(chmod(path, 0), 0);
	for (int i = 0; i < 3; i++) {
		entries_sweep(f->entries);
		run_for(f, 3 * SETTLE_MS);
	}
	entries_health(f->entries, &health);
	assert_int_equal(health.denied, 1);
	assert_int_equal(state_of(f, "a"), ENTRY_DENIED);
	assert_int_equal(count(f, 0, SAID_GONE), 0);
	assert_int_equal(chmod(path, 0755), 0);
	entries_sweep(f->entries);
	run_for(f, 3 * SETTLE_MS);
	entries_health(f->entries, &health);
	assert_int_equal(health.denied, 0);
}

/* Scratch folders come by the thousand: few of them are kept an eye on. */
static void test_many_plain_folders(void **state)
{
	struct fixture *f = *state;
	struct entries_health health;
	char name[32];
	size_t known = 0;

	for (unsigned i = 0; i < 600; i++) {
		(void)snprintf(name, sizeof name, "p%u", i);
		tmpdir_mkdir(&f->dir, name);
	}
	run_for(f, 2000);
	while (!entries_all_looked(f->entries))
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	for (unsigned i = 0; i < 600; i++) {
		(void)snprintf(name, sizeof name, "p%u", i);
		known += knows(f, name);
	}
	assert_int_equal(known, 512);
	make_env(f, "p599");
	assert_int_equal(await(f, 0, SAID_FACTS, "p599")->packages, 1);
	entries_health(f->entries, &health);
	assert_int_equal(health.environments, 1);
}

/* Stopping while a look is under way, and with somebody waiting. */
static void test_stop_in_the_middle(void **state)
{
	struct fixture *f = *state;

	make_env(f, "a");
	make_env(f, "b");
	ask(f, "a", 1);
	ask(f, "b", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(test_created_and_changed),
		T(test_rolled_back_is_no_change),
		T(test_moved),
		T(test_moved_and_another_in_its_place),
		T(test_swapped),
		T(test_moved_and_touched),
		T(test_moved_and_removed),
		T(test_moved_and_back),
		T(test_folder_in_its_place),
		T(test_expected_and_moved),
		T(test_expected_and_removed),
		T(test_link_in_its_place),
		T(test_site_packages_come_last),
		T(test_site_packages_come_at_once),
		T(test_there_and_back),
		T(test_site_packages_replaced),
		T(test_moved_unseen),
		T(test_deleted_and_made_again),
		T(test_removed_by_conda),
		T(test_removed_in_two_steps),
		T(test_gone_is_what_was_told),
		T(test_made_again_in_what_was_left),
		T(test_alias),
		T(test_never_an_environment),
		T(test_files_are_no_candidates),
		T(test_half_made),
		T(test_damaged_record),
		T(test_sweep_finds_what_no_event_told),
		T(test_many_askers),
		T(test_never_quiet),
		T(test_dated_ahead),
		T(test_denied),
		T(test_many_plain_folders),
		T(test_stop_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
