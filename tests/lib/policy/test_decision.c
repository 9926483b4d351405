#include "lib/policy/decision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/err.h"

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(action_name(ACTION_ALLOW), "allow");
	assert_string_equal(action_name(ACTION_WARN), "warn");
	assert_string_equal(action_name(ACTION_BLOCK), "block");
	assert_string_equal(action_status_name(ACTION_ALLOW), "ok");
	assert_string_equal(action_status_name(ACTION_WARN), "warn");
	assert_string_equal(action_status_name(ACTION_BLOCK), "block");
}

static void test_parse(void **state)
{
	static const char *const refused[] = {"", "allow", "OK", "ok ", "blocked"};
	enum action action;

	(void)state;
	for (int i = 0; i <= ACTION_BLOCK; i++) {
		assert_int_equal(action_parse_status(action_status_name((enum action)i), &action),
				 0);
		assert_int_equal(action, i);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(action_parse_status(refused[i], &action), ERR_INVALID);
	assert_int_equal(action, ACTION_BLOCK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
