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

#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "platform/clock.h"
#include "tests/agent/reader/entries_stage.h"

static void test_created_and_changed(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "a")->packages, 1);
	(void)stage_await(f, 0, SAID_ENVIRONMENT, "a");
	stage_run_for(f, 4 * SETTLE_MS);
	assert_int_equal(stage_count(f, 0, SAID_FACTS), 1);
	assert_int_equal(stage_state(f, "a"), ENTRY_CLEAN);

	before = f->n;
	stage_record(f, "a", "bar", "2.0");
	stage_history(f, "a", "install bar");
	assert_int_equal(stage_await(f, before, SAID_FACTS, "a")->packages, 2);
	assert_int_equal(stage_count(f, 0, SAID_ENVIRONMENT), 1);
}

static void test_rolled_back_is_no_change(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_run_for(f, 3 * SETTLE_MS);
	before = f->n;
	stage_move(f, "a/conda-meta/foo-1.0-0.json", "a/conda-meta/foo-1.0-0.json.c~");
	stage_run_for(f, 4 * SETTLE_MS);
	assert_int_equal(stage_state(f, "a"), ENTRY_BUSY);
	assert_int_equal(f->n, before);
	stage_move(f, "a/conda-meta/foo-1.0-0.json.c~", "a/conda-meta/foo-1.0-0.json");
	stage_run_for(f, 12 * SETTLE_MS);
	/* Its time of change is new, so it may be told again, but whole. */
	for (size_t i = before; i < f->n; i++)
		assert_true(f->seen[i].said == SAID_FACTS && f->seen[i].packages == 1);
}

static void test_site_packages_come_last(void **state)
{
	static const char *const steps[] = {"", "a/lib", "a/lib/python3.11",
					    "a/lib/python3.11/site-packages"};
	struct stage *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (i == 0)
			stage_make_python(f, "a");
		else
			tmpdir_mkdir(&f->dir, steps[i]);
		(void)stage_await(f, 0, SAID_FACTS, "a");
		stage_run_for(f, 3 * SETTLE_MS);
		stage_await_state(f, "a", ENTRY_CLEAN);
	}
	f->n = 0;
	stage_dist(f, "a", "demo");
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "a")->packages, 2);
}

/* What comes into a distribution's folder is no event of site-packages. */
static void test_distribution_is_finished_late(void **state)
{
	struct stage *f = *state;

	stage_make_python(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_await_state(f, "a", ENTRY_CLEAN);
	f->n = 0;
	stage_dist(f, "a", "demo"); /* all of the way to it at once */
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "a")->packages, 2);
	stage_run_for(f, 3 * SETTLE_MS);
	assert_int_equal(stage_state(f, "a"), ENTRY_CLEAN);
	f->n = 0;
	tmpdir_write_text(&f->dir, "a/lib/python3.11/site-packages/demo-1.0.dist-info/REQUESTED",
			  "");
	(void)stage_await(f, 0, SAID_FACTS, "a");
}

/* What is watched has gone elsewhere, and nothing told that. */
static void test_site_packages_replaced(void **state)
{
	struct stage *f = *state;

	stage_make_python(f, "a");
	stage_dist(f, "a", "demo");
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "a")->packages, 2);
	stage_await_state(f, "a", ENTRY_CLEAN);
	stage_move(f, "a/lib", "a/old");
	stage_dist(f, "a", "demo");
	f->n = 0;
	entries_sweep(f->entries);
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "a")->packages, 2);
	stage_await_state(f, "a", ENTRY_CLEAN);
	f->n = 0;
	stage_dist(f, "a", "other");
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "a")->packages, 3);
}

static void test_deleted_and_made_again(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_run_for(f, 3 * SETTLE_MS);
	before = f->n;
	stage_remove_env(f, "a");
	assert_string_equal(stage_await(f, before, SAID_GONE, "a")->command, "");
	assert_false(stage_knows(f, "a"));
	before = f->n;
	stage_make_env(f, "a");
	assert_int_equal(stage_await(f, before, SAID_FACTS, "a")->packages, 1);
}

