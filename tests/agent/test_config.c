#include "agent/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/fault.h"

struct row {
	const char *text;
	const char *error; /* NULL = good */
};

static const struct row rows[] = {
	{"", NULL},
	{"# a comment\n\n  \t\n", NULL},
	{"settle_ms = 300\r\nlog_level=debug\n", NULL},
	{"server = a:1, b:2\nserver = c:3", NULL},
	{"setle_ms = 1\n", "line 1: unknown key \"setle_ms\"; did you mean \"settle_ms\"?"},
	{"\nnonsense = 1\n", "line 2: unknown key \"nonsense\""},
	{"x\x1b[31m = 1", "line 1: unknown key \"x\\x1b[31m\""},
	{"settle_ms\n", "line 1: needs \"key = value\""},
	{"settle_ms = 5\n", "line 1: settle_ms: needs a number from 50 to 60000"},
	{"settle_ms = 3O0\n", "line 1: settle_ms: needs a number from 50 to 60000"},
	{"roots = relative\n", "line 1: roots: needs absolute paths"},
	{"hash_paths = on\n", NULL},
	{"hash_paths = /home/*/secret, /srv\n", NULL},
	{"hash_paths = off\n", "line 1: hash_paths: needs absolute paths, or \"on\""},
	{"last_used = off\n", NULL},
	{"labels = finance, site:berlin\nlabels = ci\n", NULL},
	{"labels = two words\n",
	 "line 1: labels: a label has up to 64 letters, digits and . _ : / -"},
	{"last_used = no\n", "line 1: last_used: needs \"on\" or \"off\""},
	{"log_level = loud\n", "line 1: log_level: error, warn, info or debug"},
	{"proxy = \xff\n", "line 1: proxy: the value is not UTF-8 text"},
};

static int parse(const char *text, struct arena *arena, struct config *config, struct err *err)
{
	config_init(config);
	return config_parse(text, strlen(text), arena, config, err);
}

static void each_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct arena arena;
		struct config config;
		struct err err = ERR_INIT;
		int rc;

		arena_init(&arena, 1 << 20);
		rc = parse(rows[i].text, &arena, &config, &err);
		if (rows[i].error == NULL)
			assert_int_equal(rc, 0);
		else
			assert_string_equal(err.text, rows[i].error);
		arena_deinit(&arena);
	}
}

static void values(void **state)
{
	struct arena arena;
	struct config config;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_int_equal(parse("server = a:1 ,b:2\nserver = c:3\nroots = /a b,/c\nsweep_s = 60\n",
			       &arena, &config, NULL),
			 0);
	assert_int_equal(config.server.n, 3);
	assert_string_equal(config.server.items[0], "a:1");
	assert_string_equal(config.server.items[2], "c:3");
	assert_string_equal(config.roots.items[0], "/a b");
	assert_int_equal(config.sweep_s, 60);
	assert_int_equal(config.settle_ms, 250);
	arena_deinit(&arena);
}

/* What is printed parses to the same, and prints the same again. */
static void print_and_parse(void **state)
{
	struct arena arena;
	struct config config;
	struct buf first;
	struct buf second;

	(void)state;
	arena_init(&arena, 1 << 20);
	buf_init(&first, 1 << 16);
	buf_init(&second, 1 << 16);
	assert_int_equal(
		parse("server = a:1\nexclude = /x\npoll_s = 7\nproxy = p:3128\nlast_used = off\n"
		      "hash_paths = /home/**, on\n",
		      &arena, &config, NULL),
		0);
	config_print(&config, &first);
	assert_int_equal(parse(buf_cstr(&first), &arena, &config, NULL), 0);
	config_print(&config, &second);
	assert_string_equal(buf_cstr(&first), buf_cstr(&second));
	assert_non_null(strstr(buf_cstr(&first), "\npoll_s = 7\n"));
	assert_non_null(strstr(buf_cstr(&first), "\nlast_used = off\n"));
	assert_non_null(strstr(buf_cstr(&first), "\nhash_paths = /home/**\nhash_paths = on\n"));
	buf_deinit(&first);
	buf_deinit(&second);
	arena_deinit(&arena);
}

static int parse_again(void *ctx)
{
	struct arena arena;
	struct config config;
	int rc;

	(void)ctx;
	arena_init(&arena, 1 << 20);
	rc = parse("server = a:1\nroots = /a,/b\n", &arena, &config, NULL);
	arena_deinit(&arena);
	return rc;
}

static void out_of_memory(void **state)
{
	(void)state;
	fault_each_alloc(parse_again, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_text),
		cmocka_unit_test(values),
		cmocka_unit_test(print_and_parse),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
