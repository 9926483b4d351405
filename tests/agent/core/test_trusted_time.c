#include "agent/core/trusted_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HOUR INT64_C(3600000)

static void before_anything_is_heard(void **state)
{
	struct trusted_time t;

	(void)state;
	trusted_time_init(&t, 0, 500);
	assert_false(trusted_time_known(&t));
	assert_int_equal(trusted_time_now(&t, 700, 12345), 12345);
	assert_false(trusted_time_wall_behind(&t, 700, -12345));
}

static void the_monotonic_clock_carries_it(void **state)
{
	struct trusted_time t;

	(void)state;
	trusted_time_init(&t, 0, 0);
	assert_true(trusted_time_hear(&t, 10 * HOUR, 1000));
	assert_int_equal(trusted_time_now(&t, 1000 + HOUR, 0), 11 * HOUR);
	/* Neither a later wall clock nor an earlier one moves it. */
	assert_int_equal(trusted_time_now(&t, 1000 + HOUR, 99 * HOUR), 11 * HOUR);
	/* Nor a monotonic clock that is not. */
	assert_int_equal(trusted_time_now(&t, 0, 0), 10 * HOUR);
}

static void only_newer_times_raise_it(void **state)
{
	struct trusted_time t;

	(void)state;
	trusted_time_init(&t, 10 * HOUR, 0);
	assert_false(trusted_time_hear(&t, 9 * HOUR, 0));
	assert_false(trusted_time_hear(&t, 10 * HOUR + 1, HOUR));
	assert_int_equal(trusted_time_now(&t, HOUR, 0), 11 * HOUR);
	assert_true(trusted_time_hear(&t, 12 * HOUR, HOUR));
	assert_int_equal(trusted_time_now(&t, 2 * HOUR, 0), 13 * HOUR);
	assert_false(trusted_time_hear(&t, 0, 2 * HOUR));
	assert_false(trusted_time_hear(&t, -1, 2 * HOUR));
}

static void a_wall_clock_behind_is_told(void **state)
{
	struct trusted_time t;

	(void)state;
	trusted_time_init(&t, 10 * HOUR, 0);
	assert_false(trusted_time_wall_behind(&t, 0, 20 * HOUR));
	assert_false(trusted_time_wall_behind(&t, 0, 10 * HOUR - TRUSTED_TIME_BEHIND_MS));
	assert_true(trusted_time_wall_behind(&t, 0, 10 * HOUR - TRUSTED_TIME_BEHIND_MS - 1));
}

static void the_end_of_time_does_not_overflow(void **state)
{
	struct trusted_time t;

	(void)state;
	trusted_time_init(&t, INT64_MAX - 5, 0);
	assert_int_equal(trusted_time_now(&t, HOUR, 0), INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_anything_is_heard),
		cmocka_unit_test(the_monotonic_clock_carries_it),
		cmocka_unit_test(only_newer_times_raise_it),
		cmocka_unit_test(a_wall_clock_behind_is_told),
		cmocka_unit_test(the_end_of_time_does_not_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
