#include "lib/net/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "tests/support/fault.h"

#define MAX 64

static void test_encode(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(frame_encode(&b, "abc", 3, 3), 0);
	assert_int_equal(frame_encode(&b, NULL, 0, 3), 0);
	assert_int_equal(b.len, 11);
	assert_memory_equal(b.data, "\0\0\0\3abc\0\0\0\0", 11);
	assert_int_equal(frame_encode(&b, "abcd", 4, 3), ERR_LIMIT);
	assert_int_equal(b.len, 11);
	buf_deinit(&b);
	buf_init(&b, 6);
	assert_int_equal(frame_encode(&b, "abc", 3, 3), ERR_LIMIT); /* the buffer's own limit */
	buf_deinit(&b);
}

struct decode_case {
	const char *name;
	const char *bytes;
	size_t n;
	const char *want; /* payloads, each followed by '|' */
	int rc;
	bool idle; /* at the end */
};

static const struct decode_case cases[] = {
	{"nothing", "", 0, "", 0, true},
	{"one", "\0\0\0\3abc", 7, "abc|", 0, true},
	{"empty one", "\0\0\0\0", 4, "|", 0, true},
	{"three", "\0\0\0\1a\0\0\0\0\0\0\0\2bc", 15, "a||bc|", 0, true},
	{"half a header", "\0\0\0", 3, "", 0, false},
	{"header only", "\0\0\0\1", 4, "", 0, false},
	{"cut payload", "\0\0\0\4abc", 7, "", 0, false},
	{"one and a cut one", "\0\0\0\1a\0\0", 7, "a|", 0, false},
	{"largest", "\0\0\0\100aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd",
	 68, "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd|", 0, true},
	{"one too long", "\0\0\0\101a", 5, "", ERR_LIMIT, false},
	{"hugest", "\377\377\377\377", 4, "", ERR_LIMIT, false},
	{"good, then too long", "\0\0\0\1a\0\0\1\0", 9, "a|", ERR_LIMIT, false},
};

/* Feeds the bytes in pieces of `step`, the way the header says. */
static int decode_all(struct frame_decoder *d, const char *bytes, size_t n, size_t step,
		      struct buf *got)
{
	while (n > 0) {
		size_t part = n < step ? n : step, used, payload_n;
		const void *payload;
		int rc = frame_decode(d, bytes, part, &used, &payload, &payload_n);

		if (rc < 0)
			return rc;
		assert_in_range(used, 1, part);
		bytes += used;
		n -= used;
		if (payload) {
			buf_add(got, payload, payload_n);
			buf_addc(got, '|');
		}
	}
	return 0;
}

static void test_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct decode_case *c = &cases[i];

		for (size_t step = 1; step <= 70; step++) {
			struct frame_decoder d;
			struct buf got;

			frame_decoder_init(&d, MAX);
			buf_init(&got, 1024);
			assert_int_equal(decode_all(&d, c->bytes, c->n, step, &got), c->rc);
			if (strcmp(buf_cstr(&got), c->want) != 0 ||
			    frame_decoder_idle(&d) != c->idle)
				fail_msg("%s by %zu: \"%s\"", c->name, step, buf_cstr(&got));
			buf_deinit(&got);
			frame_decoder_deinit(&d);
		}
	}
}

static void test_error_sticks(void **state)
{
	struct frame_decoder d;
	size_t used, n;
	const void *payload;

	(void)state;
	frame_decoder_init(&d, MAX);
	assert_int_equal(frame_decode(&d, "\1\0\0\0", 4, &used, &payload, &n), ERR_LIMIT);
	assert_int_equal(frame_decode(&d, "\0\0\0\0", 4, &used, &payload, &n), ERR_LIMIT);
	assert_null(payload);
	frame_decoder_deinit(&d);
}

/* An announced frame costs no memory until its bytes come. */
static void test_announcing_is_free(void **state)
{
	struct frame_decoder d;
	size_t used, n;
	const void *payload;

	(void)state;
	frame_decoder_init(&d, 64 << 20);
	mem_fail_after(0);
	assert_int_equal(frame_decode(&d, "\3\0\0\0", 4, &used, &payload, &n), 0);
	mem_fail_after(-1);
	assert_null(payload);
	assert_int_equal(frame_decode(&d, "ab", 2, &used, &payload, &n), 0);
	assert_true(d.payload.cap < 4096);
	frame_decoder_deinit(&d);
}

static void test_want(void **state)
{
	struct frame_decoder d;
	size_t used, n;
	const void *payload;

	(void)state;
	frame_decoder_init(&d, MAX);
	assert_int_equal(frame_decoder_want(&d), 4);
	assert_int_equal(frame_decode(&d, "\0\0", 2, &used, &payload, &n), 0);
	assert_int_equal(frame_decoder_want(&d), 2);
	assert_int_equal(frame_decode(&d, "\0\5a", 3, &used, &payload, &n), 0);
	assert_int_equal(frame_decoder_want(&d), 4);
	assert_int_equal(frame_decode(&d, "bcde", 4, &used, &payload, &n), 0);
	assert_non_null(payload);
	assert_int_equal(frame_decoder_want(&d), 4);
	frame_decoder_deinit(&d);
}

static int decode_body(void *ctx)
{
	struct frame_decoder d;
	struct buf b, got;
	int rc;

	(void)ctx;
	frame_decoder_init(&d, MAX);
	buf_init(&b, 1024);
	buf_init(&got, 1024);
	rc = frame_encode(&b, "0123456789", 10, MAX);
	if (rc == 0)
		rc = decode_all(&d, b.data, b.len, 3, &got);
	if (rc == 0)
		rc = buf_rc(&got);
	buf_deinit(&got);
	buf_deinit(&b);
	frame_decoder_deinit(&d);
	return rc;
}

static void test_no_memory(void **state)
{
	(void)state;
	fault_each_alloc(decode_body, NULL, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode),	     cmocka_unit_test(test_decode),
		cmocka_unit_test(test_error_sticks), cmocka_unit_test(test_announcing_is_free),
		cmocka_unit_test(test_want),	     cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
