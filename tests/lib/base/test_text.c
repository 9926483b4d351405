#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/base/text.h"

static void knows_utf8(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"", true},
		{"plain ascii of more than eight bytes", true},
		{"caf\xc3\xa9", true},
		{"\xe2\x82\xac", true},
		{"\xf0\x9f\x98\x80", true},
		{"\xf4\x8f\xbf\xbf", true},
		{"\xed\x9f\xbf", true},
		{"\xee\x80\x80", true},
		{"12345678\xff", false},
		{"\x80", false},
		{"\xc0\x80", false},
		{"\xc1\xbf", false},
		{"\xc3", false},
		{"\xc3(", false},
		{"\xe0\x9f\xbf", false},
		{"\xe2\x82", false},
		{"\xed\xa0\x80", false},
		{"\xf0\x8f\xbf\xbf", false},
		{"\xf4\x90\x80\x80", false},
		{"\xf5\x80\x80\x80", false},
		{"\xf8\x88\x80\x80\x80", false},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(text_is_utf8(cases[i].text, strlen(cases[i].text)),
				 cases[i].valid);
}

static void escapes_what_a_terminal_obeys(void **state)
{
	static const struct {
		const char *text;
		const char *escaped;
	} cases[] = {
		{"plain caf\xc3\xa9 \xf0\x9f\x98\x80", "plain caf\xc3\xa9 \xf0\x9f\x98\x80"},
		{"C:\\dir \"x\"", "C:\\dir \"x\""},
		{"a\nb\tc\x1b[31m\x7f", "a\\x0ab\\x09c\\x1b[31m\\x7f"},
		{"\xc2\x9b"
		 "1m",
		 "\\u{009b}1m"}, /* C1: control sequence introducer */
		{"a\xe2\x80\xae"
		 "b",
		 "a\\u{202e}b"}, /* right-to-left override */
		{"\xe2\x81\xa6x\xe2\x81\xa9", "\\u{2066}x\\u{2069}"},
		{"\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}"},
		{"\xef\xbb\xbfx\xe2\x80\x8b", "\\u{feff}x\\u{200b}"},
		{"\xf3\xa0\x81\x81", "\\u{e0041}"}, /* a tag character */
		{"\xf0\x9f\xbf\xbe", "\\u{1fffe}"},
		{"\xff\xc3", "\\xff\\xc3"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"", ""},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out;

		buf_init(&out, 200);
		text_escape(&out, cases[i].text, strlen(cases[i].text));
		assert_string_equal(buf_cstr(&out), cases[i].escaped);
		buf_deinit(&out);
	}
}

static void escapes_zero_bytes(void **state)
{
	struct buf out;
	(void)state;

	buf_init(&out, 200);
	text_escape(&out, "a\0b", 3);
	assert_string_equal(buf_cstr(&out), "a\\x00b");
	buf_deinit(&out);
}

static void quotes_for_the_shell(void **state)
{
	static const struct {
		const char *text;
		const char *quoted;
	} cases[] = {
		{"", "''"},
		{"numpy>=1.2", "'numpy>=1.2'"},
		{"/opt/env_1/x.y-z", "/opt/env_1/x.y-z"},
		{"conda-forge::zlib=1.2", "conda-forge::zlib=1.2"},
		{"it's", "'it'\\''s'"},
		{"$(rm -rf ~)", "'$(rm -rf ~)'"},
		{"a\nb", "'a\nb'"},
		{"~root", "'~root'"},
		/* Backslashes that fish would take for more than themselves. */
		{"C:\\envs", "'C:\\envs'"},
		{"x\\", "'x'\\\\''"},
		{"\\\\srv", "''\\\\'\\srv'"},
		{"\\'; id", "''\\\\''\\''; id'"},
		{"caf\xc3\xa9", "'caf\xc3\xa9'"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out;

		buf_init(&out, 200);
		text_shell_quote(&out, cases[i].text);
		assert_string_equal(buf_cstr(&out), cases[i].quoted);
		buf_deinit(&out);
	}
}

static void compares_ends(void **state)
{
	(void)state;
	assert_true(text_starts("zlib-1.2", "zlib"));
	assert_true(text_starts("x", ""));
	assert_false(text_starts("zli", "zlib"));
	assert_true(text_ends("a.conda", ".conda"));
	assert_true(text_ends("a", ""));
	assert_false(text_ends("conda", ".conda"));
	assert_false(text_ends("a.condA", ".conda"));
}

static void reads_unsigned(void **state)
{
	static const struct {
		const char *text;
		int rc;
		unsigned long long v;
	} cases[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, ULLONG_MAX},
		{"18446744073709551616", ERR_INVALID, 0},
		{"99999999999999999999", ERR_INVALID, 0},
		{"", ERR_INVALID, 0},
		{"-1", ERR_INVALID, 0},
		{"+1", ERR_INVALID, 0},
		{" 1", ERR_INVALID, 0},
		{"1 ", ERR_INVALID, 0},
		{"0x1", ERR_INVALID, 0},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned long long v = 42;

		assert_int_equal(text_to_u64(cases[i].text, strlen(cases[i].text), &v),
				 cases[i].rc);
		assert_true(v == (cases[i].rc == 0 ? cases[i].v : 42));
	}
}

