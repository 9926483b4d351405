#include "agent/cli/wrap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

static void test_columns(void **state)
{
	(void)state;
	assert_int_equal(wrap_columns("abc", 3), 3);
	assert_int_equal(wrap_columns("caf\303\251", 5), 4);
	assert_int_equal(wrap_columns("e\314\201", 3), 1);
	assert_int_equal(wrap_columns("\346\227\245\346\234\254", 6), 4);
	assert_int_equal(wrap_columns("\355\225\234\357\274\241", 6), 4); /* hangul, full-width A */
	assert_int_equal(wrap_columns("\357\275\261\316\251", 5), 2);	  /* half-width a, omega */
	assert_int_equal(wrap_columns("\360\237\214\261\360\237\252\267\342\214\232", 11),
			 6);					  /* emoji */
	assert_int_equal(wrap_columns("\360\240\200\200", 4), 2); /* extension B */
}

static const struct {
	size_t width;
	const char *text;
	const char *want;
} texts[] = {
	{20, "one two", "> one two\n"},
	{20, "", "> \n"},
	{20, "  one\n\ttwo  ", "> one two\n"},
	{20, "one two three four five", "> one two three four\n. five\n"},
	{20, "abcdefghijklmnopqrstuvwxyz", "> abcdefghijklmnopqr\n. stuvwxyz\n"},
	{20, "x abcdefghijklmnopqrstuvwxyz", "> x\n. abcdefghijklmnopqr\n. stuvwxyz\n"},
	{20, "\033[2J\x07", "> \\x1b[2J\\x07\n"},
	{5, "one two three four five", "> one two three four\n. five\n"}, /* never narrower */
};

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct buf out;
		struct wrap w;

		buf_init(&out, 4096);
		wrap_begin(&w, &out, texts[i].width, "> ", ". ");
		wrap_text(&w, texts[i].text, NULL);
		wrap_end(&w);
		assert_string_equal(buf_cstr(&out), texts[i].want);
		buf_deinit(&out);
	}
}

static void test_lines(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	wrap_lines(&out, 20, "| ", "one two three four five\n\nsix\n");
	assert_string_equal(buf_cstr(&out), "| one two three four\n| five\n| \n| six\n");
	buf_deinit(&out);
}

/* Goes to the next line, or beyond the width, but never in two. */
static void test_whole(void **state)
{
	static const char want[] = "> one two\n. three four five do\n. six seven eight nine ten\n";
	struct buf out;
	struct wrap w;

	(void)state;
	buf_init(&out, 4096);
	wrap_begin(&w, &out, 20, "> ", ". ");
	wrap_text(&w, "one two", NULL);
	wrap_whole(&w, "three four five");
	wrap_text(&w, "do", NULL);
	wrap_whole(&w, "six seven eight nine ten");
	wrap_whole(&w, "");
	wrap_end(&w);
	assert_string_equal(buf_cstr(&out), want);
	buf_deinit(&out);
}

static const struct {
	const char *command;
	const char *want;
} commands[] = {
	{"conda update x", "$ conda update x\n"},
	{"run 'one  two three four five'", "$ run 'one  two three four five'\n"},
	{"run\033[2J", "$ run\\x1b[2J\n"},
};

static void test_command(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct buf out;

		buf_init(&out, 4096);
		wrap_command(&out, "$ ", commands[i].command);
		assert_string_equal(buf_cstr(&out), commands[i].want);
		buf_deinit(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns), cmocka_unit_test(test_text),
		cmocka_unit_test(test_lines),	cmocka_unit_test(test_whole),
		cmocka_unit_test(test_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
