#include "agent/reader/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "agent/reader/condarc_path.h"
#include "agent/reader/lanes.h"
#include "agent/reader/watch_user.h"
#include "lib/base/clock.h"
#include "platform/clock.h"
#include "tests/support/tmpdir.h"

#define SEEN_MAX 64
#define PATIENCE_MS 20000

enum said {
	SAID_CANDIDATE,
	SAID_TOUCHED,
	SAID_TO_OTHER, /* the other user of the folder's watch heard of something */
};

struct seen {
	enum said said;
	char path[TMPDIR_PATH_MAX];
};

struct fixture {
	struct tmpdir dir;
	uv_loop_t loop;
	uv_timer_t tick; /* so that conditions are looked at even when nothing happens */
	struct watcher *watcher;
	struct lanes *lanes;
	struct condarc_cache *condarc;
	struct places *places;
	struct watch_user other; /* as an entry that may become an environment */
	struct seen seen[SEEN_MAX];
	size_t n;
	bool caught_up;
	unsigned stopped;
};

static void note(struct fixture *f, enum said said, const char *path)
{
	assert_true(f->n < SEEN_MAX);
	f->seen[f->n].said = said;
	(void)snprintf(f->seen[f->n++].path, TMPDIR_PATH_MAX, "%s", path);
}

static void on_candidate(void *ctx, const char *path)
{
	note(ctx, SAID_CANDIDATE, path);
}

static void on_touched(void *ctx, const char *path)
{
	note(ctx, SAID_TOUCHED, path);
}

static void on_runs(void *ctx, const struct discover_program *program)
{
	(void)ctx;
	(void)program;
}

static void on_caught_up(void *ctx)
{
	struct fixture *f = ctx;

	f->caught_up = true;
}

static void on_watch(void *ctx, int watch, void *user, enum watch_kind kind, const char *name)
{
	struct watch_user *which = user;

	(void)watch;
	if (which->kind == WATCH_USER_PLACE)
		places_watched(which, kind, name);
	else
		note(ctx, SAID_TO_OTHER, name != NULL ? name : "");
}

static void on_changed(void *ctx)
{
	(void)ctx;
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

static int setup(void **state)
{
	static const struct places_callbacks callbacks = {.candidate = on_candidate,
							  .touched = on_touched,
							  .runs = on_runs,
							  .caught_up = on_caught_up};
	static struct fixture f;

	f = (struct fixture){0};
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
	f.condarc = condarc_cache_new();
	assert_non_null(f.condarc);
	assert_int_equal(places_new(&(struct places_config){.lanes = f.lanes,
							    .clock = clock_system(),
							    .condarc = f.condarc,
							    .callbacks = &callbacks,
							    .ctx = &f},
				    &f.places, NULL),
			 0);
	places_set_watcher(f.places, f.watcher);
	f.other = (struct watch_user){WATCH_USER_ENTRY, WATCH_NONE, NULL};
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

static void on_places_stopped(void *owner)
{
	struct fixture *f = owner;

	f->stopped++;
	lanes_stop(f->lanes, on_lanes_stopped, f);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	uv_close((uv_handle_t *)&f->tick, NULL);
	places_stop(f->places, on_places_stopped, f);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(f->stopped, 3);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	condarc_cache_free(f->condarc);
	tmpdir_remove(&f->dir);
	return 0;
}

static size_t count(const struct fixture *f, enum said said, const char *path)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->seen[i].said == said && strcmp(f->seen[i].path, path) == 0;
	return n;
}

static void await(struct fixture *f, enum said said, const char *path)
{
	const struct clock *clock = clock_system();
	int64_t end = clock->mono_ms(clock) + PATIENCE_MS;

	while (count(f, said, path) == 0 && clock->mono_ms(clock) < end)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	if (count(f, said, path) == 0)
		fail_msg("nothing heard of %s", path);
}

static void add(struct fixture *f, enum place_kind kind, const char *path)
{
	f->caught_up = false;
	assert_int_equal(places_add(f->places, kind, path), 0);
	while (!f->caught_up || places_scanning(f->places))
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

static void tells_what_comes(void **state)
{
	struct fixture *f = *state;
	char folder[TMPDIR_PATH_MAX];
	char env[TMPDIR_PATH_MAX];

	tmpdir_mkdir(&f->dir, "envs");
	tmpdir_mkdir(&f->dir, "envs/old/conda-meta");
	tmpdir_path(&f->dir, "envs", folder);
	add(f, PLACE_ENVS, folder);
	tmpdir_path(&f->dir, "envs/old", env);
	await(f, SAID_CANDIDATE, env);
	tmpdir_mkdir(&f->dir, "envs/new");
	tmpdir_path(&f->dir, "envs/new", env);
	await(f, SAID_TOUCHED, env);
}

/* The folder was a candidate before it was known to hold environments; or is one later. */
static void shares_its_watch(void **state)
{
	struct fixture *f = *state;
	char folder[TMPDIR_PATH_MAX];
	char env[TMPDIR_PATH_MAX];

	tmpdir_mkdir(&f->dir, "envs");
	tmpdir_path(&f->dir, "envs", folder);
	assert_int_equal(
		watcher_add(f->watcher, folder, WATCH_FOLDERS, &f->other, &f->other.watch, NULL),
		0);
	add(f, PLACE_ENVS, folder);
	tmpdir_mkdir(&f->dir, "envs/one");
	tmpdir_path(&f->dir, "envs/one", env);
	await(f, SAID_TOUCHED, env);
	await(f, SAID_TO_OTHER, "one");

	watcher_remove(f->watcher, f->other.watch, &f->other);
	tmpdir_mkdir(&f->dir, "envs/two");
	tmpdir_path(&f->dir, "envs/two", env);
	await(f, SAID_TOUCHED, env);
	assert_int_equal(count(f, SAID_TO_OTHER, "two"), 0);
}

/* Two names of one folder: what comes is told by both. */
static void two_names(void **state)
{
	struct fixture *f = *state;
	char folder[TMPDIR_PATH_MAX];
	char alias[TMPDIR_PATH_MAX];
	char env[TMPDIR_PATH_MAX];

	tmpdir_mkdir(&f->dir, "envs");
	tmpdir_path(&f->dir, "envs", folder);
	tmpdir_path(&f->dir, "alias", alias);
	assert_int_equal(symlink(f->dir.path, alias), 0);
	tmpdir_path(&f->dir, "alias/envs", alias);
	add(f, PLACE_ENVS, folder);
	add(f, PLACE_ENVS, alias);
	tmpdir_mkdir(&f->dir, "envs/new");
	tmpdir_path(&f->dir, "envs/new", env);
	await(f, SAID_TOUCHED, env);
	tmpdir_path(&f->dir, "alias/envs/new", env);
	await(f, SAID_TOUCHED, env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tells_what_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(shares_its_watch, setup, teardown),
		cmocka_unit_test_setup_teardown(two_names, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
