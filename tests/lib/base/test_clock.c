#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/err.h"

static void formats_and_parses_back(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{INT64_C(1795367862123), "2026-11-22T17:17:42.123Z"},
		{INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
		{INT64_C(4107542399999), "2100-02-28T23:59:59.999Z"},
		{INT64_C(4107542400000), "2100-03-01T00:00:00.000Z"},
		{INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z"},
		{INT64_C(-62162035200000), "0000-03-01T00:00:00.000Z"},
		{INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[CLOCK_TEXT_MAX];
		int64_t ms;

		clock_format(cases[i].ms, text);
		assert_string_equal(text, cases[i].text);
		assert_int_equal(clock_parse(text, &ms), 0);
		assert_true(ms == cases[i].ms);
	}
}

static void clamps_years(void **state)
{
	char text[CLOCK_TEXT_MAX];
	(void)state;

	clock_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	clock_format(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00.000Z");
}

/* Every day of 1200 years is what libc says, the longest run of the leap rules included. */
static void agrees_with_libc(void **state)
{
	(void)state;
	for (int64_t day = -150000; day < 290000; day++) {
		time_t t = (time_t)(day * 86400 + 45296);
		char text[CLOCK_TEXT_MAX], expected[CLOCK_TEXT_MAX];
		struct tm tm;
		int64_t ms;

		gmtime_r(&t, &tm);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
		clock_format((int64_t)t * 1000, text);
		if (strcmp(text, expected) != 0)
			assert_string_equal(text, expected);
		assert_int_equal(clock_parse(text, &ms), 0);
		assert_true(ms == (int64_t)t * 1000);
	}
}

static void parses_other_forms(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{"1970-01-01T00:00:01Z", 1000},	  {"1970-01-01T00:00:00.5Z", 500},
		{"1970-01-01T00:00:00.05Z", 50},  {"1970-01-01T00:00:00.123999999Z", 123},
		{"1970-01-01T02:00:00+02:00", 0}, {"1969-12-31T18:30:00.001-05:30", 1},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ms = -7;

		assert_int_equal(clock_parse(cases[i].text, &ms), 0);
		assert_true(ms == cases[i].ms);
	}
}

static void refuses(void **state)
{
	static const char *const cases[] = {
		"",
		"1970",
		"1970-01-01",
		"1970-01-01T00:00:00",
		"1970-01-01T00:00:00.Z",
		"1970-01-01T00:00:00Z ",
		" 1970-01-01T00:00:00Z",
		"1970-01-01 00:00:00Z",
		"1970-13-01T00:00:00Z",
		"1970-00-01T00:00:00Z",
		"1970-01-00T00:00:00Z",
		"1970-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"1970-04-31T00:00:00Z",
		"1970-01-01T24:00:00Z",
		"1970-01-01T00:60:00Z",
		"1970-01-01T00:00:60Z",
		"1970-01-01T00:00:00+0200",
		"1970-01-01T00:00:00+24:00",
		"1970-01-01T00:00:00+02:60",
		"+970-01-01T00:00:00Z",
		"0000-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01",
		"1970-1-01T00:00:00Z",
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ms = -7;

		assert_int_equal(clock_parse(cases[i], &ms), ERR_INVALID);
		assert_true(ms == -7);
	}
}

static void fixed_clock_stands_until_turned(void **state)
{
	struct clock_fixed c;
	(void)state;

	clock_fixed_init(&c, 1000);
	assert_true(c.clock.wall_ms(&c.clock) == 1000);
	assert_true(c.clock.mono_ms(&c.clock) == 0);
	clock_fixed_advance(&c, 25);
	assert_true(c.clock.wall_ms(&c.clock) == 1025);
	assert_true(c.clock.mono_ms(&c.clock) == 25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_and_parses_back),
		cmocka_unit_test(clamps_years),
		cmocka_unit_test(agrees_with_libc),
		cmocka_unit_test(parses_other_forms),
		cmocka_unit_test(refuses),
		cmocka_unit_test(fixed_clock_stands_until_turned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