/* Whether this process holds a file open, by its path. */
static bool holds(struct stage *f, const char *name)
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
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_run_for(f, 3 * SETTLE_MS);
	before = f->n;
	while (!holds(f, "a/conda-meta/history") || stage_state(f, "a") != ENTRY_BUSY) {
		stage_history(f, "a", "create -n a foo");
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
	stage_history(f, "a", "env remove -n a");
	stage_remove_env(f, "a");
	assert_string_equal(stage_await(f, before, SAID_GONE, "a")->command,
			    "/opt/conda/bin/conda env remove -n a");

	before = f->n; /* held no longer than something happens */
	stage_make_env(f, "a");
	(void)stage_await(f, before, SAID_FACTS, "a");
	stage_history(f, "a", "install foo");
	stage_run_for(f, 6 * SETTLE_MS);
	while (holds(f, "a/conda-meta/history"))
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

/* The packages went, and what is left is deleted later: by conda, or who else cleans up. */
static void test_removed_in_two_steps(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_run_for(f, 3 * SETTLE_MS);
	before = f->n;
	stage_remove_file(f, "a/conda-meta/foo-1.0-0.json");
	stage_history(f, "a", "remove -n a --all");
	assert_int_equal(stage_await(f, before, SAID_FACTS, "a")->packages, 0);
	stage_record(f, "a", "foo", "1.0"); /* for remove_env */
	stage_remove_env(f, "a");
	assert_string_equal(stage_await(f, before, SAID_GONE, "a")->command,
			    "/opt/conda/bin/conda remove -n a --all");
}

/* What took its place was never told: the one that was is gone. */
static void test_gone_is_what_was_told(void **state)
{
	struct stage *f = *state;
	char path[TMPDIR_PATH_MAX];
	struct stat told;
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_run_for(f, 3 * SETTLE_MS);
	tmpdir_path(&f->dir, "a", path);
	assert_int_equal(stat(path, &told), 0);
	before = f->n;
	tmpdir_mkdir(&f->dir, "elsewhere");
	stage_move(f, "a", "elsewhere/a");
	stage_make_env(f, "a");
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	stage_run_for(f, 6 * SETTLE_MS);
	assert_int_equal(stage_state(f, "a"), ENTRY_BUSY);
	stage_remove_file(f, "a/conda-meta/bar-1.0-0.json.c~");
	stage_remove_env(f, "a");
	assert_int_equal(stage_await(f, before, SAID_GONE, "a")->ino, told.st_ino);
}

/* What is left after conda remove --all may hold the member's own files, and be used again. */
static void test_made_again_in_what_was_left(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	tmpdir_write_text(&f->dir, "a/notes", "mine");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_run_for(f, 3 * SETTLE_MS);
	before = f->n;
	stage_remove_file(f, "a/conda-meta/foo-1.0-0.json");
	stage_remove_file(f, "a/conda-meta/history");
	stage_remove_file(f, "a/conda-meta");
	(void)stage_await(f, before, SAID_GONE, "a");
	stage_run_for(f, 2 * SETTLE_MS);
	before = f->n;
	stage_make_env(f, "a");
	assert_int_equal(stage_await(f, before, SAID_FACTS, "a")->packages, 1);
}

static void test_never_an_environment(void **state)
{
	struct stage *f = *state;

	tmpdir_mkdir(&f->dir, "folder");
	stage_run_for(f, 4 * SETTLE_MS);
	assert_int_equal(f->n, 0);
	assert_int_equal(stage_state(f, "folder"), ENTRY_PLAIN);
	stage_ask(f, "folder", 1); /* is answered now, not when its time is over */
	assert_int_equal(stage_await(f, 0, SAID_DONE, "folder")->rc, ERR_NOTFOUND);
	stage_ask(f, "nothing", 2);
	assert_int_equal(stage_await(f, 0, SAID_DONE, "nothing")->rc, ERR_NOTFOUND);
	assert_false(stage_knows(f, "nothing"));
}

static void test_files_are_no_candidates(void **state)
{
	struct stage *f = *state;

	tmpdir_write_text(&f->dir, "file", "text");
	(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_false(stage_knows(f, "file"));
}

static void test_half_made(void **state)
{
	struct stage *f = *state;
	struct seen *s;

	tmpdir_mkdir(&f->dir, "a/conda-meta");
	(void)stage_await(f, 0, SAID_FACTS, "a"); /* an empty one, for the core to judge */
	stage_make_env(f, "a");
	do
		s = stage_await(f, f->n, SAID_FACTS, "a");
	while (s->packages == 0);
	assert_int_equal(s->packages, 1);
}

static void test_damaged_record(void **state)
{
	struct stage *f = *state;

	tmpdir_write_text(&f->dir, "a/conda-meta/bad-1-0.json", "{\"name\": \"bad\"");
	stage_make_env(f, "a");
	stage_run_for(f, 6 * SETTLE_MS);
	assert_int_equal(stage_count(f, 0, SAID_FACTS),
			 0); /* it may be in the middle of being written */
	stage_record(f, "a", "bad", "1");
	stage_history(f, "a", "install bad");
	assert_true(stage_await(f, 0, SAID_FACTS, "a")->packages >= 2);
}

static void test_sweep_finds_what_no_event_told(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_run_for(f, 3 * SETTLE_MS);
	before = f->n;
	entries_sweep(f->entries);
	stage_run_for(f, 4 * SETTLE_MS);
	assert_int_equal(f->n, before); /* unchanged: not even read */
	f->blocked = true;
	stage_record(f, "a", "bar", "2.0");
	stage_history(f, "a", "install bar");
	stage_run_for(f, 4 * SETTLE_MS);
	assert_int_equal(f->n, before); /* the core is behind */
	f->blocked = false;
	entries_go_on(f->entries);
	assert_int_equal(stage_await(f, before, SAID_FACTS, "a")->packages, 2);
}

/* Askers of one prefix are bounded, and each of them is answered. */
static void test_many_askers(void **state)
{
	struct stage *f = *state;
	size_t busy = 0;

	stage_make_env(f, "a");
	f->blocked = true;
	for (uint64_t id = 1; id <= 70; id++) {
		stage_ask(f, "a", id);
		if (f->n > 0) {
			assert_int_equal(f->seen[0].rc, ERR_BUSY);
			busy++;
			f->n = 0;
		}
	}
	assert_int_equal(busy, 6);
	f->blocked = false;
	entries_go_on(f->entries);
	(void)stage_await(f, 0, SAID_ENVIRONMENT, "a");
	assert_int_equal(stage_count(f, 0, SAID_DONE), 64);
}

/* A prefix that somebody touches for ever is looked at all the same. */
static void test_never_quiet(void **state)
{
	struct stage *f = *state;
	const struct clock *clock = clock_system();
	int64_t end = clock->mono_ms(clock) + 60000;
	size_t before;
	unsigned i = 0;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_run_for(f, 3 * SETTLE_MS);
	before = f->n;
	stage_record(f, "a", "bar", "2.0");
	while (stage_find(f, before, SAID_FACTS, "a") == NULL) {
		assert_true(clock->mono_ms(clock) < end);
		tmpdir_write_text(&f->dir, "a/conda-meta/state", i++ % 2 ? "1" : "22");
		stage_history(f, "a", "install bar");
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
}

/* A record dated into the future is not for ever just written. */
static void test_dated_ahead(void **state)
{
	struct stage *f = *state;
	const struct timespec times[2] = {{.tv_sec = 4102444800}, {.tv_sec = 4102444800}};
	char path[TMPDIR_PATH_MAX];

	stage_make_env(f, "a");
	tmpdir_path(&f->dir, "a/conda-meta/foo-1.0-0.json", path);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "a")->packages, 1);
}

static void test_denied(void **state)
{
	struct stage *f = *state;
	struct entries_health health;
	char path[TMPDIR_PATH_MAX];

	if (geteuid() == 0) {
		print_message("root may read everything: skipped\n");
		skip();
	}
	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	tmpdir_path(&f->dir, "a/conda-meta", path);
	assert_int_equal(chmod(path, 0), 0);
	for (int i = 0; i < 3; i++) {
		entries_sweep(f->entries);
		stage_run_for(f, 3 * SETTLE_MS);
	}
	entries_health(f->entries, &health);
	assert_int_equal(health.denied, 1);
	assert_int_equal(stage_state(f, "a"), ENTRY_DENIED);
	assert_int_equal(stage_count(f, 0, SAID_GONE), 0);
	assert_int_equal(chmod(path, 0755), 0);
	entries_sweep(f->entries);
	stage_run_for(f, 3 * SETTLE_MS);
	entries_health(f->entries, &health);
	assert_int_equal(health.denied, 0);
}

/* Scratch folders come by the thousand: few of them are kept an eye on. */
static void test_many_plain_folders(void **state)
{
	struct stage *f = *state;
	struct entries_health health;
	char name[32];
	size_t known = 0;

	for (unsigned i = 0; i < 600; i++) {
		(void)snprintf(name, sizeof name, "p%u", i);
		tmpdir_mkdir(&f->dir, name);
	}
	stage_run_for(f, 2000);
	while (!entries_all_looked(f->entries))
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	for (unsigned i = 0; i < 600; i++) {
		(void)snprintf(name, sizeof name, "p%u", i);
		known += stage_knows(f, name);
	}
	assert_int_equal(known, 512);
	stage_make_env(f, "p599");
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "p599")->packages, 1);
	entries_health(f->entries, &health);
	assert_int_equal(health.environments, 1);
}

/* Stopping while a look is under way, and with somebody waiting. */
static void test_stop_in_the_middle(void **state)
{
	struct stage *f = *state;

	stage_make_env(f, "a");
	stage_make_env(f, "b");
	stage_ask(f, "a", 1);
	stage_ask(f, "b", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)
		T(test_created_and_changed),
		T(test_rolled_back_is_no_change),
		T(test_site_packages_come_last),
		T(test_distribution_is_finished_late),
		T(test_site_packages_replaced),
		T(test_deleted_and_made_again),
		T(test_removed_by_conda),
		T(test_removed_in_two_steps),
		T(test_gone_is_what_was_told),
		T(test_made_again_in_what_was_left),
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
