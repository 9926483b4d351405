#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/conda/version_spec.h"
#include "tests/lib/conda/rows.h"
#include "tests/support/fault.h"

struct fixture {
	struct arena arena;
};

static int set_up(void **state)
{
	static struct fixture f;

	arena_init(&f.arena, VERSION_SPEC_MEMORY(VERSION_SPEC_MAX));
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	arena_deinit(&f->arena);
	return 0;
}

static int match(struct fixture *f, const char *text, const char *version)
{
	struct version_subject subject;
	struct version_room room;
	struct version_spec spec;
	int rc = version_spec_parse(text, strlen(text), &f->arena, &spec, NULL);

	if (rc < 0)
		return rc;
	version_subject_init(&subject, version, strlen(version), &room);
	/* Matching may not allocate: the next allocation would fail. */
	mem_fail_after(0);
	rc = version_spec_match(&spec, &subject);
	assert_true(mem_fail_pending());
	mem_fail_after(-1);
	return rc;
}

static const char *answer(int rc)
{
	return rc < 0 ? "invalid" : rc ? "true" : "false";
}

static void check_table(struct fixture *f, const char *table, size_t least)
{
	struct rows rows;

	rows_load(&rows, table, least);
	for (size_t i = 0; i < rows.n; i++) {
		char **r = rows.items[i].fields;
		const char *got = answer(match(f, r[0], r[1]));

		if (strcmp(got, r[2]) != 0)
			fail_msg("line %zu: \"%s\" \"%s\": %s, not %s", rows.items[i].line, r[0],
				 r[1], r[2], got);
		arena_reset(&f->arena);
	}
	rows_free(&rows);
}

static void test_table(void **state)
{
	check_table(*state, "version-match", 1700);
	check_table(*state, "more-version-match", 300);
}

/* What the tables leave out; the answers are conda's. */
static const struct {
	const char *spec, *version, *answer;
} matches[] = {
	{"1.2(1.3)", "1.2", "true"},
	{"1.2(1.3)", "1.3", "false"},
	{"(1|2),2", "2", "true"},
	{"(1|2),2", "1", "false"},
	{"1|2,3", "1", "true"},
	{"((((1))))", "1", "true"},
	{"()", "1", "invalid"},
	{"", "1", "invalid"},
	{" ", "1", "invalid"},
	{"~=1", "0.5", "false"},
	{"~=1", "1.5", "invalid"},
	{"~=1.2.3", "1.2.9", "true"},
	{"~=1.2.3", "1.3", "false"},
	{"~=1.2+3.4", "1.2+3.5", "true"},
	{"<2|x@y", "x@y", "invalid"},
	{"x@y|<2", "x@y", "true"},
	{"*", "no version!!", "true"},
	{"1.*.1", "1.x y.1", "true"},
	{"1.*.A", "1.0.a", "false"},
	{"1*2", "12", "true"},
	{"1*2", "1\n2", "false"},
	{"1*2", "1x2\n", "true"},
	{"1.*.?", "1.5", "true"},
	{"1\n|2", "1", "invalid"},
	{"1|2\n", "2", "true"},
	{"^1\\.(2|3)\\.\\d+$|>9", "1.3.14", "true"},
	{"^1\\.(2|3)\\.\\d+$|>9", "1.4.14", "false"},
	{"^[^a-c.]{2,3}?$", "xyz", "true"},
	{"^[^a-c.]{2,3}?$", "xaz", "false"},
	{"^(?:ab)+$", "ababab", "true"},
	{"^(?:ab)+$", "ababa", "false"},
	{"^(|a|b{0})c$", "c", "true"},
	{"^a{,2}$", "aaa", "false"},
	{"^a{x}$", "a{x}", "true"},
	{"^(a*)*b$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "false"},
	{"^(a$", "a", "invalid"},
	{"^a)$", "a", "invalid"},
	{"^*a$", "a", "invalid"},
	{"^[b-a]$", "a", "invalid"},
	{"^[a$", "a", "invalid"},
	{"^a{2,1}$", "a", "invalid"},
	{"^a**$", "a", "invalid"},
	{"1$", "1", "invalid"},
};

static void test_matches(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(matches); i++)
		if (strcmp(answer(match(f, matches[i].spec, matches[i].version)),
			   matches[i].answer) != 0)
			fail_msg("\"%s\" \"%s\": %s", matches[i].spec, matches[i].version,
				 matches[i].answer);
}

static const struct {
	const char *spec;
	int code;
	const char *why;
} refusals[] = {
	{">=1,=>2", ERR_INVALID, "column 5: invalid operator"},
	{">=1, <2&", ERR_INVALID, "column 6: invalid character in a version"},
	{"1.2)", ERR_INVALID, "')' without '('"},
	{"1.2))", ERR_INVALID, "column 5: ')' without '('"},
	{"(1.2", ERR_INVALID, "column 1: '(' without ')'"},
	{"((1", ERR_INVALID, "column 2: '(' without ')'"},
	{"1,(2|3", ERR_INVALID, "column 3: '(' without ')'"},
	{"1,|2", ERR_INVALID, "column 2: nothing to join on one side of an operator"},
	{"~=1.*", ERR_INVALID, "column 1: \"~=\" does not go with \".*\""},
	{"^(?=1)$", ERR_UNSUPPORTED,
	 "column 1: regular expression, column 3: this group is not supported"},
	{"^1\\b$", ERR_UNSUPPORTED,
	 "column 1: regular expression, column 4: this escape is not supported"},
	{"^1++$", ERR_UNSUPPORTED, NULL},
	{"^((a{1000}){1000}){1000}$", ERR_UNSUPPORTED, "column 1: regular expression: too big"},
	{"^((((){1000}){1000}){1000}){1000}$", ERR_UNSUPPORTED, NULL},
};

