#include "server/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

struct values {
	const char *dir;
	const char *name;
	bool flag;
	struct option_values list;
};

static int parse(struct values *v, int argc, const char *const *args, struct err *err)
{
	const struct option options[] = {
		{"--dir", .text = &v->dir, .required = true},
		{"--name", .text = &v->name},
		{"--flag", .flag = &v->flag},
		{"--item", .list = &v->list},
	};
	char *argv[16];

	memset(v, 0, sizeof(*v));
	for (int i = 0; i < argc; i++)
		argv[i] = (char *)(uintptr_t)args[i];
	return options_parse(options, ARRAY_SIZE(options), argc, argv, err);
}

static void test_good(void **state)
{
	static const char *const args[] = {"--item", "a",      "--dir=/x=y", "--flag",
					   "--item", "--flag", "--name",     ""};
	struct values v;

	(void)state;
	assert_int_equal(parse(&v, ARRAY_SIZE(args), args, NULL), 0);
	assert_string_equal(v.dir, "/x=y");
	assert_string_equal(v.name, "");
	assert_true(v.flag);
	assert_int_equal(v.list.n, 2);
	assert_string_equal(v.list.items[1], "--flag"); /* a value is a value */
}

static void test_bad(void **state)
{
	static const struct {
		int argc;
		const char *args[4];
		const char *what;
	} cases[] = {
		{0, {NULL}, "--dir is needed"},
		{1, {"--dir"}, "--dir: needs a value"},
		{1, {"--dri=x"}, "unknown argument \"--dri=x\"; did you mean --dir?"},
		{4, {"--dir", "x", "--dir", "y"}, "--dir: given twice"},
		{3, {"--dir", "x", "--flag=1"}, "--flag: takes no value"},
		{3, {"--dir", "x", "--di"}, "unknown argument \"--di\"; did you mean --dir?"},
		{3, {"--dir", "x", "stray"}, "unknown argument \"stray\""},
	};
	struct values v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(parse(&v, cases[i].argc, cases[i].args, &err), ERR_USAGE);
		assert_string_equal(err.text, cases[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
