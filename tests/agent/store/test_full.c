/* Stores that may not grow any more, on a file system or by their own limit. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/agent/samples.h"
#include "tests/agent/store/fixture.h"

/* A new package at each step, until something gives; how many went in. */
static int fill_up(struct fixture *f, int from, int *rc)
{
	struct err err = ERR_INIT;

	for (int i = from; i < from + 200000; i++) {
		struct snapshot s;
		struct applied out;
		char spec[32];

		snprintf(spec, sizeof(spec), "p%d=1", i);
		sample_snapshot(&s, &f->arena, "/e/a", 7, spec);
		*rc = store_apply(f->store, &s, f->now_ms++, &out, &err);
		snapshot_deinit(&s);
		arena_reset(&f->arena);
		if (*rc < 0)
			return i - from;
	}
	fail_msg("it is never full");
	return 0;
}

static uint64_t head(struct fixture *f)
{
	struct store_journal j;

	store_journal(f->store, &j);
	return j.head;
}

static int count(void *ctx, const struct store_change *item)
{
	uint64_t *n = ctx;

	*n += item->change.folded > 1 ? item->change.folded : 1;
	return 0;
}

static void readable(struct fixture *f, uint64_t changes)
{
	uint64_t n = 0;

	assert_int_equal(head(f), changes);
	assert_int_equal(store_history(f->store, &(struct store_history_query){0}, count, &n, NULL),
			 0);
	assert_int_equal(n, changes);
}

static void the_maps_limit(void **state)
{
	struct fixture *f = *state;
	int rc;
	int n;
	int more;

	f->options.map_max_bytes = 1 << 20;
	fixture_reopen(f);
	n = fill_up(f, 0, &rc);
	assert_int_equal(rc, ERR_FULL);
	assert_true(n > 100);
	readable(f, (uint64_t)n);
	/* Again and again the same, and nothing is lost by asking. */
	assert_int_equal(fill_up(f, n, &rc), 0);
	assert_int_equal(rc, ERR_FULL);
	/* Acknowledging always has room, and makes some by what it allows to drop. */
	assert_int_equal(store_set_acked(f->store, head(f), NULL), 0);
	f->options.journal_max_bytes = 200000;
	fixture_reopen(f);
	more = fill_up(f, n, &rc);
	assert_int_equal(rc, ERR_FULL);
	assert_true(more > 10);
	fixture_reopen(f);
	assert_int_equal(head(f), (uint64_t)(n + more));
}

static void the_map_grows(void **state)
{
	struct fixture *f = *state;
	static char value[STORE_VALUE_MAX];
	char key[16];

	/* More than it begins with, in settings of different names. */
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(store_kv_put(f->store, key, value, sizeof(value), NULL), 0);
	}
	fixture_reopen(f);
	assert_int_equal(store_kv_put(f->store, "more", value, sizeof(value), NULL), 0);
}

static off_t size_of(const char *dir)
{
	char path[TMPDIR_PATH_MAX + 16];
	off_t size = 0;
	struct dirent *entry;
	DIR *list = opendir(dir);

	assert_non_null(list);
	while ((entry = readdir(list)) != NULL) {
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			size += st.st_size;
	}
	(void)closedir(list);
	return size;
}

/* What decisions write for years: counters, graces, requests that come and go. */
static void what_is_written_again_takes_no_more(void **state)
{
	static char value[STORE_VALUE_MAX];
	struct fixture *f = *state;
	off_t early = 0;
	char key[16];

	for (unsigned i = 0; i < 3000; i++) {
		(void)snprintf(key, sizeof(key), "asked/%u", i % 20);
		assert_int_equal(store_kv_put(f->store, key, value, 500 + i % 900, NULL), 0);
		assert_int_equal(store_kv_put(f->store, "decision-counts", value,
					      1 + i * 7919 % STORE_VALUE_MAX, NULL),
				 0);
		assert_int_equal(store_kv_put(f->store, "graces", value, 41 * (1 + i % 1000), NULL),
				 0);
		if (i % 50 == 49)
			assert_int_equal(store_kv_clear(f->store, "asked/", NULL), 0);
		if (i == 500)
			early = size_of(f->dir.path);
	}
	assert_true(early > 0);
	assert_true(size_of(f->dir.path) <= 2 * early);
	fixture_reopen(f);
}

/* A limit on the size of files stands in for a full disk: writes fail with another number there. */
static void the_disk_is_full_for_a_while(void **state)
{
	struct fixture *f = *state;
	struct rlimit before;
	struct rlimit tight;
	int rc;
	int n;

	fixture_see(f, "/e/a", 7, "first=1");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 400 * 1024;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	n = fill_up(f, 0, &rc);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(rc < 0 && rc != ERR_CORRUPT);
	readable(f, (uint64_t)n + 1);
	/* It resumes by itself. */
	fixture_see(f, "/e/b", 8, "last=1");
	readable(f, (uint64_t)n + 2);
	fixture_reopen(f);
	readable(f, (uint64_t)n + 2);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_maps_limit),
		TEST(the_map_grows),
		TEST(what_is_written_again_takes_no_more),
		TEST(the_disk_is_full_for_a_while),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
