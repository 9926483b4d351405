/* What is known by other paths than before: moves, links, and what took their places. */
#include "agent/reader/entries.h"

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

#include "tests/agent/reader/entries_stage.h"

/* The old path is told gone, once, when the facts of the new one were told. */
static void gone_after_facts(struct stage *f, size_t from)
{
	size_t facts = 0;

	assert_int_equal(stage_count(f, from, SAID_GONE), 1);
	for (size_t i = from; i < f->n && f->seen[i].said != SAID_GONE; i++)
		facts += f->seen[i].said == SAID_FACTS;
	assert_true(facts > 0);
}

static void test_moved(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_run_for(f, 3 * SETTLE_MS);
	before = f->n;
	stage_move(f, "a", "b");
	(void)stage_await(f, before, SAID_FACTS, "b");
	stage_run_for(f, 12 * SETTLE_MS);
	/* The core sees by the inode that it is the same one; "gone" before would make it two. */
	gone_after_facts(f, before);
	assert_false(stage_knows(f, "a"));

	before = f->n;
	stage_record(f, "b", "bar", "2.0");
	stage_history(f, "b", "install bar");
	assert_int_equal(stage_await(f, before, SAID_FACTS, "b")->packages, 2);
}

/* However much of the first move was seen when the second came. */
static void test_moved_and_another_in_its_place(void **state)
{
	struct stage *f = *state;

	for (unsigned pause = 0; pause < 8; pause++) {
		const char letter = (char)('a' + 3 * pause);
		const char first[] = {letter, '\0'};
		const char second[] = {(char)(letter + 1), '\0'};
		const char third[] = {(char)(letter + 2), '\0'};
		size_t before = f->n;

		stage_make_env(f, first);
		stage_make_env(f, second);
		(void)stage_await(f, before, SAID_FACTS, first);
		(void)stage_await(f, before, SAID_FACTS, second);
		stage_run_for(f, 3 * SETTLE_MS);
		before = f->n;
		stage_move(f, first, third);
		stage_run_for(f, pause * SETTLE_MS / 2);
		stage_move(f, second, first);
		(void)stage_await(f, before, SAID_FACTS, third);
		(void)stage_await(f, before, SAID_FACTS, first);
	}
}

/* Each path leads to the directory that the other one is known by. */
static void test_swapped(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	stage_make_env(f, "b");
	stage_record(f, "b", "bar", "1.0");
	stage_history(f, "b", "install bar");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	(void)stage_await(f, 0, SAID_FACTS, "b");
	stage_await_state(f, "a", ENTRY_CLEAN);
	stage_await_state(f, "b", ENTRY_CLEAN);
	before = f->n;
	stage_move(f, "a", "elsewhere");
	stage_move(f, "b", "a");
	stage_move(f, "elsewhere", "b");
	assert_int_equal(stage_await(f, before, SAID_FACTS, "a")->packages, 2);
	assert_int_equal(stage_await(f, before, SAID_FACTS, "b")->packages, 1);
	stage_await_state(f, "a", ENTRY_CLEAN);
	stage_await_state(f, "b", ENTRY_CLEAN);
	before = f->n;
	stage_record(f, "a", "more", "1.0");
	stage_history(f, "a", "install more");
	stage_record(f, "b", "more", "1.0");
	stage_history(f, "b", "install more");
	assert_int_equal(stage_await(f, before, SAID_FACTS, "a")->packages, 3);
	assert_int_equal(stage_await(f, before, SAID_FACTS, "b")->packages, 2);
}

/* Each is watched where it is: what happens in one of them only is heard, too. */
static void test_swapped_and_changed(void **state)
{
	static const char *const names[] = {"a", "b"};
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	stage_make_env(f, "b");
	stage_record(f, "b", "bar", "1.0");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	(void)stage_await(f, 0, SAID_FACTS, "b");
	stage_await_state(f, "a", ENTRY_CLEAN);
	stage_await_state(f, "b", ENTRY_CLEAN);
	before = f->n;
	stage_move(f, "a", "elsewhere");
	stage_move(f, "b", "a");
	stage_move(f, "elsewhere", "b");
	(void)stage_await(f, before, SAID_FACTS, "a");
	(void)stage_await(f, before, SAID_FACTS, "b");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		stage_await_state(f, "a", ENTRY_CLEAN);
		stage_await_state(f, "b", ENTRY_CLEAN);
		before = f->n;
		stage_record(f, names[i], "more", "1.0");
		(void)stage_await(f, before, SAID_FACTS, names[i]);
	}
}

/*
 * What was watched went with events that were lost, its end too: another conda-meta is there. The
 * sweep that follows finds that.
 */
