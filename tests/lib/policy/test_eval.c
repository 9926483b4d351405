#include "lib/policy/eval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct package openssl = {.manager = "conda", .name = "openssl", .version = "1.1.1"};
static const struct package newer = {.manager = "conda", .name = "openssl", .version = "3.0.0"};

static const char *code(unsigned char environment, const struct reason *reasons, size_t n)
{
	static char codes[4][CASE_CODE_MAX];
	static size_t next;
	char *out = codes[next++ % 4];

	assert_int_equal(case_code_make(&(struct uuid){{environment}}, reasons, n, out), 0);
	assert_int_equal(strlen(out), 7);
	assert_memory_equal(out, "EW-", 3);
	return out;
}

static void a_case_is_an_environment_and_its_reasons(void **state)
{
	const struct reason status = {.kind = "status", .id = "", .action = ACTION_WARN};
	const struct reason rule = {.kind = "rule", .id = "old", .package = &openssl};
	const struct reason both[] = {status, rule};
	const struct reason swapped[] = {rule, status};
	const struct reason twice[] = {status, rule, status};
	struct reason other = status;
	struct reason later = rule;

	(void)state;
	assert_string_equal(code(1, &status, 1), code(1, &status, 1));
	assert_string_not_equal(code(1, &status, 1), code(2, &status, 1));
	assert_string_not_equal(code(1, &status, 1), code(1, both, 2));
	assert_string_equal(code(1, both, 2), code(1, swapped, 2));
	assert_string_equal(code(1, both, 2), code(1, twice, 3));
	/* Words, a fix, and becoming stricter do not make another case; nor does a new version. */
	other.action = ACTION_BLOCK;
	other.message = "other words";
	assert_string_equal(code(1, &status, 1), code(1, &other, 1));
	later.package = &newer;
	assert_string_equal(code(1, &rule, 1), code(1, &later, 1));
	later.id = "new";
	assert_string_not_equal(code(1, &rule, 1), code(1, &later, 1));
}

/* People write these into tickets: they stay what they are. */
static void codes_are_golden(void **state)
{
	const struct reason status = {.kind = "status", .id = ""};
	const struct reason rule = {.kind = "rule", .id = "old-openssl", .package = &openssl};

	(void)state;
	assert_string_equal(code(1, &status, 1), "EW-GXRY");
	assert_string_equal(code(1, &rule, 1), "EW-NN6P");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_case_is_an_environment_and_its_reasons),
		cmocka_unit_test(codes_are_golden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