static void test_refusals(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct version_spec spec = {.root = NULL};
		struct err err = ERR_INIT;
		const char *text = refusals[i].spec;

		assert_int_equal(version_spec_parse(text, strlen(text), &f->arena, &spec, &err),
				 refusals[i].code);
		assert_null(spec.root);
		assert_int_equal(err.code, refusals[i].code);
		if (refusals[i].why)
			assert_string_equal(err.text, refusals[i].why);
	}
}

/* The canonical text parses, to the same canonical text, and matches the same. */
static void check_format(struct fixture *f, const char *text, const char *version)
{
	struct version_spec spec, again;
	struct buf once, twice;

	if (version_spec_parse(text, strlen(text), &f->arena, &spec, NULL) < 0)
		return;
	buf_init(&once, 1 << 16);
	buf_init(&twice, 1 << 16);
	version_spec_format(&spec, &once);
	assert_int_equal(version_spec_parse(buf_cstr(&once), once.len, &f->arena, &again, NULL), 0);
	version_spec_format(&again, &twice);
	assert_string_equal(buf_cstr(&once), buf_cstr(&twice));
	assert_int_equal(match(f, text, version), match(f, buf_cstr(&once), version));
	buf_deinit(&once);
	buf_deinit(&twice);
}

static void test_format(void **state)
{
	struct fixture *f = *state;
	struct version_spec spec;
	struct rows rows;
	struct buf out;

	rows_load(&rows, "version-match", 1700);
	for (size_t i = 0; i < rows.n; i++) {
		check_format(f, rows.items[i].fields[0], rows.items[i].fields[1]);
		arena_reset(&f->arena);
	}
	rows_free(&rows);
	for (size_t i = 0; i < ARRAY_SIZE(matches); i++)
		check_format(f, matches[i].spec, matches[i].version);
	buf_init(&out, 1000);
	assert_int_equal(version_spec_parse("( 1 |2*) , (>3 | (4,5))", 23, &f->arena, &spec, NULL),
			 0);
	version_spec_format(&spec, &out);
	assert_string_equal(buf_cstr(&out), "(1|2.*),(>3|4,5)");
	buf_deinit(&out);
}

/* Fills text with n times a piece. */
static size_t repeat(char *text, const char *piece, size_t times)
{
	size_t n = strlen(piece);

	for (size_t i = 0; i < times; i++)
		memcpy(text + i * n, piece, n);
	return n * times;
}

static void test_hostile(void **state)
{
	static const char *const pieces[] = {"(",      ")", "|",    ",",    "1",  "1|",	    "1,2|",
					     "(1|",    "^", "^,",   "^1$|", "*",  "1*",	    "a*b|",
					     "(1,(2|", "[", "^(a|", "$",    "\n", "~=1.1,", "\\"};
	static char text[4 * VERSION_SPEC_MAX + 8];
	struct fixture *f = *state;
	struct version_spec spec;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		size_t times = VERSION_SPEC_MAX / strlen(pieces[i]);

		n = repeat(text, pieces[i], times);
		if (version_spec_parse(text, n, &f->arena, &spec, NULL) == 0) {
			struct version_room room;
			struct version_subject subject;

			version_subject_init(&subject, "1.2", 3, &room);
			(void)version_spec_match(&spec, &subject);
		}
		arena_reset(&f->arena);
		n = repeat(text, pieces[i], 65536 / strlen(pieces[i]));
		assert_int_equal(version_spec_parse(text, n, &f->arena, &spec, NULL), ERR_LIMIT);
	}
	/* Parentheses alone are no depth; ands in ors in ands are. */
	n = repeat(text, "(", 8000);
	text[n++] = '1';
	n += repeat(text + n, ")", 8000);
	assert_int_equal(version_spec_parse(text, n, &f->arena, &spec, NULL), 0);
	n = repeat(text, "(1,(2|", 1000);
	text[n++] = '3';
	n += repeat(text + n, "))", 1000);
	assert_int_equal(version_spec_parse(text, n, &f->arena, &spec, NULL), ERR_LIMIT);
	n = repeat(text, "9", 1000);
	assert_int_equal(version_spec_parse(text, n, &f->arena, &spec, NULL), ERR_LIMIT);
}

static int parse_once(void *ctx)
{
	static const char text[] = "(>=1.2,<2|~=3.4.5),!=1.*.7|^a(b|c)*$|2*|1.*.?";
	struct version_spec spec;
	struct arena arena;
	int rc;

	(void)ctx;
	arena_init(&arena, 1 << 20);
	rc = version_spec_parse(text, strlen(text), &arena, &spec, NULL);
	arena_deinit(&arena);
	return rc;
}

static void test_faults(void **state)
{
	(void)state;
	fault_each_alloc(parse_once, NULL, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	 cmocka_unit_test(test_matches),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_format),
		cmocka_unit_test(test_hostile),	 cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
