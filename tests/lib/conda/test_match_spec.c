#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/conda/match_spec.h"
#include "tests/lib/conda/rows.h"
#include "tests/support/fault.h"

struct fixture {
	struct arena arena;
};

static int set_up(void **state)
{
	static struct fixture f;

	arena_init(&f.arena, MATCH_SPEC_MEMORY(MATCH_SPEC_MAX));
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	arena_deinit(&f->arena);
	return 0;
}

static int parse(struct fixture *f, const char *text, struct match_spec *spec)
{
	struct err err = ERR_INIT;
	int rc = match_spec_parse(text, strlen(text), &f->arena, spec, &err);

	assert_true((rc == 0) == (err.text[0] == '\0'));
	return rc;
}

/* The columns of matchspec-parse.tsv from the third on. */
static const enum match_field columns[] = {
	MATCH_NAME,    MATCH_VERSION, MATCH_BUILD,  MATCH_CHANNEL, MATCH_SUBDIR, MATCH_BUILD_NUMBER,
	MATCH_LICENSE, MATCH_MD5,     MATCH_SHA256, MATCH_URL,	   MATCH_FN,
};

static void check_parse(struct fixture *f, const char *table, size_t least)
{
	struct match_spec spec;
	struct rows rows;

	rows_load(&rows, table, least);
	for (size_t i = 0; i < rows.n; i++) {
		char **r = rows.items[i].fields;
		int rc = parse(f, r[0], &spec);

		if ((rc == 0) != (strcmp(r[1], "ok") == 0))
			fail_msg("line %zu: \"%s\" is %s", rows.items[i].line, r[0], r[1]);
		for (size_t c = 0; rc == 0 && c < ARRAY_SIZE(columns); c++) {
			const char *got = match_spec_field(&spec, columns[c]);

			if (strcmp(got ? got : "", r[c + 2]) != 0)
				fail_msg("line %zu: \"%s\": \"%s\", not \"%s\"", rows.items[i].line,
					 r[0], got ? got : "", r[c + 2]);
		}
		arena_reset(&f->arena);
	}
	rows_free(&rows);
}

static void test_parse_table(void **state)
{
	check_parse(*state, "matchspec-parse", 490);
	check_parse(*state, "more-matchspec-parse", 200);
}

static int match(struct fixture *f, const char *text, const struct match_package *package)
{
	struct match_subject subject;
	struct match_spec spec;
	int rc = parse(f, text, &spec);

	if (rc < 0)
		return rc;
	assert_int_equal(match_subject_init(&subject, package, &f->arena, NULL), 0);
	/* Matching may not allocate: the next allocation would fail. */
	mem_fail_after(0);
	rc = match_spec_match(&spec, &subject);
	assert_true(mem_fail_pending());
	mem_fail_after(-1);
	return rc;
}

static void check_match(struct fixture *f, const char *table, size_t least)
{
	struct rows rows;

	rows_load(&rows, table, least);
	for (size_t i = 0; i < rows.n; i++) {
		char **r = rows.items[i].fields;
		struct match_package package = {
			.name = r[1],
			.version = r[2],
			.build = r[3],
			.build_number = strtol(r[4], NULL, 10),
			.channel = r[5],
			.subdir = r[6],
			.license = r[7],
			.md5 = strcmp(r[1], "openssl") == 0 ? "d41d8cd98f00b204e9800998ecf8427e"
							    : NULL,
		};

		int rc = match(f, r[0], &package);

		if (strcmp(rc < 0 ? "invalid" : rc ? "true" : "false", r[8]) != 0)
			fail_msg("line %zu: \"%s\" %s %s: %s", rows.items[i].line, r[0], r[1], r[2],
				 r[8]);
		arena_reset(&f->arena);
	}
	rows_free(&rows);
}

static void test_match_table(void **state)
{
	check_match(*state, "matchspec-match", 700);
	check_match(*state, "more-matchspec-match", 150);
}

#define INVALID ERR_INVALID

static const struct match_package foo = {
	.name = "foo",
	.version = "1.7.1",
	.build = "py27_0",
	.build_number = 7,
	.channel = "https://conda.anaconda.org/conda-forge/linux-64",
	.subdir = "linux-64",
	.license = "BSD-3-Clause",
	.sha256 = "abcd",
	.url = "https://conda.anaconda.org/conda-forge/linux-64/foo-1.7.1-py27_0.conda",
};

