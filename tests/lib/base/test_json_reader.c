#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "tests/support/fault.h"

static const struct json_limits wide = {.max_depth = 100, .max_string = 1000, .max_bytes = 1 << 20};

/* A source that hands out its bytes in steps, and may end in an error. */
struct source {
	const char *data;
	size_t left;
	size_t step;
	int error;
};

static int64_t read_step(void *ctx, void *into, size_t cap)
{
	struct source *s = ctx;
	size_t n = s->left < s->step ? s->left : s->step;

	if (n == 0 && s->error < 0)
		return s->error;
	n = n < cap ? n : cap;
	memcpy(into, s->data, n);
	s->data += n;
	s->left -= n;
	return (int64_t)n;
}

/* One token as text: "{", "}", "k:name", "s:text", "i:5", "n:1.5", "true", ... */
static void describe(const struct json_reader *r, enum json_token token, struct buf *out)
{
	static const char *const names[] = {
		"END", "{", "}", "[", "]", "k:", "s:", "i:", "n:", "true", "false", "null"};
	size_t n;

	buf_adds(out, names[token]);
	if (token == JSON_KEY || token == JSON_STRING || token == JSON_NUMBER) {
		const char *text = json_text(r, &n);
		assert_int_equal(text[n], '\0');
		buf_add(out, text, n);
	}
	if (token == JSON_INT)
		buf_addf(out, "%lld", (long long)json_num(r));
	if (token != JSON_END)
		buf_addc(out, ' ');
}

/* All tokens to the end, or up to an error, whose text stands in *err. */
static int read_all(struct json_reader *r, struct buf *out, struct err *err)
{
	enum json_token token = JSON_NULL;
	int rc = 0;

	buf_clear(out);
	while (rc == 0 && token != JSON_END) {
		rc = json_next(r, &token, err);
		if (rc == 0)
			describe(r, token, out);
	}
	return rc;
}

struct fixture {
	struct json_reader *r;
	struct buf out;
};

static int set_up(void **state)
{
	static struct fixture f;

	assert_int_equal(json_reader_new(&wide, &f.r), 0);
	buf_init(&f.out, 1 << 20);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	json_reader_free(f->r);
	json_reader_free(NULL);
	buf_deinit(&f->out);
	return 0;
}

static const struct {
	const char *json;
	const char *tokens;
} good[] = {
	{"{}", "{ } END"},
	{" [ ] \r\n\t", "[ ] END"},
	{"1", "i:1 END"},
	{"\"x\"", "s:x END"},
	{"\"\"", "s: END"},
	{"true", "true END"},
	{"[true,false,null]", "[ true false null ] END"},
	{"{\"a\":1,\"b\" : {\"c\":[]}}", "{ k:a i:1 k:b { k:c [ ] } } END"},
	{"[0,-0,10,-7]", "[ i:0 i:0 i:10 i:-7 ] END"},
	{"[9223372036854775807,-9223372036854775808]",
	 "[ i:9223372036854775807 i:-9223372036854775808 ] END"},
	{"[9223372036854775808,1.0,1e3,-0.5E-07]",
	 "[ n:9223372036854775808 n:1.0 n:1e3 n:-0.5E-07 ] END"},
	{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "s:\"\\/\b\f\n\r\t END"},
	{"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\uFFFF\"",
	 "s:A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf END"},
	{"\"caf\xc3\xa9 \x7f\"", "s:caf\xc3\xa9 \x7f END"},
	{"\"0123456789abcdef0123456789abcdef\xe2\x82\xac\"",
	 "s:0123456789abcdef0123456789abcdef\xe2\x82\xac END"},
	{"{\"a\":1,\"a\":2}", "{ k:a i:1 k:a i:2 } END"},
	{"[[[[]]]]", "[ [ [ [ ] ] ] ] END"},
};

