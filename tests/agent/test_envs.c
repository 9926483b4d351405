#include "agent/envs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"

static struct environment row(unsigned char id, const char *prefix, uint64_t inode)
{
	struct environment e;

	environment_init(&e);
	e.id.b[0] = id;
	e.prefix = prefix;
	e.device = 1;
	e.inode = inode;
	e.last_change_ms = 1000;
	return e;
}

static int setup(void **state)
{
	static struct envs all;

	envs_init(&all);
	*state = &all;
	return 0;
}

static int teardown(void **state)
{
	envs_deinit(*state);
	return 0;
}

static unsigned at_path(const struct envs *all, const char *path)
{
	const struct env *env = envs_by_path(all, path);

	return env != NULL ? env->id.b[0] : 0;
}

static unsigned at_inode(const struct envs *all, uint64_t inode)
{
	const struct env *env = envs_by_inode(all, 1, inode);

	return env != NULL ? env->id.b[0] : 0;
}

static void test_found_by_all(void **state)
{
	struct envs *all = *state;
	struct environment a = row(1, "/envs/a", 10);

	assert_int_equal(envs_put(all, &a), 0);
	assert_int_equal(at_path(all, "/envs/a"), 1);
	assert_int_equal(at_inode(all, 10), 1);
	assert_int_equal(at_inode(all, 0), 0);
	assert_string_equal(env_name(envs_by_id(all, &a.id)), "a");
	assert_int_equal(all->living, 1);
}

static void test_moves(void **state)
{
	struct envs *all = *state;
	struct environment a = row(1, "/envs/a", 10);

	assert_int_equal(envs_put(all, &a), 0);
	envs_by_id(all, &a.id)->seen = true;
	envs_by_id(all, &a.id)->last_used_ms = 5;
	env_set_notes(envs_by_id(all, &a.id), (const char *const[]){"first", "second"}, 2);
	env_set_notes(envs_by_id(all, &a.id), (const char *const[]){"third"}, 1);
	a.prefix = "/envs/b";
	a.inode = 11;
	assert_int_equal(envs_put(all, &a), 0);
	assert_int_equal(at_path(all, "/envs/a"), 0);
	assert_int_equal(at_path(all, "/envs/b"), 1);
	assert_int_equal(at_inode(all, 10), 0);
	assert_int_equal(at_inode(all, 11), 1);
	assert_true(envs_by_id(all, &a.id)->seen); /* what the store does not know stays */
	assert_int_equal(envs_by_id(all, &a.id)->last_used_ms, 5);
	assert_int_equal(envs_by_id(all, &a.id)->n_notes, 1);
	assert_string_equal(envs_by_id(all, &a.id)->notes[0], "third");
	assert_int_equal(all->living, 1);
}

/* The living one has its path; of dead ones the last to change. */
static void test_several_at_a_path(void **state)
{
	struct envs *all = *state;
	struct environment old = row(1, "/envs/a", 10);
	struct environment older = row(2, "/envs/a", 11);
	struct environment lives = row(3, "/envs/a", 12);

	old.deleted_ms = 5;
	older.deleted_ms = 4;
	older.last_change_ms = 900;
	assert_int_equal(envs_put(all, &old), 0);
	assert_int_equal(envs_put(all, &older), 0);
	assert_int_equal(at_path(all, "/envs/a"), 1);
	assert_int_equal(at_inode(all, 10), 0); /* the number may be another's by now */
	assert_int_equal(envs_put(all, &lives), 0);
	assert_int_equal(at_path(all, "/envs/a"), 3);
	assert_int_equal(envs_put(all, &old), 0);
	assert_int_equal(at_path(all, "/envs/a"), 3);
	assert_int_equal(all->living, 1);
	lives.deleted_ms = 6;
	assert_int_equal(envs_put(all, &lives), 0);
	assert_int_equal(all->living, 0);
	assert_int_equal(at_inode(all, 12), 0);
}

/* Many, in and out, in an order that has nothing to do with anything. */
static void test_many(void **state)
{
	struct envs *all = *state;
	size_t living = 0;

	for (unsigned i = 0; i < 4000; i++) {
		unsigned k = i * 2654435761u >> 20;
		char path[32];
		struct environment e;

		(void)snprintf(path, sizeof path, "/envs/%u", k % 97);
		e = row((unsigned char)k, path, k % 31);
		e.deleted_ms = k & 64 ? 1 : 0;
		assert_int_equal(envs_put(all, &e), 0);
		assert_non_null(envs_by_path(all, path));
	}
	for (unsigned i = 0; i < 256; i++) {
		struct uuid id = {.b = {(unsigned char)i}};
		const struct env *env = envs_by_id(all, &id);

		if (env != NULL)
			living += env->lives;
	}
	assert_int_equal(all->living, living);
}

static void test_no_memory(void **state)
{
	struct envs *all = *state;
	struct environment a = row(1, "/envs/a", 10);

	assert_int_equal(envs_put(all, &a), 0);
	a.prefix = "/envs/b";
	for (long i = 0; i < 5; i++) {
		mem_fail_after(i);
		assert_int_equal(envs_put(all, &a), ERR_NOMEM);
		assert_int_equal(at_path(all, "/envs/a"), 1); /* the old row stays */
		assert_int_equal(all->living, 1);
	}
	mem_fail_after(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(test_found_by_all), T(test_moves),	 T(test_several_at_a_path),
		T(test_many),	      T(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
