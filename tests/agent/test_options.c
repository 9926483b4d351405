#include "agent/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

#define WORDS_MAX 12

static int parse(const char *const *words, struct options *out, struct err *err)
{
	char *argv[WORDS_MAX + 2] = {(char *)(uintptr_t) "envwardend"};
	int argc = 1;

	for (; words[argc - 1] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	*err = (struct err)ERR_INIT;
	return options_parse(argc, argv, out, err);
}

static void test_paths(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *state;
		const char *socket;
		const char *fallback;
	} cases[] = {
		{{NULL},
		 "/var/lib/envwarden",
		 "/run/envwarden/agent.sock",
		 "/var/lib/envwarden/public/fallback"},
		{{"--state-dir", "/s", NULL},
		 "/s",
		 "/run/envwarden/agent.sock",
		 "/s/public/fallback"},
		{{"--socket", "/k/a", NULL}, "/var/lib/envwarden", "/k/a", "/k/a.fallback"},
		/* Given twice, the last one counts. */
		{{"--state-dir", "/s", "--state-dir", "/t", "--socket", "/k", "--socket", "/l",
		  NULL},
		 "/t",
		 "/l",
		 "/l.fallback"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;
		struct err err;

		assert_int_equal(parse(cases[i].words, &o, &err), 0);
		assert_string_equal(o.paths.state, cases[i].state);
		assert_string_equal(o.paths.socket, cases[i].socket);
		assert_string_equal(o.fallback, cases[i].fallback);
		assert_false(o.config_given);
		assert_int_equal(o.role, ROLE_SUPERVISOR);
	}
}

static void test_own_children(void **state)
{
	static const char *const words[] = {
		"--user",   "--role", "reader",	      "--parent",	"4711", "--lease",
		"--config", "/c",     "--foreground", "--print-config", NULL};
	struct options o;
	struct err err;
	(void)state;

	assert_int_equal(parse(words, &o, &err), 0);
	assert_int_equal(o.role, ROLE_READER);
	assert_int_equal(o.parent, 4711);
	assert_true(o.lease);
	assert_true(o.user && o.foreground && o.print_config && o.config_given);
	assert_string_equal(o.paths.config, "/c");
}

static void test_refused(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *says;
	} cases[] = {
		{{"start", NULL}, "unexpected \"start\""},
		{{"--nonsense", "x", NULL}, "--nonsense"},
		{{"--config", NULL}, "--config"},
		{{"--config", "relative", NULL}, "absolute"},
		{{"--state-dir", "", NULL}, "absolute"},
		{{"--role", "king", NULL}, "--role"},
		{{"--parent", "me", NULL}, "--parent"},
		{{"--parent", "", NULL}, "--parent"},
	};
	static char longest[PATHS_MAX + 8];
	const char *long_words[] = {"--socket", longest, NULL};
	struct options o;
	struct err err;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].words, &o, &err), ERR_USAGE);
		assert_non_null(strstr(err.text, cases[i].says));
	}
	memset(longest, 'x', sizeof longest - 1);
	longest[0] = '/';
	assert_int_equal(parse(long_words, &o, &err), ERR_USAGE);
}

/* Whose home would it be? Help is given all the same. */
static void test_user_without_home(void **state)
{
	static const char *const words[] = {"--user", NULL};
	static const char *const help[] = {"--user", "--help", NULL};
	static const char *const gone[] = {"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME",
					   "XDG_RUNTIME_DIR", "XDG_DATA_HOME"};
	struct options o;
	struct err err;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		assert_int_equal(unsetenv(gone[i]), 0);
	if (parse(words, &o, &err) < 0) /* the account database may know one */
		assert_true(err.text[0] != '\0');
	else
		assert_true(o.paths.state[0] == '/' && o.paths.socket[0] == '/');
	assert_int_equal(parse(help, &o, &err), 0);
	assert_true(o.help);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_own_children),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_user_without_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