static const struct {
	const char *json;
	int rc;
	const char *text;
} bad[] = {
	{"", ERR_TRUNCATED, "offset 0: input ends inside a value"},
	{"  ", ERR_TRUNCATED, "offset 2: input ends inside a value"},
	{"{", ERR_TRUNCATED, "offset 1: input ends inside a value"},
	{"[1", ERR_TRUNCATED, "offset 2: input ends inside a value"},
	{"[1,", ERR_TRUNCATED, "offset 3: input ends inside a value"},
	{"{\"a", ERR_TRUNCATED, "offset 3: input ends inside a value"},
	{"{\"a\"", ERR_TRUNCATED, "offset 4: input ends inside a value"},
	{"{\"a\":", ERR_TRUNCATED, "offset 5: input ends inside a value"},
	{"\"a\\", ERR_TRUNCATED, "offset 3: input ends inside a value"},
	{"\"\\u12", ERR_TRUNCATED, "offset 5: input ends inside a value"},
	{"\"\\ud83d", ERR_TRUNCATED, "offset 7: input ends inside a value"},
	{"tru", ERR_TRUNCATED, "offset 3: input ends inside a value"},
	{"\xef\xbb\xbf{}", ERR_INVALID, "offset 0: no value here"},
	{"{} x", ERR_INVALID, "offset 3: more after the value"},
	{"{}{}", ERR_INVALID, "offset 2: more after the value"},
	{"1 2", ERR_INVALID, "offset 2: more after the value"},
	{"]", ERR_INVALID, "offset 0: no value here"},
	{"[}", ERR_INVALID, "offset 1: bracket closes nothing"},
	{"{]", ERR_INVALID, "offset 1: bracket closes nothing"},
	{"[1}", ERR_INVALID, "offset 2: bracket closes nothing"},
	{"[1,]", ERR_INVALID, "offset 3: no value here"},
	{"[,1]", ERR_INVALID, "offset 1: no value here"},
	{"[1 2]", ERR_INVALID, "offset 3: no comma after a value"},
	{"[1:2]", ERR_INVALID, "offset 2: no comma after a value"},
	{"{1:2}", ERR_INVALID, "offset 1: no key here"},
	{"{\"a\":1,}", ERR_INVALID, "offset 7: no key here"},
	{"{\"a\" 1}", ERR_INVALID, "offset 5: no colon after a key"},
	{"{\"a\":}", ERR_INVALID, "offset 5: no value here"},
	{"{\"a\":1 \"b\"}", ERR_INVALID, "offset 7: no comma after a value"},
	{"\"\\x41\"", ERR_INVALID, "offset 3: unknown escape in a string"},
	{"\"\\u12g4\"", ERR_INVALID, "offset 7: \\u is not followed by four hex digits"},
	{"\"\\ud83d\"", ERR_INVALID, "offset 8: lone surrogate"},
	{"\"\\ud83d\\n\"", ERR_INVALID, "offset 9: lone surrogate"},
	{"\"\\ud83d\\ud83d\"", ERR_INVALID, "offset 13: lone surrogate"},
	{"\"\\ude00\"", ERR_INVALID, "offset 7: lone surrogate"},
	{"\"a\tb\"", ERR_INVALID, "offset 3: control character in a string"},
	{"\"a\xff\"", ERR_INVALID, "offset 4: string is not UTF-8"},
	{"\"\xed\xa0\x80\"", ERR_INVALID, "offset 5: string is not UTF-8"},
	{"\"0123456789abcdef0123456789abcdef\xc3\"", ERR_INVALID, "offset 35: string is not UTF-8"},
	{"{\"\xff\":1}", ERR_INVALID, "offset 4: string is not UTF-8"},
	{"01", ERR_INVALID, "offset 2: malformed number"},
	{"-", ERR_INVALID, "offset 1: malformed number"},
	{"1.", ERR_INVALID, "offset 2: malformed number"},
	{"1.e5", ERR_INVALID, "offset 4: malformed number"},
	{"1e", ERR_INVALID, "offset 2: malformed number"},
	{"1e+", ERR_INVALID, "offset 3: malformed number"},
	{"--1", ERR_INVALID, "offset 3: malformed number"},
	{"+1", ERR_INVALID, "offset 0: no value here"},
	{".5", ERR_INVALID, "offset 0: no value here"},
	{"truE", ERR_INVALID, "offset 4: unknown word"},
	{"[nullx]", ERR_INVALID, "offset 5: no comma after a value"},
	{"NaN", ERR_INVALID, "offset 0: no value here"},
	{"'a'", ERR_INVALID, "offset 0: no value here"},
};

