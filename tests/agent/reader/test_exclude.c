#include "agent/reader/exclude.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

struct row {
	const char *pattern;
	const char *path;
	bool excluded;
};

static const struct row rows[] = {
	{"/scratch", "/scratch", true},
	{"/scratch", "/scratch/a/b", true},
	{"/scratch/", "/scratch/a", true},
	{"/scratch/**", "/scratch", true},
	{"/scratch", "/scratch2", false},
	{"/scratch", "/data/scratch", false},
	{"/scratch", "/", false},
	{"/a/b", "/a", false},
	{"/home/*/tmp", "/home/ana/tmp/x", true},
	{"/home/*/tmp", "/home/ana/bo/tmp", false},
	{"/home/*/tmp", "/home/tmp", false},
	{"/home/*-test", "/home/a-test/envs/x", true},
	{"/home/*-test", "/home/a-testing", false},
	{"/home/a*b*c", "/home/aXbYbZc", true},
	{"/home/a*b*c", "/home/aXbYbZ", false},
	{"/data/*", "/data", false},
	{"/data/*", "/data/x/y", true},
	{"/**/node_modules", "/node_modules/x", true},
	{"/**/node_modules", "/a/b/c/node_modules/x", true},
	{"/**/node_modules", "/a/b/c/node_modules2", false},
	{"**/tmp", "/a/tmp", true},
	{"/a/**/b/**/c", "/a/b/c", true},
	{"/a/**/b/**/c", "/a/x/b/y/b/z/c/d", true},
	{"/a/**/b/**/c", "/a/x/c/b", false},
	{"/a/**", "/ab", false},
	{"/a/x**y", "/a/x-y", true}, /* not a part of its own: a star */
	{"/a/x**y", "/a/x/y", false},
	{"/a/[bc]", "/a/b", false},
	{"/a/[bc]", "/a/[bc]/d", true},
	{"/", "/anything", true},
	{"/**", "/anything", true},
};

static void each_pattern(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (exclude_match(rows[i].pattern, rows[i].path) != rows[i].excluded)
			fail_msg("%s, %s", rows[i].pattern, rows[i].path);
}

static void stars_do_not_cost_dearly(void **state)
{
	char pattern[4096];
	char path[4096];

	(void)state;
	for (size_t i = 0; i + 4 < sizeof pattern; i += 3)
		memcpy(pattern + i, "**/", 4);
	for (size_t i = 0; i + 3 < sizeof path; i += 2)
		memcpy(path + i, "/a", 3);
	assert_true(exclude_match(pattern, path));
	memcpy(pattern + 3000, "b", 2);
	assert_false(exclude_match(pattern, path));
}

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
		cmocka_unit_test(each_pattern),
		cmocka_unit_test(stars_do_not_cost_dearly),
		cmocka_unit_test(any_of_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
