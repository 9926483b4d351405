#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"

static void nothing_is_something(void **state)
{
	void *p = mem_alloc(0), *q = mem_calloc(0, 8);
	char *text = mem_strdup("");
	(void)state;

	assert_non_null(p);
	assert_non_null(q);
	assert_string_equal(text, "");
	p = mem_realloc(p, 0);
	assert_non_null(p);
	mem_free(p);
	mem_free(q);
	mem_free(text);
	mem_free(NULL);
}

static void overflow_is_refused(void **state)
{
	volatile size_t half = SIZE_MAX / 2;
	(void)state;
	assert_null(mem_calloc(half, 3));
}

static void one_allocation_fails_once(void **state)
{
	void *p;
	(void)state;

	mem_fail_after(2);
	assert_true(mem_fail_pending());
	p = mem_alloc(1);
	assert_non_null(p);
	p = mem_realloc(p, 2);
	assert_non_null(p);
	assert_true(mem_fail_pending());
	assert_null(mem_strdup("x"));
	assert_false(mem_fail_pending());
	mem_free(p);
	p = mem_calloc(1, 1);
	assert_non_null(p);
	mem_fail_after(0);
	assert_null(mem_realloc(p, 100));
	mem_free(p);
	mem_fail_after(0);
	mem_fail_after(-5);
	assert_false(mem_fail_pending());
	p = mem_alloc(1);
	assert_non_null(p);
	mem_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_something),
		cmocka_unit_test(overflow_is_refused),
		cmocka_unit_test(one_allocation_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
