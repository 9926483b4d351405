/* What an environment's packages were at a moment, from the journal backwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/store/net.h"
#include "tests/agent/samples.h"
#include "tests/agent/store/fixture.h"
#include "tests/support/fault.h"

#define PREFIX "/home/ana/envs/x"

static struct uuid id_at(struct fixture *f, const char *prefix)
{
	struct environment env;

	assert_int_equal(store_environment_at(f->store, prefix, &f->arena, &env, NULL), 0);
	return env.id;
}

/* "name=version ..." at a moment, or what is said instead. */
static const char *at(struct fixture *f, const char *prefix, struct store_moment moment)
{
	struct uuid id = id_at(f, prefix);
	struct package_list list = {0};
	struct err err = ERR_INIT;
	const char *text;

	if (store_packages_at(f->store, &id, &moment, &f->arena, &list, &err) < 0) {
		text = arena_strdup(&f->arena, err.text);
	} else {
		text = sample_text(&f->arena, &list);
		package_list_deinit(&list);
	}
	assert_non_null(text);
	return text;
}

static const char *at_seq(struct fixture *f, uint64_t seq)
{
	return at(f, PREFIX, (struct store_moment){.seq = seq});
}

static const char *at_time(struct fixture *f, int64_t time_ms)
{
	return at(f, PREFIX, (struct store_moment){.time_ms = time_ms});
}

static void each_step(void **state)
{
	struct fixture *f = *state;
	int64_t times[8];

	fixture_see(f, "/e/other", 9, "z=1"); /* seq 1 */
	fixture_see(f, PREFIX, 7, "a=1 b=1"); /* 2 */
	times[2] = f->now_ms;
	fixture_see(f, PREFIX, 7, "a=1 b=2 pypi:c=1"); /* 3 */
	times[3] = f->now_ms;
	fixture_see(f, PREFIX, 7, "a=1"); /* 4 */
	fixture_gone(f, PREFIX, 7);	  /* 5 */
	times[5] = f->now_ms;
	assert_string_equal(at_seq(f, 1), "the environment did not exist then");
	assert_string_equal(at_seq(f, 2), "a=1 b=1");
	assert_string_equal(at_seq(f, 3), "a=1 b=2 c=1");
	assert_string_equal(at_seq(f, 4), "a=1");
	assert_string_equal(at_seq(f, 5), "the environment did not exist then");
	assert_string_equal(at_time(f, times[2] - 1), "the environment did not exist then");
	assert_string_equal(at_time(f, times[2]), "a=1 b=1");
	assert_string_equal(at_time(f, times[3] - 1), "a=1 b=1");
	assert_string_equal(at_time(f, times[3] + 1), "a=1 b=2 c=1");
	assert_string_equal(at_time(f, times[5] + 1), "the environment did not exist then");
	/* Made again at the same path, it is the same one. */
	fixture_see(f, PREFIX, 8, "a=5");
	assert_string_equal(at_seq(f, 6), "a=5");
	assert_string_equal(at_seq(f, 4), "a=1");
	assert_string_equal(at(f, PREFIX, (struct store_moment){0}), "a=5");
}

/* A new epoch tells everything anew, which is no beginning. */
static void over_epochs(void **state)
{
	struct fixture *f = *state;
	int64_t before;

	fixture_see(f, PREFIX, 7, "a=1");
	before = f->now_ms;
	fixture_see(f, PREFIX, 7, "a=2");
	f->now_ms += 1000;
	assert_int_equal(store_new_epoch(f->store,
					 &(struct store_new_epoch){.gap = true,
								   .baseline = true,
								   .now_ms = f->now_ms},
					 NULL),
			 0);
	fixture_see(f, PREFIX, 7, "a=2 b=1");
	assert_string_equal(at_time(f, before), "a=1");
	assert_string_equal(at_time(f, f->now_ms - 1), "a=2");
	assert_string_equal(at_seq(f, 2), "a=2"); /* of the present epoch: the baseline */
	assert_string_equal(at_seq(f, 3), "a=2 b=1");
}

/* What came and went between is nothing, also when its attributes moved meanwhile. */
static void attributes_that_moved(void **state)
{
	struct fixture *f = *state;
	struct snapshot s;

	fixture_see(f, PREFIX, 7, "a=1");
	fixture_see(f, PREFIX, 7, "a=1 b=1");
	sample_snapshot(&s, &f->arena, PREFIX, 7, "a=1 b=1");
	s.packages.items[1].requested = true;
	s.packages.items[1].license = "other";
	assert_false(fixture_apply(f, &s).changed);
	fixture_see(f, PREFIX, 7, "a=1");
	fixture_see(f, PREFIX, 7, "a=2");
	assert_string_equal(at_seq(f, 1), "a=1");
	assert_string_equal(at_seq(f, 2), "a=1 b=1");
	assert_string_equal(at_seq(f, 3), "a=1");
}

static void beyond_what_is_kept(void **state)
{
	struct fixture *f = *state;
	int64_t early;
	int64_t late;

	f->options.journal_max_bytes = 1;
	fixture_reopen(f);
	fixture_see(f, PREFIX, 7, "a=1");
	early = f->now_ms;
	fixture_see(f, PREFIX, 7, "a=2");
	fixture_see(f, PREFIX, 7, "a=3");
	late = f->now_ms;
	assert_int_equal(store_set_acked(f->store, 3, NULL), 0);
	fixture_see(f, "/e/other", 9, "z=1"); /* which drops what is acked */
	assert_non_null(strstr(at_time(f, early), "kept here"));
	assert_string_equal(at_time(f, late + 1), "a=3");
}

static int ask(void *ctx)
{
	struct fixture *f = ctx;
	struct package_list list = {0};
	struct environment env;
	struct arena arena;
	int rc;

	arena_init(&arena, 1 << 20);
	rc = store_environment_at(f->store, PREFIX, &arena, &env, NULL);
	if (rc == 0)
		rc = store_packages_at(f->store, &env.id, &(struct store_moment){.seq = 1}, &arena,
				       &list, NULL);
	package_list_deinit(&list);
	arena_deinit(&arena);
	return rc;
}

static void memory_may_run_out(void **state)
{
	struct fixture *f = *state;

	fixture_see(f, PREFIX, 7, "a=1");
	fixture_see(f, PREFIX, 7, "a=2 b=1");
	fixture_see(f, PREFIX, 7, "a=3");
	fault_each_alloc(ask, f, 10);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_step),	   TEST(over_epochs),	     TEST(attributes_that_moved),
		TEST(beyond_what_is_kept), TEST(memory_may_run_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
