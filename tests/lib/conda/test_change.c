#include "lib/conda/change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The values travel and are hashed: they stand for ever. */
static void test_kinds(void **state)
{
	static const struct {
		int value;
		const char *name;
	} table[] = {
		{0, "unknown"}, {1, "created"}, {2, "recreated"}, {3, "installed"},
		{4, "updated"}, {5, "removed"}, {6, "renamed"},	  {7, "cloned"},
		{8, "deleted"}, {9, "config"},	{10, "gap"},	  {11, "unknown"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(change_kind_name((enum change_kind)table[i].value),
				    table[i].name);
}

static void test_steps(void **state)
{
	(void)state;
	assert_int_equal(change_kind_of_step(3, 0), CHANGE_INSTALLED);
	assert_int_equal(change_kind_of_step(0, 2), CHANGE_REMOVED);
	assert_int_equal(change_kind_of_step(1, 1), CHANGE_UPDATED);
}

static void test_init(void **state)
{
	struct package p = {.name = "x"};
	struct change c;

	(void)state;
	change_init(&c);
	assert_string_equal(c.prefix, "");
	assert_string_equal(c.from_prefix, "");
	assert_string_equal(c.platform, "");
	assert_string_equal(c.tool, "");
	assert_string_equal(c.command, "");
	assert_string_equal(c.detail, "");
	assert_string_equal(c.actor.name, "");
	assert_string_equal(c.actor.how, "");
	assert_true(c.actor.uid == -1 && c.owner.uid == -1);
	assert_true(uuid_is_zero(&c.cloned_from));
	assert_int_equal(package_list_add(&c.added, &p), 0);
	assert_int_equal(package_list_add(&c.removed, &p), 0);
	change_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
