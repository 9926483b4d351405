#include "agent/cli/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

struct options {
	bool json;
	const char *since;
};

static const struct arg_option options[] = {
	{"--json", NULL, "", offsetof(struct options, json)},
	{"--since", "T", "", offsetof(struct options, since)},
};
static const struct arg_table table = {
	.synopsis = "x", .help = "", .max_words = 1, .options = options, .n_options = 2};

static const struct {
	const char *argv[6];
	int rc;
	bool json;
	const char *since;
	const char *word;
	const char *error;
} cases[] = {
	{{"x"}, 0, false, NULL, NULL, NULL},
	{{"x", "churn"}, 0, false, NULL, "churn", NULL},
	{{"x", "--json", "churn"}, 0, true, NULL, "churn", NULL},
	{{"x", "churn", "--json"}, 0, true, NULL, "churn", NULL},
	{{"x", "--since", "2d"}, 0, false, "2d", NULL, NULL},
	{{"x", "--since=2d"}, 0, false, "2d", NULL, NULL},
	{{"x", "--since="}, 0, false, "", NULL, NULL},
	{{"x", "--since", "--json"}, 0, false, "--json", NULL, NULL},
	{{"x", "--", "--json"}, 0, false, NULL, "--json", NULL},
	{{"x", "-"}, 0, false, NULL, "-", NULL},
	{{"x", "--since"}, ERR_USAGE, false, NULL, NULL, "--since needs a value"},
	{{"x", "--json=1"}, ERR_USAGE, false, NULL, NULL, "--json takes no value"},
	{{"x", "--jso"},
	 ERR_USAGE,
	 false,
	 NULL,
	 NULL,
	 "unknown option --jso; did you mean --json?"},
	{{"x", "-j"}, ERR_USAGE, false, NULL, NULL, "unknown option -j"},
	{{"x", "--sine=2d"},
	 ERR_USAGE,
	 false,
	 NULL,
	 NULL,
	 "unknown option --sine=2d; did you mean --since?"},
	{{"x", "a", "b"}, ERR_USAGE, false, NULL, NULL, "unexpected argument b"},
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options got = {0};
		struct args args = {0};
		struct err err = ERR_INIT;
		int argc = 0;

		while (cases[i].argv[argc])
			argc++;
		assert_int_equal(args_parse(&table, argc, (char **)(uintptr_t)cases[i].argv, &got,
					    &args, &err),
				 cases[i].rc);
		if (cases[i].rc < 0) {
			assert_string_equal(err.text, cases[i].error);
			continue;
		}
		assert_int_equal(got.json, cases[i].json);
		assert_int_equal(args.n_words, cases[i].word ? 1 : 0);
		if (cases[i].word)
			assert_string_equal(args.words[0], cases[i].word);
		assert_int_equal(got.since != NULL, cases[i].since != NULL);
		if (cases[i].since)
			assert_string_equal(got.since, cases[i].since);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
