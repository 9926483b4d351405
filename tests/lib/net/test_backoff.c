#include "lib/net/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

#define LEAST 0u
#define MOST UINT32_MAX

static void test_steps(void **state)
{
	static const int64_t steps_s[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900};
	struct backoff low = {0}, high = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps_s); i++) {
		int64_t step = steps_s[i] * 1000;

		assert_int_equal(backoff_next(&low, LEAST, 0), step / 2);
		assert_int_equal(backoff_next(&high, MOST, 0), step - 1);
	}
}

static void test_hint(void **state)
{
	static const struct {
		unsigned failures;
		uint32_t chance;
		int64_t hint_ms;
		int64_t want_ms;
	} cases[] = {
		{0, LEAST, 0, 500},
		{0, LEAST, -5, 500},
		{0, LEAST, 400, 500},		/* we would wait longer anyway */
		{0, LEAST, 60000, 60000},	/* never earlier than asked */
		{0, MOST, 60000, 74999},	/* and not all at once */
		{0, LEAST, INT64_MAX, 3600000}, /* nobody may lock us out */
		{10, MOST, 1000, 899999},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct backoff b = {cases[i].failures};

		assert_int_equal(backoff_next(&b, cases[i].chance, cases[i].hint_ms),
				 cases[i].want_ms);
	}
}

static void test_reset(void **state)
{
	struct backoff b = {0};

	(void)state;
	for (int i = 0; i < 5; i++)
		backoff_next(&b, LEAST, 0);
	backoff_ended(&b, BACKOFF_HEALTHY_MS - 1); /* came up and fell over: not healthy */
	assert_int_equal(backoff_next(&b, LEAST, 0), 16000);
	backoff_ended(&b, BACKOFF_HEALTHY_MS);
	assert_int_equal(backoff_next(&b, LEAST, 0), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_hint),
		cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
