#include "agent/cli/hint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

#define HOME "/home/ana"

static const struct {
	const char *typed;
	const char *prefix;
	const char *name;
	const char *want;
} environments[] = {
	{"churn", HOME "/envs/churn", "churn", "churn"},
	{"it's", HOME "/envs/it's", "it's", "'it'\\''s'"},
	{"", HOME "/envs/churn", "churn", "~/envs/churn"},
	{"./churn", HOME "/envs/churn", "churn", "~/envs/churn"},
	{"-x", HOME "/envs/-x", "-x", "~/envs/-x"},
	{"~", HOME "/~", "~", "~/'~'"},
	{"", HOME "/my envs/a", "a", "~/'my envs/a'"},
	{"", HOME, "ana", HOME},
	{"", HOME "x/a", "a", HOME "x/a"},
	{"", "/srv/lab", "lab", "/srv/lab"},
	{"", "", "lab", "lab"},
	{"", "", "a b", "'a b'"},
	{"e\033[2Jf", "", "", "$'e\\x1b[2Jf'"},
	{"e\nA'\\", "", "", "$'e\\x0aA\\x27\\x5c'"},
	{"a\342\200\256b", "", "", "$'a\\xe2\\x80\\xaeb'"},
	{"caf\303\251", "", "", "'caf\303\251'"},
};

static void test_environment(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(environments); i++) {
		struct buf out;

		buf_init(&out, 4096);
		hint_environment(&out, environments[i].typed, environments[i].prefix,
				 environments[i].name, HOME);
		assert_string_equal(buf_cstr(&out), environments[i].want);
		buf_deinit(&out);
	}
}

static const struct {
	const char *home;
	const char *command;
	const char *want;
} commands[] = {
	{HOME, "conda update -p /home/ana/envs/x \"y>=3\"", "conda update -p ~/envs/x \"y>=3\""},
	{HOME, "conda update -p '/home/ana/my envs/x' y", "conda update -p ~/'my envs/x' y"},
	{HOME, "conda  update -n x", "conda  update -n x"},
	{HOME, "x --prefix=/home/ana/y", "x --prefix=/home/ana/y"},
	{HOME, "x \"/home/ana/y\"", "x \"/home/ana/y\""},
	{HOME, "x '/srv /home/ana/y'", "x '/srv /home/ana/y'"},
	{HOME, "x /home/ana /home/ana/ '/home/ana/'", "x /home/ana /home/ana/ '/home/ana/'"},
	{HOME, "x a\\ /home/ana/y", "x a\\ /home/ana/y"},
	{HOME, "x 'unclosed /home/ana/y", "x 'unclosed /home/ana/y"},
	{HOME "/", "x /home/ana/y", "x ~/y"},
	{"/", "x /home/ana/y", "x /home/ana/y"},
	{"", "x /home/ana/y", "x /home/ana/y"},
	{NULL, "x /home/ana/y", "x /home/ana/y"},
};

static void test_command(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct buf out;

		buf_init(&out, 4096);
		hint_command(&out, commands[i].command, commands[i].home);
		assert_string_equal(buf_cstr(&out), commands[i].want);
		buf_deinit(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
