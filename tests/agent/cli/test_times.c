#include "agent/cli/times.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

#define NOW INT64_C(1795367862123) /* 2026-11-22T17:17:42.123Z */

static void test_local(void **state)
{
	static const struct {
		const char *zone;
		int64_t wall_ms;
		const char *text;
	} cases[] = {
		{"UTC", NOW, "2026-11-22 17:17"},
		{"UTC", 0, "-"},
		{"XXX-5:30", NOW, "2026-11-22 22:47"},
		{"XXX8", NOW, "2026-11-22 09:17"},
	};
	char text[TIMES_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(setenv("TZ", cases[i].zone, 1), 0);
		tzset();
		times_local(cases[i].wall_ms, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void test_span(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{0, "0 s"},    {119, "119 s"},	 {120, "2 min"},  {7199, "119 min"},
		{7200, "2 h"}, {172799, "47 h"}, {172800, "2 d"}, {8640000, "100 d"},
	};
	char text[TIMES_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		times_span(cases[i].seconds, text);
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_span),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