/* What the tables leave out; the answers are conda's, but for what it cannot say (INVALID). */
static const struct {
	const char *spec;
	int answer;
} matches[] = {
	{"", 1},
	{" ", INVALID},
	{"@", 1},
	{"mkl@", 0},
	{"FOO", 1},
	{"foo 1.7.1 py27_0", 1},
	{"foo 1.7.1 PY27_0", 0},
	{"foo[build='py*_0']", 1},
	{"foo[build='^py(27|36)_\\d$']", 1},
	{"foo[build_number=07]", 1},
	{"foo[build_number=+7]", 1},
	{"foo[build_number='>6']", 1},
	{"foo[build_number='>=7.0']", 1},
	{"foo[build_number='=7']", 1},
	{"foo[build_number='!=7']", 0},
	{"foo[build_number=x]", 0},
	{"foo[build_number='*']", 1},
	{"foo[build_number='~=7']", 0},
	{"foo[build_number='=>7']", INVALID},
	{"foo[license=bsd-3-clause]", 1},
	{"foo[license='*CLAUSE']", 1},
	{"foo[license_family=none]", 1},
	{"foo[md5=None]", 1},
	{"foo[sha256=abcd]", 1},
	{"foo[sha256=ABCD]", 0},
	{"foo[fn=foo-1.7.1-py27_0.conda]", 1},
	{"https://conda.anaconda.org/conda-forge/linux-64/foo-1.7.1-py27_0.conda", 1},
	{"https://conda.anaconda.org/conda-forge/linux-64/foo-1.7.1-py27_1.conda", 0},
	{"foo[features=' ']", 1},
	{"foo[features=x]", 0},
	{"foo[flags=x]", 0},
	{"foo[extras=x]", INVALID},
	{"bar[extras=x]", 0},
	{"foo[optional=x,target=y]", 1},
	{"foo[when=bar]", 1},
	{"conda-forge::foo", 1},
	{"conda-*::foo", 1},
	{"c?nda*::foo", 0},
	{"c.nda*::foo", 1},
	{"https://mirror.example/conda-forge::foo", 0},
	{"conda-forge/noarch::foo", 0},
	{"conda-forge/noarch::foo[subdir=linux-64]", 1},
	{"x:y:z:foo", 0},
	{"ns:foo", 1},
	{"foo (>=9)", 1},
	{"foo # 9", 1},
	{"foo if 9", 1},
	{"foo[version='1.7.1', junk]", 1},
	{"foo[name=bar]", 1},
	{"foo[version=9,version=1.7.1]", 1},
	{"foo ~=1.7", 1},
	{"foo ~=1", INVALID},
	{"bar ~=1", 0},
};

static void test_matches(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(matches); i++)
		if (match(f, matches[i].spec, &foo) != matches[i].answer)
			fail_msg("\"%s\"", matches[i].spec);
}

/* A version that is none matters only when it is asked for. */
static void test_no_version(void **state)
{
	struct match_package package = foo;
	struct fixture *f = *state;

	package.version = "1..2";
	assert_int_equal(match(f, "foo", &package), 1);
	assert_int_equal(match(f, "foo *", &package), 1);
	assert_int_equal(match(f, "foo 1.*.2", &package), 1);
	assert_int_equal(match(f, "foo >1", &package), ERR_INVALID);
	assert_int_equal(match(f, "bar >1", &package), 0);
	assert_int_equal(match(f, "foo[subdir=noarch,version='>1']", &package), 0);
	package.build_number = -1;
	assert_int_equal(match(f, "foo[build_number=-1]", &package), 1);
	assert_int_equal(match(f, "foo[build_number='>0']", &package), ERR_INVALID);
}

static const struct {
	const char *spec;
	int code;
	const char *why;
} refusals[] = {
	{"num&py", ERR_INVALID, "column 1: invalid character in the package name"},
	{"conda-forge::a--b", ERR_INVALID, "column 14: invalid package name"},
	{">=1", ERR_INVALID, "no package name"},
	{"foo >=1,=>2", ERR_INVALID, "column 5: version: column 5: invalid operator"},
	{"foo[bar=1]", ERR_INVALID, "column 5: unknown key in the brackets"},
	{"foo[build=]", ERR_INVALID, "column 5: a key without a value in the brackets"},
	{"foo[build_number='=>7']", ERR_INVALID, "column 19: build_number: invalid operator"},
	{"~/x::foo", ERR_UNSUPPORTED, "column 1: a channel that is a path must be absolute"},
	{"foo-1-0.conda", ERR_UNSUPPORTED,
	 "column 1: a package's file needs an absolute path or a URL"},
	{"foo[build='^(?=a)$']", ERR_UNSUPPORTED,
	 "column 12: build: regular expression, column 3: this group is not supported"},
	{"foo\xff", ERR_INVALID, "not UTF-8 text"},
};

