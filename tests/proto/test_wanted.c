#include "proto/wanted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/fault.h"

#define HEAD "envwarden-pieces-wanted 1\n"

static void what_is_written_is_read(void **state)
{
	static const struct wanted_base bases[] = {
		{0, "/opt/conda"},
		{1000, "/home/ana/min i\xc3\xa4\\xff"},
		{UINT32_MAX - 1, "/"},
	};
	const struct wanted_base *found;
	struct arena arena;
	struct buf text;
	size_t n;

	(void)state;
	arena_init(&arena, 1 << 20);
	buf_init(&text, WANTED_MAX);
	wanted_begin(&text);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(wanted_add(&text, bases[i].uid, bases[i].prefix), 0);
	/* A name may have any byte; a line has no control characters. */
	assert_int_equal(wanted_add(&text, 1, "/a\nb\x7f"), 0);
	assert_int_equal(wanted_add(&text, 1, "relative"), ERR_INVALID);
	assert_int_equal(wanted_parse(text.data, text.len, &arena, &found, &n, NULL), 0);
	assert_int_equal(n, 4);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(found[i].uid, bases[i].uid);
		assert_string_equal(found[i].prefix, bases[i].prefix);
	}
	assert_string_equal(found[3].prefix, "/a\\x0ab\\x7f");
	buf_deinit(&text);
	arena_deinit(&arena);
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{HEAD, 0},
		{HEAD "1 /a\n1 /a\n", 0},
		{"", ERR_CORRUPT},
		{"\n", ERR_CORRUPT},
		{"root:x:0:0:root:/root:/bin/sh\n", ERR_CORRUPT},
		{"envwarden-pieces-wanted 1", ERR_CORRUPT},
		{"envwarden-pieces-wanted 2\n", ERR_UNSUPPORTED},
		{"envwarden-pieces-wanted 10\n", ERR_UNSUPPORTED},
		{"envwarden-pieces-wanted \n", ERR_CORRUPT},
		{HEAD "1 /a", ERR_CORRUPT},
		{HEAD "1 /a\n\n", ERR_CORRUPT},
		{HEAD "1\n", ERR_CORRUPT},
		{HEAD "1 \n", ERR_CORRUPT},
		{HEAD " /a\n", ERR_CORRUPT},
		{HEAD "/a\n", ERR_CORRUPT},
		{HEAD "-1 /a\n", ERR_CORRUPT},
		{HEAD "+1 /a\n", ERR_CORRUPT},
		{HEAD "1  /a\n", ERR_CORRUPT},
		{HEAD "1 a\n", ERR_CORRUPT},
		{HEAD "1 ./a\n", ERR_CORRUPT},
		{HEAD "0x1 /a\n", ERR_CORRUPT},
		{HEAD "4294967295 /a\n", ERR_CORRUPT},
		{HEAD "18446744073709551617 /a\n", ERR_CORRUPT},
		{HEAD "1 /a\t\n", ERR_CORRUPT},
		{HEAD "1 /a\r\n", ERR_CORRUPT},
		{HEAD "1 /a\x1b[2J\n", ERR_CORRUPT},
		{HEAD "1 /\xff\n", ERR_CORRUPT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct wanted_base *found = NULL;
		struct err err = ERR_INIT;
		struct arena arena;
		size_t n = 77;

		arena_init(&arena, 1 << 20);
		if (wanted_parse(cases[i].text, strlen(cases[i].text), &arena, &found, &n, &err) !=
		    cases[i].rc)
			fail_msg("case %zu", i);
		assert_int_equal(cases[i].rc == 0, n != 77);
		assert_null(strstr(err.text, "root"));
		arena_deinit(&arena);
	}
}

static void there_is_a_limit(void **state)
{
	const struct wanted_base *found;
	struct arena arena;
	struct buf text;
	size_t added = 0, n;
	int rc = 0;

	(void)state;
	arena_init(&arena, 4 << 20);
	buf_init(&text, 2 * WANTED_MAX);
	wanted_begin(&text);
	while ((rc = wanted_add(&text, 1000, "/home/somebody/miniforge3")) == 0)
		added++;
	assert_int_equal(rc, ERR_LIMIT);
	assert_true(added > 1000 && text.len <= WANTED_MAX);
	assert_int_equal(wanted_parse(text.data, text.len, &arena, &found, &n, NULL), 0);
	assert_int_equal(n, added);
	while (text.len <= WANTED_MAX)
		buf_adds(&text, "1 /a\n");
	assert_int_equal(wanted_parse(text.data, text.len, &arena, &found, &n, NULL), ERR_LIMIT);
	buf_deinit(&text);
	arena_deinit(&arena);
}

static int write_and_read(void *ctx)
{
	const struct wanted_base *found;
	struct arena arena;
	struct buf text;
	size_t n;
	int rc;

	(void)ctx;
	arena_init(&arena, 1 << 20);
	buf_init(&text, WANTED_MAX);
	wanted_begin(&text);
	rc = wanted_add(&text, 1, "/a");
	if (rc == 0)
		rc = buf_rc(&text);
	if (rc == 0)
		rc = wanted_parse(text.data, text.len, &arena, &found, &n, NULL);
	buf_deinit(&text);
	arena_deinit(&arena);
	return rc;
}

static void memory_runs_out(void **state)
{
	(void)state;
	fault_each_alloc(write_and_read, NULL, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(there_is_a_limit),
		cmocka_unit_test(memory_runs_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
