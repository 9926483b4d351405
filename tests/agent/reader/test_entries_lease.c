#include "agent/reader/entries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/lease.h"
#include "tests/agent/reader/entries_stage.h"

#define LENT 64 /* at a time */

static struct entry *find(struct stage *f, const char *name)
{
	char path[TMPDIR_PATH_MAX];
	struct entry *e;

	tmpdir_path(&f->dir, name, path);
	e = entries_find(f->entries, path);
	assert_non_null(e);
	return e;
}

static void make_resting(struct stage *f, const char *name)
{
	stage_make_env(f, name);
	(void)stage_await(f, 0, SAID_FACTS, name);
	while (entry_lend(find(f, name)) == LEASE_NONE)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

static void await_epoch_after(struct stage *f, uint64_t epoch)
{
	while (entries_epoch(f->entries) == epoch)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

static void test_lent_while_at_rest(void **state)
{
	struct stage *f = *state;
	uint64_t epoch;

	make_resting(f, "a");
	make_resting(f, "b");
	epoch = entry_lend(find(f, "a"));
	assert_int_equal(entry_lend(find(f, "b")), epoch);
	stage_run_for(f, 3 * SETTLE_MS);
	assert_int_equal(entries_epoch(f->entries), epoch);

	stage_record(f, "a", "bar", "2.0");
	await_epoch_after(f, epoch);
	assert_int_equal(entry_lend(find(f, "a")), LEASE_NONE); /* being changed */
	assert_int_equal(entry_lend(find(f, "b")), entries_epoch(f->entries));
	f->n = 0;
	assert_int_equal(stage_await(f, 0, SAID_FACTS, "a")->packages, 2);
}

/* However short: facts may be told, and it is at rest again, before the next turn of the loop. */
static void test_looked_at_and_at_rest_again(void **state)
{
	struct stage *f = *state;
	uint64_t epoch;

	make_resting(f, "a");
	epoch = entry_lend(find(f, "a"));
	entries_sweep(f->entries);
	stage_await_state(f, "a", ENTRY_CLEAN);
	assert_true(entries_epoch(f->entries) > epoch);
}

/* What is not lent may change as it likes. */
static void test_others_do_not_matter(void **state)
{
	struct stage *f = *state;
	uint64_t epoch;

	make_resting(f, "a");
	stage_make_env(f, "b");
	(void)stage_await(f, 0, SAID_FACTS, "b");
	stage_await_state(f, "b", ENTRY_CLEAN);
	epoch = entry_lend(find(f, "a"));
	f->n = 0;
	stage_record(f, "b", "bar", "2.0");
	(void)stage_await(f, 0, SAID_FACTS, "b");
	assert_int_equal(entries_epoch(f->entries), epoch);
}

static void test_gone_or_elsewhere(void **state)
{
	struct stage *f = *state;
	uint64_t epoch;

	make_resting(f, "a");
	epoch = entry_lend(find(f, "a"));
	stage_move(f, "a", "b");
	(void)stage_await(f, 0, SAID_FACTS, "b");
	assert_true(entries_epoch(f->entries) > epoch);

	while ((epoch = entry_lend(find(f, "b"))) == LEASE_NONE)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	stage_remove_env(f, "b");
	(void)stage_await(f, 0, SAID_GONE, "b");
	assert_true(entries_epoch(f->entries) > epoch);
}

/* Nothing tells of its changes, so nobody may rely on hearing of them. */
static void test_what_is_polled_is_not_lent(void **state)
{
	struct stage *f = *state;

	entries_set_watcher(f->entries, NULL);
	stage_make_env(f, "a");
	stage_candidate(f, "a");
	(void)stage_await(f, 0, SAID_FACTS, "a");
	stage_await_state(f, "a", ENTRY_CLEAN);
	assert_int_equal(entry_lend(find(f, "a")), LEASE_NONE);
	entries_set_watcher(f->entries, f->watcher);
}

static void make_clean(struct stage *f, unsigned from, unsigned to)
{
	char name[16];

	f->n = 0;
	for (unsigned i = from; i < to; i++) {
		(void)snprintf(name, sizeof name, "e%u", i);
		stage_make_env(f, name);
	}
	for (unsigned i = from; i < to; i++) {
		(void)snprintf(name, sizeof name, "e%u", i);
		(void)stage_await(f, 0, SAID_FACTS, name);
		stage_await_state(f, name, ENTRY_CLEAN);
	}
}

static void test_many(void **state)
{
	struct stage *f = *state;
	uint64_t epoch;
	char name[16];

	make_clean(f, 0, LENT / 2);
	make_clean(f, LENT / 2, LENT + 1);
	while ((epoch = entry_lend(find(f, "e0"))) == LEASE_NONE)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	for (unsigned i = 1; i < LENT; i++) {
		(void)snprintf(name, sizeof name, "e%u", i);
		assert_int_equal(entry_lend(find(f, name)), epoch);
		assert_int_equal(entry_lend(find(f, name)), epoch);
	}
	assert_true(entry_lend(find(f, "e64")) > epoch); /* the others' are over */
	assert_int_equal(entry_lend(find(f, "e0")), entries_epoch(f->entries));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)
		T(test_lent_while_at_rest),	    T(test_looked_at_and_at_rest_again),
		T(test_others_do_not_matter),	    T(test_gone_or_elsewhere),
		T(test_what_is_polled_is_not_lent), T(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