/* From bytes, and from a stream cut everywhere: the tokens do not depend on the pieces. */
static void reads_good_input_in_any_pieces(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		size_t n = strlen(good[i].json);

		json_reader_reset_bytes(f->r, good[i].json, n);
		assert_int_equal(read_all(f->r, &f->out, &err), 0);
		assert_string_equal(buf_cstr(&f->out), good[i].tokens);
		assert_int_equal(json_offset(f->r), n);
		for (size_t step = 1; step <= n; step++) {
			struct source s = {good[i].json, n, step, 0};

			json_reader_reset(f->r, read_step, &s);
			assert_int_equal(read_all(f->r, &f->out, &err), 0);
			assert_string_equal(buf_cstr(&f->out), good[i].tokens);
			assert_int_equal(json_offset(f->r), n);
		}
	}
	assert_int_equal(err.code, 0);
}

static void refuses_bad_input_in_any_pieces(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t n = strlen(bad[i].json);
		struct err err = ERR_INIT, again = ERR_INIT;
		enum json_token token = JSON_NULL;

		json_reader_reset_bytes(f->r, bad[i].json, n);
		assert_int_equal(read_all(f->r, &f->out, &err), bad[i].rc);
		assert_string_equal(err.text, bad[i].text);
		assert_int_equal(json_next(f->r, &token, &again), bad[i].rc);
		assert_string_equal(again.text, bad[i].text);
		assert_int_equal(token, JSON_NULL);
		assert_int_equal(json_skip(f->r, NULL), bad[i].rc);
		assert_int_equal(json_leave(f->r, NULL), bad[i].rc);
		for (size_t step = 1; step <= n; step++) {
			struct source s = {bad[i].json, n, step, 0};

			json_reader_reset(f->r, read_step, &s);
			assert_int_equal(read_all(f->r, &f->out, &err), bad[i].rc);
			assert_string_equal(err.text, bad[i].text);
		}
	}
}

static void text_may_hold_zeroes(void **state)
{
	struct fixture *f = *state;
	enum json_token token;
	size_t n;

	json_reader_reset_bytes(f->r, "\"a\\u0000b\"", 10);
	assert_int_equal(json_next(f->r, &token, NULL), 0);
	assert_memory_equal(json_text(f->r, &n), "a\0b", 4);
	assert_int_equal(n, 3);
	assert_string_equal(json_text(f->r, NULL), "a");
	json_reader_reset_bytes(f->r, "\"a\0b\"", 5);
	assert_int_equal(json_next(f->r, &token, NULL), ERR_INVALID);
}

static void limits_hold(void **state)
{
	static const struct json_limits tight = {.max_depth = 2, .max_string = 4, .max_bytes = 20};
	static const struct {
		const char *json;
		int rc;
	} cases[] = {
		{"[[1]]", 0},
		{"[[[1]]]", ERR_LIMIT},
		{"[\"abcd\"]", 0},
		{"[\"abcde\"]", ERR_LIMIT},
		{"[\"\\u20acab\"]", ERR_LIMIT},
		{"[\"\\u20aca\"]", 0},
		{"[1234]", 0},
		{"[12345]", ERR_LIMIT},
		{"[1,2,3,4,5,6,7,8,91]", 0},
		{"[1,2,3,4,5,6,7,8,9,1]", ERR_LIMIT},
		{"                     1", ERR_LIMIT},
	};
	struct fixture *f = *state;
	struct json_reader *r;

	assert_int_equal(json_reader_new(&tight, &r), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = strlen(cases[i].json);

		json_reader_reset_bytes(r, cases[i].json, n);
		assert_int_equal(read_all(r, &f->out, NULL), cases[i].rc);
		for (size_t step = 1; step < n; step++) {
			struct source s = {cases[i].json, n, step, 0};

			json_reader_reset(r, read_step, &s);
			assert_int_equal(read_all(r, &f->out, NULL), cases[i].rc);
		}
	}
	json_reader_reset_bytes(r, "[[[]]]", 6);
	assert_int_equal(json_skip(r, NULL), ERR_LIMIT);
	json_reader_reset_bytes(r, "[\"much longer\"]", 15); /* skipped text is not kept */
	assert_int_equal(json_skip(r, NULL), 0);
	json_reader_free(r);
}

