#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/json.h"
#include "tests/support/fault.h"

static void write_document(struct json_writer *w)
{
	json_begin_object(w);
	json_kv_str(w, "schema", "envwarden.test/1");
	json_key(w, "list");
	json_begin_array(w);
	json_int(w, INT64_MIN);
	json_int(w, 7);
	json_str(w, NULL);
	json_begin_object(w);
	json_end_object(w);
	json_begin_array(w);
	json_end_array(w);
	json_strn(w, "a\0b", 3);
	json_bool(w, true);
	json_end_array(w);
	json_kv_int(w, "n", -1);
	json_kv_bool(w, "no", false);
	json_kv_str_opt(w, "absent", NULL);
	json_kv_str_opt(w, "empty", "");
	json_kv_str_opt(w, "there", "x");
	json_kv_hex_opt(w, "none", NULL, 0);
	json_kv_hex_opt(w, "hash", "\x01\xab", 2);
	json_kv_time_opt(w, "never", 0);
	json_kv_time_opt(w, "time", 1);
	json_key(w, "null");
	json_put_null(w);
	json_end_object(w);
}

static void places_commas(void **state)
{
	struct json_writer w;
	struct buf out;
	(void)state;

	buf_init(&out, 1000);
	json_writer_init(&w, &out);
	write_document(&w);
	assert_string_equal(
		buf_cstr(&out),
		"{\"schema\":\"envwarden.test/1\",\"list\":[-9223372036854775808,7,null,{},"
		"[],\"a\\u0000b\",true],\"n\":-1,\"no\":false,\"there\":\"x\","
		"\"hash\":\"01ab\",\"time\":\"1970-01-01T00:00:00.001Z\",\"null\":null}");
	buf_deinit(&out);
}

static void escapes(void **state)
{
	static const struct {
		const char *text;
		const char *json;
	} cases[] = {
		{"", "\"\""},
		{"a\"b\\c/", "\"a\\\"b\\\\c/\""},
		{"\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\""},
		{"\xe2\x80\xa8x\xe2\x80\xa9", "\"\\u2028x\\u2029\""},
		{"\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\x81", "\"\\u009b\\u202e\\udb40\\udc01\""},
		{"caf\xc3\xa9 \xf0\x9f\x98\x80", "\"caf\xc3\xa9 \xf0\x9f\x98\x80\""},
		{"a\xff"
		 "b\xc3",
		 "\"a\xef\xbf\xbd"
		 "b\xef\xbf\xbd\""},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_writer w;
		struct buf out;

		buf_init(&out, 1000);
		json_writer_init(&w, &out);
		json_str(&w, cases[i].text);
		assert_string_equal(buf_cstr(&out), cases[i].json);
		buf_deinit(&out);
	}
}

static int write_out(void *ctx)
{
	struct json_writer w;
	struct buf out;
	int rc;
	(void)ctx;

	buf_init(&out, 1000);
	json_writer_init(&w, &out);
	write_document(&w);
	rc = buf_rc(&out);
	buf_deinit(&out);
	return rc;
}

static void buffer_errors_stick(void **state)
{
	struct json_writer w;
	struct buf out;
	(void)state;

	fault_each_alloc(write_out, NULL, 1);
	buf_init(&out, 50);
	json_writer_init(&w, &out);
	write_document(&w);
	assert_int_equal(buf_rc(&out), ERR_LIMIT);
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_commas),
		cmocka_unit_test(escapes),
		cmocka_unit_test(buffer_errors_stick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
