#include "lib/base/wildcard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

struct row {
	const char *pattern;
	const char *path;
	bool covers;
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
		if (wildcard_covers_path(rows[i].pattern, rows[i].path) != rows[i].covers)
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
	assert_true(wildcard_covers_path(pattern, path));
	memcpy(pattern + 3000, "b", 2);
	assert_false(wildcard_covers_path(pattern, path));
}

/* Here the end of the path must be reached, too. */
static void a_match_is_whole(void **state)
{
	(void)state;
	assert_true(wildcard_match_path("/home/*/envs/*", "/home/ana/envs/e"));
	assert_true(wildcard_match_path("/srv/**", "/srv/a/b"));
	assert_true(wildcard_match_path("/srv/**", "/srv"));
	assert_true(wildcard_match_path("**/e", "/a/b/e"));
	assert_false(wildcard_match_path("/home/*", "/home/ana/envs"));
	assert_false(wildcard_match_path("home/*", "/home/ana"));
	assert_true(wildcard_match("pr*-*l", "prod-etl"));
	assert_false(wildcard_match("AGPL-*", "agpl-3.0"));
	assert_true(wildcard_match_fold("AGPL-*", "agpl-3.0"));
	assert_true(wildcard_match("*", ""));
	assert_false(wildcard_match("", "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_pattern),
		cmocka_unit_test(stars_do_not_cost_dearly),
		cmocka_unit_test(a_match_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
