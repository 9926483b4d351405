#include "lib/base/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/base/text.h"

static const struct {
	const char *line;
	const char *words; /* each ended by '|'; or what the error says */
	int rc;
} rows[] = {
	{"", "", 0},
	{"  \t ", "", 0},
	{"conda install -p /a b", "conda|install|-p|/a|b|", 0},
	{" conda  install\t-p ", "conda|install|-p|", 0},
	{"conda update \"openssl>=3\" 'a;b'", "conda|update|openssl>=3|a;b|", 0},
	{"a'b c'\"d e\"f", "ab cd ef|", 0},
	{"'it'\\''s' it\\'s", "it's|it's|", 0},
	{"'a\nb' '' \"\"", "a\nb|||", 0},
	{"\"a\\\"b\\\\c\\n\"", "a\"b\\c\\n|", 0},
	{"a=b x~y a#b a!", "a=b|x~y|a#b|a!|", 0},
	{"\\$x \\;", "$x|;|", 0},
	{"'$(id)' '`id`'", "$(id)|`id`|", 0},
	{"conda install openssl>=3", "'>'", ERR_INVALID},
	{"a; b", "';'", ERR_INVALID},
	{"a && b", "'&'", ERR_INVALID},
	{"a | b", "'|'", ERR_INVALID},
	{"a < b", "'<'", ERR_INVALID},
	{"a $(b)", "'$'", ERR_INVALID},
	{"a \"$(b)\"", "'$'", ERR_INVALID},
	{"a \"`b`\"", "'`'", ERR_INVALID},
	{"a `b`", "'`'", ERR_INVALID},
	{"a (b)", "'('", ERR_INVALID},
	{"a *", "'*'", ERR_INVALID},
	{"a b?", "'?'", ERR_INVALID},
	{"a [b]", "'['", ERR_INVALID},
	{"a {b,c}", "'{'", ERR_INVALID},
	{"a ~/b", "'~'", ERR_INVALID},
	{"a # b", "'#'", ERR_INVALID},
	{"! a", "'!'", ERR_INVALID},
	{"a\nb", "more than one line", ERR_INVALID},
	{"a \\\nb", "behind a backslash", ERR_INVALID},
	{"a \\", "behind a backslash", ERR_INVALID},
	{"a 'b", "not closed", ERR_INVALID},
	{"a \"b", "not closed", ERR_INVALID},
	{"a \"b\\", "not closed", ERR_INVALID},
	{"a \"b\\\"", "not closed", ERR_INVALID},
	{"a \x01", "shell would act", ERR_INVALID},
};

static void is_read_as_a_shell_reads_it_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;
		struct words words;
		struct arena arena;
		struct buf got;

		arena_init(&arena, 1 << 20);
		buf_init(&got, 4096);
		print_message("%s\n", rows[i].line);
		assert_int_equal(words_split(rows[i].line, &arena, &words, &err), rows[i].rc);
		if (rows[i].rc < 0) {
			assert_non_null(strstr(err.text, rows[i].words));
		} else {
			for (size_t w = 0; w < words.n; w++)
				buf_addf(&got, "%s|", words.items[w]);
			assert_null(words.items[words.n]);
			assert_string_equal(buf_cstr(&got), rows[i].words);
		}
		buf_deinit(&got);
		arena_deinit(&arena);
	}
}

/* Whatever is quoted for a shell comes back as it was. */
static void what_was_quoted_comes_back(void **state)
{
	static const char *const texts[] = {
		"plain",	 "",   " ", "a'b",     "''", "a\"b$(id)`id`",
		"x\n; rm -rf ~", "\\", "*", "\xff\xfe"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct words words;
		struct arena arena;
		struct buf line;

		arena_init(&arena, 1 << 20);
		buf_init(&line, 4096);
		buf_adds(&line, "p ");
		text_shell_quote(&line, texts[i]);
		assert_int_equal(words_split(buf_cstr(&line), &arena, &words, NULL), 0);
		assert_int_equal(words.n, 2);
		assert_string_equal(words.items[1], texts[i]);
		buf_deinit(&line);
		arena_deinit(&arena);
	}
}

static void is_bounded(void **state)
{
	static char line[WORDS_TEXT_MAX + 2];
	struct words words;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < 2 * (WORDS_MAX + 1); i++)
		line[i] = i % 2 ? ' ' : 'x';
	assert_int_equal(words_split(line, &arena, &words, NULL), ERR_LIMIT);
	line[2 * WORDS_MAX] = '\0';
	assert_int_equal(words_split(line, &arena, &words, NULL), 0);
	assert_int_equal(words.n, WORDS_MAX);
	memset(line, 'x', sizeof(line) - 1);
	assert_int_equal(words_split(line, &arena, &words, NULL), ERR_LIMIT);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_read_as_a_shell_reads_it_or_refused),
		cmocka_unit_test(what_was_quoted_comes_back),
		cmocka_unit_test(is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