static void test_refusals(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const char *text = refusals[i].spec;
		struct err err = ERR_INIT;
		struct match_spec spec;

		assert_int_equal(match_spec_parse(text, strlen(text), &f->arena, &spec, &err),
				 refusals[i].code);
		assert_string_equal(err.text, refusals[i].why);
		assert_int_equal(match_spec_parse(text, strlen(text), &f->arena, &spec, NULL),
				 refusals[i].code);
	}
}

static void check_format(struct fixture *f, const char *text)
{
	struct match_spec spec, again;
	struct buf once, twice;

	if (parse(f, text, &spec) < 0)
		return;
	buf_init(&once, 1 << 16);
	buf_init(&twice, 1 << 16);
	match_spec_format(&spec, &once);
	if (parse(f, buf_cstr(&once), &again) < 0)
		fail_msg("\"%s\" became \"%s\"", text, buf_cstr(&once));
	match_spec_format(&again, &twice);
	assert_string_equal(buf_cstr(&once), buf_cstr(&twice));
	for (size_t i = 0; i < MATCH_FIELDS; i++) {
		const char *a = match_spec_field(&spec, (enum match_field)i);
		const char *b = match_spec_field(&again, (enum match_field)i);

		if ((a == NULL) != (b == NULL) || (a && strcmp(a, b) != 0))
			fail_msg("\"%s\" became \"%s\"", text, buf_cstr(&once));
	}
	buf_deinit(&once);
	buf_deinit(&twice);
}

static void test_format(void **state)
{
	static const char *const tables[] = {"matchspec-parse", "matchspec-match",
					     "more-matchspec-parse", "more-matchspec-match"};
	struct fixture *f = *state;
	struct match_spec spec;
	struct rows rows;
	struct buf out;

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		rows_load(&rows, tables[t], 1);
		for (size_t i = 0; i < rows.n; i++) {
			check_format(f, rows.items[i].fields[0]);
			arena_reset(&f->arena);
		}
		rows_free(&rows);
	}
	for (size_t i = 0; i < ARRAY_SIZE(matches); i++)
		check_format(f, matches[i].spec);
	buf_init(&out, 1000);
	assert_int_equal(parse(f, "defaults/noarch::Foo=1.2 # why", &spec), 0);
	match_spec_format(&spec, &out);
	assert_string_equal(buf_cstr(&out),
			    "foo[channel='defaults',subdir='noarch',version='1.2.*']");
	buf_deinit(&out);
}

static size_t repeat(char *text, const char *piece, size_t times)
{
	size_t n = strlen(piece);

	for (size_t i = 0; i < times; i++)
		memcpy(text + i * n, piece, n);
	return n * times;
}

static void test_hostile(void **state)
{
	static const char *const pieces[] = {
		"(",   ")",	    "[",       "]",	   "[]", "[[]]", "a=", "'",   "a='",  ":",
		"::",  "a:",	    "*",       "a*",	   " ",	 "=",	 "@",  "#",   " if ", "a b",
		"/t/", "/linux-64", "a[b=c] ", "foo 1,2|", "\n", "(1|",	 "x/", "%41", "[a=b,"};
	static char text[65536 + 16];
	struct fixture *f = *state;
	struct match_spec spec;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		static const char *const heads[] = {"", "foo ", "foo[", "https://h/",
						    "foo[version='"};

		for (size_t h = 0; h < ARRAY_SIZE(heads); h++) {
			size_t head = strlen(heads[h]);
			size_t times = (MATCH_SPEC_MAX - head - 2) / strlen(pieces[i]);
			size_t n = head;

			memcpy(text, heads[h], head);
			n += repeat(text + head, pieces[i], times);
			text[n++] = ']';
			(void)match_spec_parse(text, n, &f->arena, &spec, NULL);
			arena_reset(&f->arena);
		}
	}
	memset(text, '(', sizeof(text));
	assert_int_equal(match_spec_parse(text, 65536, &f->arena, &spec, NULL), ERR_LIMIT);
}

static int parse_once(void *ctx)
{
	static const char text[] =
		"https://h/t/x/*ch/linux-64::fo*[version='=1.2',build='^a(b|c)$',"
		"build_number='>3',license='gpl*',url=x] (x)";
	struct match_subject subject;
	struct match_spec spec;
	struct arena arena;
	int rc;

	(void)ctx;
	arena_init(&arena, 1 << 20);
	rc = match_spec_parse(text, strlen(text), &arena, &spec, NULL);
	if (rc == 0)
		rc = match_subject_init(&subject, &foo, &arena, NULL);
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
		cmocka_unit_test(test_parse_table), cmocka_unit_test(test_match_table),
		cmocka_unit_test(test_matches),	    cmocka_unit_test(test_no_version),
		cmocka_unit_test(test_refusals),    cmocka_unit_test(test_format),
		cmocka_unit_test(test_hostile),	    cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