static void read_errors_pass(void **state)
{
	struct fixture *f = *state;
	struct source s = {"[1, ", 4, 4, ERR_IO};
	struct err err = ERR_INIT;

	json_reader_reset(f->r, read_step, &s);
	assert_int_equal(read_all(f->r, &f->out, &err), ERR_IO);
	assert_string_equal(buf_cstr(&f->out), "[ i:1 ");
	assert_string_equal(err.text, "offset 4: read: input/output error (-50008)");
	s = (struct source){"[1, ", 4, 4, -5};
	json_reader_reset(f->r, read_step, &s);
	assert_int_equal(json_skip(f->r, &err), -5);
}

/* --- skipping --- */

/*
 * Skips the value of "skip" wherever it comes in the object, in pieces of each size, and reads on
 * after it.
 */
static void check_skip(struct fixture *f, const char *value, int rc)
{
	char json[1024];
	int n = snprintf(json, sizeof(json), "{\"skip\": %s , \"on\":[ 1]}", value);

	assert_in_range(n, 0, sizeof(json) - 1);
	for (size_t step = 1; step <= (size_t)n; step++) {
		struct source s = {json, (size_t)n, step, 0};
		enum json_token token;
		int got;

		json_reader_reset(f->r, read_step, &s);
		assert_int_equal(json_next(f->r, &token, NULL), 0);
		assert_int_equal(json_next(f->r, &token, NULL), 0);
		got = json_skip(f->r, NULL);
		if (got == 0)
			got = read_all(f->r, &f->out, NULL);
		assert_int_equal(got, rc);
		if (rc == 0)
			assert_string_equal(buf_cstr(&f->out), "k:on [ i:1 ] } END");
	}
}