static void reads_signed(void **state)
{
	static const struct {
		const char *text;
		int rc;
		long long v;
	} cases[] = {
		{"0", 0, 0},
		{"-0", 0, 0},
		{"-1", 0, -1},
		{"9223372036854775807", 0, LLONG_MAX},
		{"-9223372036854775808", 0, LLONG_MIN},
		{"9223372036854775808", ERR_INVALID, 0},
		{"-9223372036854775809", ERR_INVALID, 0},
		{"-", ERR_INVALID, 0},
		{"--1", ERR_INVALID, 0},
		{"", ERR_INVALID, 0},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		long long v = 42;

		assert_int_equal(text_to_i64(cases[i].text, strlen(cases[i].text), &v),
				 cases[i].rc);
		assert_true(v == (cases[i].rc == 0 ? cases[i].v : 42));
	}
}

static void reads_hex(void **state)
{
	unsigned char out[3] = {9, 9, 9};
	(void)state;

	assert_int_equal(text_from_hex("00fFa1", 6, out, 3), 0);
	assert_memory_equal(out, "\x00\xff\xa1", 3);
	assert_int_equal(text_from_hex("1234", 4, out, 3), ERR_INVALID);
	assert_int_equal(text_from_hex("12345", 5, out, 2), ERR_INVALID);
	assert_int_equal(text_from_hex("12345g", 6, out, 3), ERR_INVALID);
	assert_int_equal(text_from_hex(" 12345", 6, out, 3), ERR_INVALID);
	assert_memory_equal(out, "\x00\xff\xa1", 3);
	assert_int_equal(text_from_hex("", 0, out, 0), 0);
}

static void paths_as_text(void **state)
{
	static const struct {
		const char *path;
		const char *text;
	} rows[] = {
		{"/home/ana/envs/a b", "/home/ana/envs/a b"},
		{"/\xc3\xa9\xe2\x82\xac", "/\xc3\xa9\xe2\x82\xac"},
		{"/a\xff", "/a\\xff"},
		{"\xc3", "\\xc3"},
		{"/\xc3/\xed\xa0\x80", "/\\xc3/\\xed\\xa0\\x80"},
		{"C:\\x", "C:\\x"},
		{"/a\\xff", "/a\\x5cxff"},
		{"/a\\xFF", "/a\\x5cxFF"},
		{"/a\\xfg", "/a\\xfg"},
		{"/a\\\xff", "/a\\\\xff"},
		{"/a\\x\xff", "/a\\x\\xff"},
		{"/a\\xf\xff", "/a\\xf\\xff"},
		{"/a\\\\xff", "/a\\\\x5cxff"},
		{"/new\nline", "/new\nline"},
		{"", ""},
	};
	char back[64];
	struct buf text;

	(void)state;
	buf_init(&text, 256);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buf_clear(&text);
		text_from_path(&text, rows[i].path);
		assert_string_equal(buf_cstr(&text), rows[i].text);
		assert_true(text_is_utf8(text.data, text.len));
		assert_int_equal(text_to_path(buf_cstr(&text), back, sizeof(back)), 0);
		assert_string_equal(back, rows[i].path);
	}
	buf_deinit(&text);
	assert_int_equal(text_to_path("/\\x00", back, sizeof(back)), ERR_INVALID);
	assert_int_equal(text_to_path("abc", back, 3), ERR_LIMIT);
	assert_int_equal(text_to_path("ab\\x63", back, 4), 0);
	assert_int_equal(text_to_path("", back, 0), ERR_LIMIT);
}

static const char *guess_of(const char *word, size_t n, const char *const *names)
{
	struct text_guess guess = {.word = word, .n = n};

	for (; *names; names++)
		text_guess(&guess, *names);
	return guess.best;
}

static void knows_what_was_meant(void **state)
{
	static const char *const names[] = {"--for",	   "ok",   "--message", "--json", "rules",
					    "old-openssl", "list", "listen",	NULL};
	static const struct {
		const char *word;
		const char *meant;
	} rows[] = {
		{"--mesage", "--message"},   /* less */
		{"--messsage", "--message"}, /* more */
		{"--massage", "--message"},  /* other */
		{"--emssage", "--message"},  /* swapped */
		{"--message", "--message"},
		{"lisetn", "listen"},
		{"lits", "list"},  /* the nearer of two */
		{"liste", "list"}, /* the first of two */
		{"rule", "rules"},
		{"openssl", "old-openssl"}, /* a part */
		{"old-", "old-openssl"},
		{"ol-opensl", "old-openssl"},
		{"ssl", NULL}, /* too small a part */
		{"--abc", NULL},
		{"-x", NULL},
		{"xy", NULL},
		{"", NULL},
	};
	char endless[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *best = guess_of(rows[i].word, strlen(rows[i].word), names);

		if (best != rows[i].meant &&
		    (!best || !rows[i].meant || strcmp(best, rows[i].meant)))
			fail_msg("%s: %s", rows[i].word, best ? best : "none");
	}
	assert_string_equal(guess_of("--mesage=x", 8, names), "--message");
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	assert_null(guess_of(endless, strlen(endless), names));
	assert_null(guess_of("x", 1, (const char *const[]){endless, "", NULL}));
	assert_string_equal(guess_of("xxxx", 4, (const char *const[]){endless, NULL}), endless);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_utf8),
		cmocka_unit_test(escapes_what_a_terminal_obeys),
		cmocka_unit_test(escapes_zero_bytes),
		cmocka_unit_test(quotes_for_the_shell),
		cmocka_unit_test(compares_ends),
		cmocka_unit_test(reads_unsigned),
		cmocka_unit_test(reads_signed),
		cmocka_unit_test(reads_hex),
		cmocka_unit_test(paths_as_text),
		cmocka_unit_test(knows_what_was_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