static void test_end_of_watch_lost(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_await_state(f, "a", ENTRY_CLEAN);
	f->deaf = true;
	stage_move(f, "a/conda-meta", "old");
	stage_record(f, "a", "foo", "1.0");
	stage_history(f, "a", "install foo");
	stage_run_for(f, SETTLE_MS);
	f->deaf = false;
	entries_sweep(f->entries);
	stage_run_for(f, 3 * SETTLE_MS);
	stage_await_state(f, "a", ENTRY_CLEAN);
	before = f->n;
	stage_record(f, "a", "bar", "2.0");
	assert_int_equal(stage_await(f, before, SAID_FACTS, "a")->packages, 2);
}

/* A look that something happened during says nothing about where the old path leads. */
static void test_moved_and_touched(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "in/a");
	stage_candidate(f, "in/a");
	(void)stage_await(f, 0, SAID_FACTS, "in/a");
	stage_await_state(f, "in/a", ENTRY_CLEAN);
	before = f->n;
	stage_move(f, "in/a", "in/b");
	f->tear = "in/a";
	stage_candidate(f, "in/b");
	while (f->tear != NULL)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	f->blocked = false;
	entries_go_on(f->entries);
	(void)stage_await(f, before, SAID_FACTS, "in/b");
	(void)stage_await(f, before, SAID_GONE, "in/a");
}

/* Nobody has heard of what is at the new path yet when that goes, too. */
static void test_moved_and_removed(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_await_state(f, "a", ENTRY_CLEAN);
	before = f->n;
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	stage_move(f, "a", "b");
	stage_await_unknown(f, "a");
	assert_int_equal(stage_count(f, before, SAID_FACTS), 0);
	stage_remove_file(f, "b/conda-meta/bar-1.0-0.json.c~");
	stage_remove_file(f, "b/conda-meta/foo-1.0-0.json");
	stage_remove_file(f, "b/conda-meta/history");
	stage_remove_file(f, "b/conda-meta"); /* and b stays */
	(void)stage_await(f, before, SAID_GONE, "a");
}

static void test_moved_and_back(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_await_state(f, "a", ENTRY_CLEAN);
	before = f->n;
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	stage_move(f, "a", "b");
	stage_await_unknown(f, "a");
	stage_move(f, "b", "a");
	stage_await_unknown(f, "b");
	stage_record(f, "a", "bar", "1.0");
	stage_history(f, "a", "install bar");
	stage_remove_file(f, "a/conda-meta/bar-1.0-0.json.c~");
	assert_int_equal(stage_await(f, before, SAID_FACTS, "a")->packages, 2);
	stage_await_state(f, "a", ENTRY_CLEAN);
	assert_int_equal(stage_count(f, before, SAID_GONE), 0);
}

/* The watch that is there went along with what was there before. */
static void test_folder_in_its_place(void **state)
{
	struct stage *f = *state;

	stage_make_env(f, "a");
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	stage_run_for(f, 4 * SETTLE_MS);
	stage_move(f, "a", "b");
	tmpdir_mkdir(&f->dir, "a");
	stage_await_state(f, "a", ENTRY_PLAIN);
	stage_run_for(f, 4 * SETTLE_MS);
	stage_make_env(f, "a");
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "a")->packages, 1);
}

/* As after a start of the reader: the core knows an environment that was never told here. */
static void expect_env(struct stage *f, const char *name, uint64_t id)
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
	struct stage *f = *state;

	stage_make_env(f, "a");
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	expect_env(f, "a", 1);
	stage_run_for(f, 4 * SETTLE_MS);
	stage_move(f, "a", "b");
	stage_await_unknown(f, "a");
	assert_int_equal(f->n, 0);
	stage_remove_file(f, "b/conda-meta/bar-1.0-0.json.c~");
	(void)stage_await(f, 0, SAID_GONE, "a");
	gone_after_facts(f, 0);
	assert_non_null(stage_find(f, 0, SAID_FACTS, "b"));
}

static void test_expected_and_removed(void **state)
{
	struct stage *f = *state;

	stage_make_env(f, "a");
	tmpdir_write_text(&f->dir, "a/conda-meta/bar-1.0-0.json.c~", "{}"); /* not settled */
	expect_env(f, "a", 1);
	stage_run_for(f, 4 * SETTLE_MS);
	stage_remove_file(f, "a/conda-meta/bar-1.0-0.json.c~");
	stage_remove_env(f, "a");
	assert_int_equal(stage_await(f, 0, SAID_DONE, "a")->rc, ERR_NOTFOUND);
	assert_int_equal(stage_count(f, 0, SAID_GONE), 1);
	assert_int_equal(stage_count(f, 0, SAID_FACTS), 0);
}

