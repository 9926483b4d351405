#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/conda/channel_name.h"
#include "tests/support/fault.h"

#define ALIAS "https://conda.anaconda.org"
#define MAIN "https://repo.anaconda.com/pkgs/main"

/* As conda 26.7.1 has it; the unset ones are NULL. */
static const struct {
	const char *text, *name, *canonical, *base_url, *subdir, *file;
} names[] = {
	{"conda-forge", "conda-forge", "conda-forge", ALIAS "/conda-forge", NULL, NULL},
	{"conda-forge/", "conda-forge", "conda-forge", ALIAS "/conda-forge", NULL, NULL},
	{"conda-forge/linux-64", "conda-forge", "conda-forge", ALIAS "/conda-forge", "linux-64",
	 NULL},
	{"a/label/dev", "a/label/dev", "a/label/dev", ALIAS "/a/label/dev", NULL, NULL},
	{ALIAS "/conda-forge/noarch", "conda-forge", "conda-forge", ALIAS "/conda-forge", "noarch",
	 NULL},
	{ALIAS "/t/to-ken/conda-forge", "conda-forge", "conda-forge", ALIAS "/conda-forge", NULL,
	 NULL},
	{"defaults", "defaults", "defaults", NULL, NULL, NULL},
	{"defaults/win-64", "defaults", "defaults", NULL, "win-64", NULL},
	{"local", "local", "local", NULL, NULL, NULL},
	{"pkgs/main", "pkgs/main", "defaults", MAIN, NULL, NULL},
	{MAIN "/linux-64", "pkgs/main", "defaults", MAIN, "linux-64", NULL},
	{"pkgs/free", "pkgs/free", "pkgs/free", ALIAS "/pkgs/free", NULL, NULL},
	{"pkgs/pro", "pkgs/pro", "pkgs/pro", "https://repo.anaconda.com/pkgs/pro", NULL, NULL},
	{"https://repo.anaconda.com/pkgs/free", "pkgs/free", "https://repo.anaconda.com/pkgs/free",
	 "https://repo.anaconda.com/pkgs/free", NULL, NULL},
	{"https://example.com/pkgs/main", "pkgs/main", "defaults", "https://example.com/pkgs/main",
	 NULL, NULL},
	{"http://u:p@Example.com:8080/Ch/", "Ch", "http://example.com:8080/Ch",
	 "http://example.com:8080/Ch", NULL, NULL},
	{"https://example.com/conda/ch", "ch", "https://example.com/conda/ch",
	 "https://example.com/conda/ch", NULL, NULL},
	{"https://example.com/a%20b", "a b", "https://example.com/a b", "https://example.com/a b",
	 NULL, NULL},
	{"https://example.com", "", "https://example.com", "https://example.com", NULL, NULL},
	{"https://example.com/ch/linux-64/x-1-0.conda", "ch", "https://example.com/ch",
	 "https://example.com/ch", "linux-64", "x-1-0.conda"},
	{"file:///opt/a/ch", "ch", "file:///opt/a/ch", "file:///opt/a/ch", NULL, NULL},
	{"/opt//a/../ch", "ch", "file:///opt/ch", "file:///opt/ch", NULL, NULL},
	{"/ch", "ch", "file:///ch", "file:///ch", NULL, NULL},
	{"<unknown>", "<unknown>", "<unknown>", NULL, NULL, NULL},
	{"", "", "", ALIAS, NULL, NULL},
	{"*", "*", "*", ALIAS "/*", NULL, NULL},
};

static void check_text(const char *got, const char *expected, const char *of)
{
	if ((got == NULL) != (expected == NULL) || (got && strcmp(got, expected) != 0))
		fail_msg("\"%s\": %s, not %s", of, got ? got : "-", expected ? expected : "-");
}

static void test_names(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct channel_name c = {0};
		const char *text = names[i].text;

		assert_int_equal(channel_name_parse(text, strlen(text), &arena, &c, NULL), 0);
		check_text(c.name, names[i].name, text);
		check_text(c.canonical, names[i].canonical, text);
		check_text(c.base_url, names[i].base_url, text);
		check_text(c.subdir, names[i].subdir, text);
		check_text(c.file, names[i].file, text);
	}
	arena_deinit(&arena);
}

static const struct {
	const char *text;
	int code;
} refusals[] = {
	{"./ch", ERR_UNSUPPORTED},	  {"../ch", ERR_UNSUPPORTED},
	{"~/ch", ERR_UNSUPPORTED},	  {"C:\\ch", ERR_UNSUPPORTED},
	{"https://h:x/ch", ERR_INVALID},  {"https://h:99999/ch", ERR_INVALID},
	{"https://[::1/ch", ERR_INVALID}, {"https://:80/ch", ERR_INVALID},
	{"https://h/a%ff", ERR_INVALID},  {"https://h/a%00b", ERR_INVALID},
};

static void test_refusals(void **state)
{
	static char text[CHANNEL_NAME_MAX + 1];
	struct channel_name c;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct err err = ERR_INIT;
		const char *t = refusals[i].text;

		if (channel_name_parse(t, strlen(t), &arena, &c, &err) != refusals[i].code)
			fail_msg("%s", t);
		assert_string_not_equal(err.text, "");
	}
	memset(text, '/', sizeof(text));
	assert_int_equal(channel_name_parse(text, sizeof(text), &arena, &c, NULL), ERR_LIMIT);
	assert_int_equal(channel_name_parse(text, sizeof(text) - 1, &arena, &c, NULL), 0);
	arena_deinit(&arena);
}

static const struct {
	const char *wanted, *other;
	bool matches;
} matches[] = {
	{"conda-forge", ALIAS "/conda-forge/linux-64", true},
	{"conda-forge", "https://mirror.example/conda-forge", true},
	{"conda-forge", "bioconda", false},
	{"defaults", MAIN "/noarch", true},
	{"defaults", "https://repo.anaconda.com/pkgs/r", true},
	{"defaults", "https://repo.anaconda.com/pkgs/msys2/win-64", true},
	{"defaults", "https://repo.anaconda.com/pkgs/free", false},
	{"https://example.com/ch", "https://example.com/ch/noarch", true},
	{"https://example.com/ch", "http://example.com/ch", false},
	{"https://example.com/ch", "ch", false},
	{MAIN, "defaults", false},
	{MAIN, "pkgs/main/linux-64", true},
};

static void test_matches(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(matches); i++) {
		const char *a = matches[i].wanted, *b = matches[i].other;
		struct channel_name wanted, other;

		assert_int_equal(channel_name_parse(a, strlen(a), &arena, &wanted, NULL), 0);
		assert_int_equal(channel_name_parse(b, strlen(b), &arena, &other, NULL), 0);
		if (channel_name_match(&wanted, &other) != matches[i].matches)
			fail_msg("%s, %s", a, b);
	}
	arena_deinit(&arena);
}

static int parse_once(void *ctx)
{
	static const char text[] = "https://u:p@h/t/tok/pkgs/main/linux-64/x%20-1-0.conda";
	struct channel_name c;
	struct arena arena;
	int rc;

	(void)ctx;
	arena_init(&arena, 1 << 20);
	rc = channel_name_parse(text, strlen(text), &arena, &c, NULL);
	arena_deinit(&arena);
	return rc;
}

static void test_faults(void **state)
{
	(void)state;
	fault_each_alloc(parse_once, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
