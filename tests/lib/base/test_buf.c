#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "tests/support/fault.h"

static void appends(void **state)
{
	static const char expected[] =
		"ab\0c7-x\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"
		"\x0e\x0f\0\0\0\x02hi00ff1a";
	struct buf b;
	(void)state;

	buf_init(&b, 1000);
	assert_string_equal(buf_cstr(&b), "");
	buf_add(&b, "ab\0", 3);
	buf_add(&b, NULL, 0);
	buf_addc(&b, 'c');
	buf_addf(&b, "%d-%s", 7, "x");
	buf_add_u8(&b, 1);
	buf_add_u16(&b, 0x0203);
	buf_add_u32(&b, 0x04050607);
	buf_add_u64(&b, UINT64_C(0x08090a0b0c0d0e0f));
	buf_add_lp(&b, "hi", 2);
	buf_add_hex(&b, "\x00\xff\x1a", 3);
	assert_int_equal(buf_rc(&b), 0);
	assert_int_equal(b.len, sizeof(expected) - 1);
	assert_memory_equal(b.data, expected, b.len);
	assert_int_equal(buf_cstr(&b)[b.len], '\0');
	buf_consume(&b, 4);
	assert_memory_equal(b.data, "7-x", 3);
	buf_consume(&b, 0);
	buf_consume(&b, b.len);
	assert_int_equal(b.len, 0);
	buf_deinit(&b);
	buf_deinit(&b);
}

static void limit_is_sticky(void **state)
{
	struct buf b;
	(void)state;

	buf_init(&b, 5);
	buf_adds(&b, "hello");
	assert_int_equal(buf_rc(&b), 0);
	assert_string_equal(buf_cstr(&b), "hello");
	buf_addc(&b, '!');
	assert_int_equal(buf_rc(&b), ERR_LIMIT);
	assert_null(buf_reserve(&b, 0));
	assert_null(buf_take(&b, NULL));
	assert_string_equal(buf_cstr(&b), "");
	buf_clear(&b);
	buf_addf(&b, "%s", "world");
	assert_string_equal(buf_cstr(&b), "world");
	buf_addf(&b, "%s", "x");
	assert_int_equal(buf_rc(&b), ERR_LIMIT);
	buf_clear(&b);
	buf_add_hex(&b, "abc", 3);
	assert_int_equal(buf_rc(&b), ERR_LIMIT);
	buf_clear(&b);
	assert_null(buf_reserve(&b, SIZE_MAX));
	buf_deinit(&b);
	buf_init(&b, SIZE_MAX);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_int_equal(buf_rc(&b), ERR_NOMEM);
	buf_deinit(&b);
	buf_init(&b, 0);
	assert_string_equal(buf_cstr(&b), "");
	buf_deinit(&b);
}

static void taken_memory_is_the_callers(void **state)
{
	struct buf b;
	size_t n = 99;
	char *text;
	(void)state;

	buf_init(&b, 100);
	text = buf_take(&b, &n);
	assert_string_equal(text, "");
	assert_int_equal(n, 0);
	mem_free(text);
	buf_adds(&b, "one");
	text = buf_take(&b, NULL);
	assert_string_equal(text, "one");
	mem_free(text);
	buf_adds(&b, "two");
	assert_string_equal(buf_cstr(&b), "two");
	buf_deinit(&b);
}

static void reader_reads_and_sticks(void **state)
{
	static const unsigned char bytes[] = {1,  2,  3, 4, 5, 6, 7,   8,   9, 10, 11, 12, 13,
					      14, 15, 0, 0, 0, 2, 'h', 'i', 0, 0,  0,  9};
	struct rd r;
	size_t n;
	(void)state;

	rd_init(&r, bytes, sizeof(bytes));
	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u32(&r), 0x04050607);
	assert_true(rd_u64(&r) == UINT64_C(0x08090a0b0c0d0e0f));
	assert_memory_equal(rd_lp(&r, 2, &n), "hi", 2);
	assert_int_equal(n, 2);
	assert_non_null(rd_bytes(&r, 0));
	assert_int_equal(r.rc, 0);
	assert_null(rd_lp(&r, 100, &n));
	assert_int_equal(n, 0);
	assert_int_equal(r.rc, ERR_TRUNCATED);
	assert_int_equal(rd_u8(&r), 0);
	assert_null(rd_bytes(&r, 0));

	rd_init(&r, bytes + 15, 6);
	assert_null(rd_lp(&r, 1, &n));
	assert_int_equal(r.rc, ERR_LIMIT);
	rd_init(&r, NULL, 0);
	assert_non_null(rd_bytes(&r, 0));
	assert_int_equal(rd_u64(&r), 0);
	assert_int_equal(r.rc, ERR_TRUNCATED);
}

static int append_much(void *ctx)
{
	struct buf b;
	int rc;
	(void)ctx;

	buf_init(&b, 100000);
	for (int i = 0; i < 2000; i++)
		buf_addf(&b, "%d ", i);
	rc = buf_rc(&b);
	buf_deinit(&b);
	return rc;
}

static void survives_lack_of_memory(void **state)
{
	(void)state;
	fault_each_alloc(append_much, NULL, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends),
		cmocka_unit_test(limit_is_sticky),
		cmocka_unit_test(taken_memory_is_the_callers),
		cmocka_unit_test(reader_reads_and_sticks),
		cmocka_unit_test(survives_lack_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