/* While nobody looked, or while a reader that begins was looking elsewhere. */
static void test_expected_and_moved_before(void **state)
{
	struct stage *f = *state;
	struct entries_told told;
	char path[TMPDIR_PATH_MAX];
	struct stat st;

	stage_make_env(f, "a");
	tmpdir_path(&f->dir, "a", path);
	assert_int_equal(stat(path, &st), 0);
	told = (struct entries_told){.dev = (uint64_t)st.st_dev, .ino = (uint64_t)st.st_ino};
	stage_move(f, "a", "b");
	stage_candidate(f, "b");
	entries_read(f->entries, path, &told, 1);
	/* Whoever asked takes this answer for its end: the core must know the new place by then. */
	assert_int_equal(stage_await(f, 0, SAID_DONE, "a")->rc, ERR_NOTFOUND);
	assert_true(stage_find(f, 0, SAID_FACTS, "b") < stage_find(f, 0, SAID_DONE, "a"));
	assert_non_null(stage_find(f, 0, SAID_FACTS, "b"));
}

/* Taken to another disk, and a link left behind: before or after the copy was seen. */
static void test_link_in_its_place(void **state)
{
	struct stage *f = *state;
	char copy[TMPDIR_PATH_MAX];
	char link[TMPDIR_PATH_MAX];

	for (int seen = 0; seen < 2; seen++) {
		const char *name = seen ? "a" : "b";
		size_t before = f->n;

		stage_make_env(f, name);
		(void)stage_await(f, before, SAID_FACTS, name);
		stage_await_state(f, name, ENTRY_CLEAN);
		before = f->n;
		stage_make_env(f, seen ? "disk/a" : "disk/b");
		tmpdir_path(&f->dir, seen ? "disk/a" : "disk/b", copy);
		if (seen) {
			stage_candidate(f, "disk/a");
			(void)stage_await(f, before, SAID_FACTS, "disk/a");
		}
		stage_remove_env(f, name);
		tmpdir_path(&f->dir, name, link);
		assert_int_equal(symlink(copy, link), 0);
		(void)stage_await(f, before, SAID_GONE, name);
		assert_non_null(stage_find(f, before, SAID_FACTS, seen ? "disk/a" : "disk/b"));
	}
}

/* The folder above is not watched: nobody tells that the old path is void. */
static void test_moved_unseen(void **state)
{
	struct stage *f = *state;
	char path[TMPDIR_PATH_MAX];
	size_t before;

	stage_make_env(f, "in/a");
	tmpdir_path(&f->dir, "in/a", path);
	assert_int_equal(entries_candidate(f->entries, path, false), 0);
	(void)stage_await(f, 0, SAID_FACTS, "in/a");
	stage_run_for(f, 3 * SETTLE_MS);
	before = f->n;
	stage_move(f, "in/a", "in/b");
	stage_ask(f, "in/a", 5);
	stage_ask(f, "in/b", 6);
	(void)stage_await(f, before, SAID_FACTS, "in/b");
	stage_run_for(f, 6 * SETTLE_MS);
	gone_after_facts(f, before);
	assert_int_equal(stage_count(f, before, SAID_DONE), 2);
}

static void test_alias(void **state)
{
	struct stage *f = *state;
	char a[TMPDIR_PATH_MAX];
	char link[TMPDIR_PATH_MAX];
	size_t before;

	stage_make_env(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_run_for(f, 3 * SETTLE_MS);
	before = f->n;
	tmpdir_path(&f->dir, "a", a);
	tmpdir_path(&f->dir, "link", link);
	assert_int_equal(symlink(a, link), 0);
	stage_ask(f, "link", 7);
	(void)stage_await(f, before, SAID_FACTS,
			  "a"); /* asked for, so read again, by its real name */
	assert_int_equal(stage_await(f, before, SAID_DONE, "a")->id, 7);
	assert_false(stage_knows(f, "link"));
}

/* Nothing has changed when it is back; but nobody watches it any more. */
static void test_there_and_back(void **state)
{
	struct stage *f = *state;
	size_t before;

	stage_make_python(f, "in/a");
	stage_dist(f, "in/a", "demo");
	stage_candidate(f, "in/a");
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "in/a")->packages, 2);
	stage_await_state(f, "in/a", ENTRY_CLEAN);
	before = f->n;
	stage_move(f, "in", "out");
	entries_sweep(f->entries);
	stage_await_state(f, "in/a", ENTRY_BUSY); /* it was not there */
	stage_move(f, "out", "in");
	stage_await_state(f, "in/a", ENTRY_CLEAN);
	/* Told again: the folder it is in may be another one now. */
	assert_non_null(stage_find(f, before, SAID_ENVIRONMENT, "in/a"));
	assert_int_equal(f->n, before + 1);
	stage_dist(f, "in/a", "other");
	assert_int_equal(stage_await(f, before, SAID_FACTS, "in/a")->packages, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)
		T(test_moved),
		T(test_moved_and_another_in_its_place),
		T(test_swapped),
		T(test_swapped_and_changed),
		T(test_end_of_watch_lost),
		T(test_moved_and_touched),
		T(test_moved_and_removed),
		T(test_moved_and_back),
		T(test_folder_in_its_place),
		T(test_expected_and_moved),
		T(test_expected_and_moved_before),
		T(test_expected_and_removed),
		T(test_link_in_its_place),
		T(test_moved_unseen),
		T(test_alias),
		T(test_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
