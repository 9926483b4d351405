#include "lib/base/since.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

#define NOW INT64_C(1795367862123) /* 2026-11-22T17:17:42.123Z */

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
	};
	static const char *const bad[] = {
		"", "d", "2", "2y", "-2d", "2 d", "99999999999999999d", "yesterday", "2026-11-22"};
	int64_t got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(since_parse(good[i].text, NOW, &got, NULL), 0);
		assert_int_equal(NOW - got, good[i].before_ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(since_parse(bad[i], NOW, &got, NULL), ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
