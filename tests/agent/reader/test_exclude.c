#include "agent/reader/exclude.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void any_of_several(void **state)
{
	char *patterns[] = {(char *)"/one", (char *)"/t*o"};
	struct exclude all = {0};

	(void)state;
	assert_false(exclude_has(&all, "/one"));
	assert_int_equal(exclude_init(&all, patterns, 2), 0);
	assert_true(exclude_has(&all, "/one/x"));
	assert_true(exclude_has(&all, "/two"));
	assert_false(exclude_has(&all, "/three"));
	exclude_deinit(&all);
	exclude_deinit(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_of_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