static void skips_any_value(void **state)
{
	static const struct {
		const char *value;
		int rc;
	} cases[] = {
		{"1.5e3", 0},
		{"true", 0},
		{"\"te\\\"x]}\\\\\"", 0},
		{"\"\\ud800 is not looked at\"", 0},
		{"{}", 0},
		{"[]", 0},
		{"[[[{\"a\":[{}]}]],{}]", 0},
		{"{\"}\":\"]\",\"[\":[\"{\\\"\"]}", 0},
		{"[\"\\\\\",\"\\\\\\\"]\",\"\\\\\\\\\"]", 0},
		{"[\"0123456789012345678901234567890123456789012345678901234567890123456789\\\\\", "
		 "\"\\\"\\\\\\\"}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}"
		 "\"]",
		 0},
		{"[}", ERR_INVALID},
		{"{]", ERR_INVALID},
		{"[{]}", ERR_INVALID},
		{"{[}]", ERR_INVALID},
		{"tru", ERR_INVALID},
		{"}", ERR_INVALID},
		{",", ERR_INVALID},
		{"[", ERR_INVALID},  /* the object's end closes nothing then */
		{"\"", ERR_INVALID}, /* the key behind stands outside then */
		{"[\"", ERR_TRUNCATED},
		{"{", ERR_TRUNCATED},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_skip(f, cases[i].value, cases[i].rc);
}

/* Backslashes and quotes at every place of a block, against a scan byte by byte. */
static void skips_escapes_at_every_place(void **state)
{
	struct fixture *f = *state;

	for (size_t pad = 0; pad < 130; pad++) {
		for (size_t slashes = 0; slashes < 5; slashes++) {
			char value[256];
			size_t n = 0;

			value[n++] = '[';
			value[n++] = '"';
			memset(value + n, ']', pad);
			n += pad;
			memset(value + n, '\\', 2 * slashes + 1);
			n += 2 * slashes + 1;
			memcpy(value + n, "\"]\",[]]", 8);
			n += 7;
			json_reader_reset_bytes(f->r, value, n);
			assert_int_equal(json_skip(f->r, NULL), 0);
			assert_int_equal(json_offset(f->r), n);
			for (size_t step = 1; step < 70; step += 3) {
				struct source s = {value, n, step, 0};

				json_reader_reset(f->r, read_step, &s);
				assert_int_equal(json_skip(f->r, NULL), 0);
				assert_int_equal(json_offset(f->r), n);
			}
		}
	}
}

static void every_cut_of_a_skipped_value_is_noticed(void **state)
{
	static const char json[] = "{\"a\": [\"x\\\"]\", {\"b\": \"}\"}], \"c\": {\"d\": [1, 2, "
				   "{\"e\": \"0123456789012345678901234567890123456789\"}]}}";
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	for (size_t n = 0; n < sizeof(json) - 1; n++) {
		char expected[64];

		snprintf(expected, sizeof(expected), "offset %zu: input ends inside a value", n);
		json_reader_reset_bytes(f->r, json, n);
		assert_int_equal(json_skip(f->r, &err), ERR_TRUNCATED);
		assert_string_equal(err.text, expected);
	}
	json_reader_reset_bytes(f->r, json, sizeof(json) - 1);
	assert_int_equal(json_skip(f->r, &err), 0);
	assert_int_equal(read_all(f->r, &f->out, &err), 0);
	assert_string_equal(buf_cstr(&f->out), "END");
}

static void deep_nesting_is_a_limit(void **state)
{
	struct fixture *f = *state;
	char deep[202];

	memset(deep, '[', 101);
	memset(deep + 101, ']', 101);
	json_reader_reset_bytes(f->r, deep, 202);
	assert_int_equal(json_skip(f->r, NULL), ERR_LIMIT);
	json_reader_reset_bytes(f->r, deep + 1, 200);
	assert_int_equal(json_skip(f->r, NULL), 0);
	json_reader_reset_bytes(f->r, deep + 1, 200);
	assert_int_equal(read_all(f->r, &f->out, NULL), 0);
	for (size_t i = 0; i < 100; i++) /* objects all the way down */
		deep[1 + i] = '{', deep[101 + i] = '}';
	json_reader_reset_bytes(f->r, deep + 1, 200);
	assert_int_equal(json_skip(f->r, NULL), 0);
	deep[150] = ']';
	json_reader_reset_bytes(f->r, deep + 1, 200);
	assert_int_equal(json_skip(f->r, NULL), ERR_INVALID);
}

static void leaves_what_is_open(void **state)
{
	static const char json[] = "{\"a\":[1,{\"x\":[2]},3],\"b\":{\"c\":0,\"d\":[]},\"e\":5}";
	struct fixture *f = *state;
	enum json_token token;

	json_reader_reset_bytes(f->r, json, sizeof(json) - 1);
	for (int i = 0; i < 5; i++) /* { a [ 1 { */
		assert_int_equal(json_next(f->r, &token, NULL), 0);
	assert_int_equal(token, JSON_OBJECT);
	assert_int_equal(json_leave(f->r, NULL), 0);
	assert_int_equal(json_next(f->r, &token, NULL), 0);
	assert_int_equal(json_num(f->r), 3);
	assert_int_equal(json_leave(f->r, NULL), 0);
	assert_int_equal(json_next(f->r, &token, NULL), 0);
	assert_string_equal(json_text(f->r, NULL), "b");
	assert_int_equal(json_next(f->r, &token, NULL), 0);
	assert_int_equal(json_next(f->r, &token, NULL), 0);
	assert_string_equal(json_text(f->r, NULL), "c");
	assert_int_equal(json_leave(f->r, NULL), 0);
	assert_int_equal(read_all(f->r, &f->out, NULL), 0);
	assert_string_equal(buf_cstr(&f->out), "k:e i:5 } END");
	assert_int_equal(json_leave(f->r, NULL), ERR_INVALID);
}

static void skips_elements(void **state)
{
	struct fixture *f = *state;
	enum json_token token;

	json_reader_reset_bytes(f->r, "[1,\"a\",[2],{}]", 14);
	assert_int_equal(json_next(f->r, &token, NULL), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(json_skip(f->r, NULL), 0);
	assert_int_equal(json_next(f->r, &token, NULL), 0);
	assert_int_equal(token, JSON_ARRAY_END);
	json_reader_reset_bytes(f->r, "[]", 2);
	assert_int_equal(json_next(f->r, &token, NULL), 0);
	assert_int_equal(json_skip(f->r, NULL), ERR_INVALID);
	json_reader_reset_bytes(f->r, "{\"a\":1}", 7);
	assert_int_equal(json_next(f->r, &token, NULL), 0);
	assert_int_equal(json_skip(f->r, NULL), ERR_INVALID);
}

/* --- a package record, longer than the window --- */

#define RECORD_FILES 3000

static void make_record(struct buf *out)
{
	buf_adds(out,
		 "{\n  \"build\": \"py310h\",\n  \"depends\": [\n    \"libgcc-ng >=12\"\n  ],\n"
		 "  \"files\": [\n");
	for (int i = 0; i < RECORD_FILES; i++)
		buf_addf(out,
			 "    \"lib/python3.10/site-packages/some \\\"name\\\"/file_%d.py\"%s\n", i,
			 i + 1 < RECORD_FILES ? "," : "");
	buf_adds(out, "  ],\n  \"paths_data\": {\n    \"paths\": [\n");
	for (int i = 0; i < RECORD_FILES; i++)
		buf_addf(out,
			 "      {\n        \"_path\": \"lib\\\\file_%d.py\",\n"
			 "        \"path_type\": \"hardlink\",\n"
			 "        \"size_in_bytes\": %d\n      }%s\n",
			 i, i, i + 1 < RECORD_FILES ? "," : "");
	buf_adds(out, "    ],\n    \"paths_version\": 1\n  },\n  \"version\": \"1.2\"\n}\n");
	assert_int_equal(buf_rc(out), 0);
}

static void reads_a_long_record(void **state)
{
	static const size_t steps[] = {JSON_READER_BUFFER, 4096, 1021, 64, 7};
	struct fixture *f = *state;
	struct buf record;

	buf_init(&record, wide.max_bytes);
	make_record(&record);
	assert_true(record.len > 2 * JSON_READER_BUFFER);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct source s = {record.data, record.len, steps[i], 0};
		char last[100] = "";
		int keys = 0, files = 0;
		enum json_token token;

		json_reader_reset(f->r, read_step, &s);
		assert_int_equal(json_next(f->r, &token, NULL), 0);
		while (json_next(f->r, &token, NULL) == 0 && token == JSON_KEY) {
			bool wanted = strcmp(json_text(f->r, NULL), "files") == 0;

			keys++;
			if (!wanted) {
				assert_int_equal(json_skip(f->r, NULL), 0);
				continue;
			}
			assert_int_equal(json_next(f->r, &token, NULL), 0);
			while (json_next(f->r, &token, NULL) == 0 && token == JSON_STRING) {
				files++;
				snprintf(last, sizeof(last), "%s", json_text(f->r, NULL));
			}
			assert_int_equal(token, JSON_ARRAY_END);
		}
		assert_int_equal(token, JSON_OBJECT_END);
		assert_int_equal(json_next(f->r, &token, NULL), 0);
		assert_int_equal(token, JSON_END);
		assert_int_equal(keys, 5);
		assert_int_equal(files, RECORD_FILES);
		assert_string_equal(last,
				    "lib/python3.10/site-packages/some \"name\"/file_2999.py");
		assert_int_equal(json_offset(f->r), record.len);
	}
	buf_deinit(&record);
}

static int read_one(void *ctx)
{
	static const char json[] =
		"{\"key\":\"a string that is longer than the first room of a text\"}";
	struct json_reader *r = NULL;
	struct buf *out = ctx;
	int rc = json_reader_new(&wide, &r);

	if (rc == 0) {
		json_reader_reset_bytes(r, json, sizeof(json) - 1);
		rc = read_all(r, out, NULL);
	}
	json_reader_free(r);
	return rc;
}

static void survives_lack_of_memory(void **state)
{
	struct fixture *f = *state;

	assert_non_null(buf_reserve(&f->out, 1000)); /* so that only the reader allocates */
	fault_each_alloc(read_one, &f->out, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_good_input_in_any_pieces),
		TEST(refuses_bad_input_in_any_pieces),
		TEST(text_may_hold_zeroes),
		TEST(limits_hold),
		TEST(read_errors_pass),
		TEST(skips_any_value),
		TEST(skips_escapes_at_every_place),
		TEST(every_cut_of_a_skipped_value_is_noticed),
		TEST(deep_nesting_is_a_limit),
		TEST(leaves_what_is_open),
		TEST(skips_elements),
		TEST(reads_a_long_record),
		TEST(survives_lack_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
