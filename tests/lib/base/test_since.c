#include "lib/base/since.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

#define NOW INT64_C(1795367862123) /* 2026-11-22T17:17:42.123Z */

static const char *const bad[] = {"",
				  "d",
				  "2",
				  "2y",
				  "-2d",
				  "2 d",
				  "+2d",
				  "99999999999999999d",
				  "18446744073709551617s",
				  "yesterday",
				  "2026-13-22",
				  "2026-11-22T",
				  "2026-11-22T17:17:42",
				  "2026-11-22x"};

static void test_since(void **state)
{
	static const struct {
		const char *text;
		int64_t before_ms;
	} good[] = {
		{"2d", 172800000},
		{"3h", 10800000},
		{"30m", 1800000},
		{"45s", 45000},
		{"1w", 604800000},
		{"0s", 0},
		{"2026-11-22T17:17:42.123Z", 0},
		{"2026-11-22T18:17:41+01:00", 1123},
		{"2026-11-22", 62262123},
	};
	int64_t got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(since_parse(good[i].text, NOW, &got, NULL), 0);
		assert_int_equal(NOW - got, good[i].before_ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(since_parse(bad[i], NOW, &got, NULL), ERR_USAGE);
}

static void test_until(void **state)
{
	static const struct {
		const char *text;
		int64_t after_ms;
	} good[] = {
		{"2d", 172800000},
		{"0s", 0},
		{"2026-11-22T17:17:43.123Z", 1000},
		{"2026-11-23", 24137877},
	};
	int64_t got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(until_parse(good[i].text, NOW, &got, NULL), 0);
		assert_int_equal(got - NOW, good[i].after_ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(until_parse(bad[i], NOW, &got, NULL), ERR_USAGE);
}

static void test_span(void **state)
{
	struct err err = ERR_INIT;
	int64_t got = 1;

	(void)state;
	assert_int_equal(span_parse("90m", &got, &err), 0);
	assert_int_equal(got, 5400000);
	assert_int_equal(span_parse("238242w", &got, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(span_parse(bad[i], &got, NULL), ERR_USAGE);
	assert_int_equal(span_parse("2026-11-22", &got, &err), ERR_USAGE);
	assert_string_equal(err.text, "\"2026-11-22\" is no span of time like 30m, 12h, 7d or 2w");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_until),
		cmocka_unit_test(test_span),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
