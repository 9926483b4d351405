#include "agent/cli/shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/support/tmpdir.h"

#define NOW INT64_C(1795367862123)
#define DAY INT64_C(86400000)

static int set_up(void **state)
{
	static struct tmpdir dir;

	tmpdir_make(&dir);
	assert_int_equal(setenv("XDG_CACHE_HOME", dir.path, 1), 0);
	*state = &dir;
	return 0;
}

static int tear_down(void **state)
{
	tmpdir_remove(*state);
	return 0;
}

static void test_once_a_day(void **state)
{
	(void)state;
	assert_false(shown_lately("/envs/a", "EW-1", DAY, NOW));
	assert_true(shown_lately("/envs/a", "EW-1", DAY, NOW + 1));
	assert_true(shown_lately("/envs/a", "EW-1", DAY, NOW + DAY - 1));
	assert_false(shown_lately("/envs/a", "EW-2", DAY, NOW + 2)); /* another reason */
	assert_false(shown_lately("/envs/b", "EW-1", DAY, NOW + 2)); /* another environment */
	assert_false(shown_lately("/envs/a", "EW-1", DAY, NOW + DAY));
	assert_true(shown_lately("/envs/a", "EW-1", DAY, NOW + DAY + 1));
	assert_false(shown_lately("/envs/a", "EW-1", DAY, NOW - DAY)); /* a clock that was wrong */
}

/* Other layers of the gate ask within a moment; an older line of the same gives way. */
static void test_for_a_moment(void **state)
{
	(void)state;
	assert_false(shown_lately("/envs/a", "unchecked", 10, NOW));
	assert_false(shown_lately("/envs/a", "EW-1", DAY, NOW));
	assert_true(shown_lately("/envs/a", "unchecked", 10, NOW + 9));
	assert_false(shown_lately("/envs/a", "unchecked", 10, NOW + 10));
	assert_true(shown_lately("/envs/a", "unchecked", 10, NOW + 19));
	assert_true(shown_lately("/envs/a", "EW-1", DAY, NOW + 20));
}

static void test_forged_line(void **state)
{
	(void)state;
	assert_false(shown_lately("/envs/x\n1795367862123 EW-9 /envs/y", "EW-1", DAY, NOW));
	assert_false(shown_lately("/envs/y", "EW-9", DAY, NOW));
}

/* Nonsense in the file, and no file to write, mean: show it. */
static void test_failures(void **state)
{
	struct tmpdir *dir = *state;

	tmpdir_write_text(dir, "envwarden/shown", "nonsense\n99999999999999999999 EW-1 /a\n\n x");
	assert_false(shown_lately("/a", "EW-1", DAY, NOW));
	assert_true(shown_lately("/a", "EW-1", DAY, NOW));
	tmpdir_remove(dir);
	tmpdir_make(dir);
	tmpdir_write_text(dir, "envwarden", "a file where the folder belongs");
	assert_int_equal(setenv("XDG_CACHE_HOME", dir->path, 1), 0);
	assert_false(shown_lately("/a", "EW-1", DAY, NOW));
	assert_false(shown_lately("/a", "EW-1", DAY, NOW));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_once_a_day),
		CASE(test_for_a_moment),
		CASE(test_forged_line),
		CASE(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
