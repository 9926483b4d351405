#include "lib/base/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json_scan.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

/* What may come next. */
enum expect {
	EXPECT_VALUE,	    /* at the top, after a key, after a comma in an array */
	EXPECT_FIRST_VALUE, /* after '[': or its end */
	EXPECT_FIRST_KEY,   /* after '{': or its end */
	EXPECT_KEY,	    /* after a comma in an object */
	EXPECT_COMMA,	    /* after a value: or the end of what it is in */
	EXPECT_NOTHING,	    /* after the top-level value */
};

#define NO_BYTE (-1) /* in place of a byte: the input has ended */

struct json_reader {
	struct json_limits limits;
	json_read_cb read; /* NULL: nothing comes after the window */
	void *ctx;
	const unsigned char *start; /* the window: borrowed bytes, or room */
	const unsigned char *p;	    /* next byte */
	const unsigned char *end;
	uint64_t before; /* bytes of input in front of the window */
	enum expect expect;
	struct json_nest nest;
	struct buf text;
	int64_t num;
	int rc; /* sticky, as is its reason */
	struct err err;
	unsigned char room[JSON_READER_BUFFER];
};

int json_reader_new(const struct json_limits *limits, struct json_reader **out)
{
	struct json_reader *r = mem_alloc(sizeof(*r));

	CHECK(limits->max_depth <= JSON_READER_DEPTH);
	if (!r)
		return ERR_NOMEM;
	r->limits = *limits;
	buf_init(&r->text, limits->max_string);
	json_reader_reset_bytes(r, "", 0);
	*out = r;
	return 0;
}

void json_reader_free(struct json_reader *r)
{
	if (!r)
		return;
	buf_deinit(&r->text);
	mem_free(r);
}

uint64_t json_offset(const struct json_reader *r)
{
	return r->before + (uint64_t)(r->p - r->start);
}

/* Sets the sticky error: "offset N: ...". */
EW_PRINTF(3, 4) static int fail(struct json_reader *r, int code, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->rc = err_set(&r->err, code, "offset %" PRIu64 ": %s", json_offset(r), text);
	return r->rc;
}

static int fail_truncated(struct json_reader *r)
{
	return fail(r, ERR_TRUNCATED, "input ends inside a value");
}

/* One exit of every public call: an error that stands is reported each time. */
static int report(const struct json_reader *r, int rc, struct err *err)
{
	if (rc < 0 && err)
		*err = r->err;
	return rc;
}

static int check_size(struct json_reader *r)
{
	uint64_t size = r->before + (uint64_t)(r->end - r->start);

	if (size > r->limits.max_bytes)
		return fail(r, ERR_LIMIT, "input is longer than %zu bytes", r->limits.max_bytes);
	return 0;
}

static void begin(struct json_reader *r, const void *data, size_t n)
{
	r->read = NULL;
	r->ctx = NULL;
	r->start = r->p = data;
	r->end = r->start + n;
	r->before = 0;
	r->expect = EXPECT_VALUE;
	r->nest = (struct json_nest){.max = r->limits.max_depth};
	buf_clear(&r->text);
	r->num = 0;
	r->rc = 0;
}

void json_reader_reset(struct json_reader *r, json_read_cb read, void *ctx)
{
	begin(r, r->room, 0);
	r->read = read;
	r->ctx = ctx;
}

void json_reader_reset_bytes(struct json_reader *r, const void *data, size_t n)
{
	begin(r, n > 0 ? data : r->room, n);
	(void)check_size(r);
}

/* --- bytes --- */

/* A new window, once the present one is used up; empty at the end of input. */
static int fill(struct json_reader *r)
{
	int64_t n;

	if (!r->read)
		return 0;
	n = r->read(r->ctx, r->room, sizeof(r->room));
	if (n < 0)
		return fail(r, (int)n, "read: %s (%d)", err_text((int)n), (int)n);
	CHECK((uint64_t)n <= sizeof(r->room));
	r->before += (uint64_t)(r->end - r->start);
	r->start = r->p = r->room;
	r->end = r->room + n;
	if (n == 0)
		r->read = NULL;
	return check_size(r);
}

/* The next byte, not yet taken, or NO_BYTE. */
static int peek(struct json_reader *r, int *c)
{
	int rc = r->p == r->end ? fill(r) : 0;

	if (rc < 0)
		return rc;
	*c = r->p < r->end ? *r->p : NO_BYTE;
	return 0;
}

/* Takes the next byte, which must be there. */
static int get(struct json_reader *r, int *c)
{
	int rc = peek(r, c);

	if (rc < 0)
		return rc;
	if (*c == NO_BYTE)
		return fail_truncated(r);
	r->p++;
	return 0;
}

static int peek_past_space(struct json_reader *r, int *c)
{
	int rc;

	do {
		while (r->p < r->end &&
		       (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
			r->p++;
		rc = peek(r, c);
	} while (rc == 0 && (*c == ' ' || *c == '\n' || *c == '\r' || *c == '\t'));
	return rc;
}

/* --- strings --- */

static int add_text(struct json_reader *r, const void *data, size_t n)
{
	buf_add(&r->text, data, n);
	if (buf_rc(&r->text) == ERR_LIMIT)
		return fail(r, ERR_LIMIT, "text is longer than %zu bytes", r->limits.max_string);
	if (buf_rc(&r->text) < 0)
		return fail(r, ERR_NOMEM, "out of memory");
	return 0;
}

/* Four hex digits. */
static int read_unit(struct json_reader *r, uint32_t *unit)
{
	char digits[4];
	unsigned char bytes[2];

	for (size_t i = 0; i < sizeof(digits); i++) {
		int c, rc = get(r, &c);
		if (rc < 0)
			return rc;
		digits[i] = (char)c;
	}
	if (text_from_hex(digits, sizeof(digits), bytes, sizeof(bytes)) < 0)
		return fail(r, ERR_INVALID, "\\u is not followed by four hex digits");
	*unit = (uint32_t)bytes[0] << 8 | bytes[1];
	return 0;
}

/* The lower half of a surrogate pair, whose upper half was read. */
static int read_low_surrogate(struct json_reader *r, uint32_t *cp)
{
	uint32_t low;
	int c, rc = get(r, &c);

	if (rc == 0 && c == '\\')
		rc = get(r, &c);
	if (rc < 0)
		return rc;
	if (c != 'u')
		return fail(r, ERR_INVALID, "lone surrogate");
	rc = read_unit(r, &low);
	if (rc < 0)
		return rc;
	if (low < 0xdc00 || low > 0xdfff)
		return fail(r, ERR_INVALID, "lone surrogate");
	*cp = 0x10000 + ((*cp - 0xd800) << 10) + (low - 0xdc00);
	return 0;
}

static int read_unicode(struct json_reader *r)
{
	unsigned char utf8[4];
	uint32_t cp;
	size_t n;
	int rc = read_unit(r, &cp);

	if (rc < 0)
		return rc;
	if (cp >= 0xdc00 && cp <= 0xdfff)
		return fail(r, ERR_INVALID, "lone surrogate");
	if (cp >= 0xd800 && cp <= 0xdbff) {
		rc = read_low_surrogate(r, &cp);
		if (rc < 0)
			return rc;
	}
	n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	for (size_t i = n; i-- > 1; cp >>= 6)
		utf8[i] = (unsigned char)(0x80 | (cp & 0x3f));
	utf8[0] = (unsigned char)(n == 1 ? cp : cp | (0xf00U >> n & 0xf0));
	return add_text(r, utf8, n);
}

/* What follows a backslash. */
static int read_escape(struct json_reader *r)
{
	static const char pairs[] = "\"\"\\\\//b\bf\fn\nr\rt\t"; /* letter, what it stands for */
	int c, rc = get(r, &c);

	if (rc < 0)
		return rc;
	if (c == 'u')
		return read_unicode(r);
	for (const char *p = pairs; *p; p += 2) {
		if (*p == c)
			return add_text(r, p + 1, 1);
	}
	return fail(r, ERR_INVALID, "unknown escape in a string");
}

/* The rest of a string, into text. */
static int read_string(struct json_reader *r)
{
	bool high = false;
	int c = 0, rc = 0;

	buf_clear(&r->text);
	while (rc == 0) {
		size_t n = json_scan_plain(r->p, (size_t)(r->end - r->p), &high);

		rc = add_text(r, r->p, n);
		if (rc < 0)
			return rc;
		r->p += n;
		rc = get(r, &c);
		if (rc < 0)
			return rc;
		if (c == '"')
			break;
		if (c == '\\')
			rc = read_escape(r);
		else if (c < 0x20)
			rc = fail(r, ERR_INVALID, "control character in a string");
		else
			r->p--; /* the first byte of a new window */
	}
	if (rc < 0)
		return rc;
	if (high && !text_is_utf8(r->text.data, r->text.len))
		return fail(r, ERR_INVALID, "string is not UTF-8");
	(void)buf_cstr(&r->text);
	return 0;
}

/* The rest of a string nobody wants. */
static int skip_string(struct json_reader *r)
{
	bool high = false;
	int c, rc;

	do {
		r->p += json_scan_plain(r->p, (size_t)(r->end - r->p), &high);
		rc = get(r, &c);
		if (rc == 0 && c == '\\')
			rc = get(r, &(int){0});
	} while (rc == 0 && c != '"');
	return rc;
}

/* --- numbers and words --- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *past_digits(const char *p)
{
	while (is_digit(*p))
		p++;
	return p;
}

/* Whether the '\0'-ended text is a number of the language; *integer without fraction, exponent. */
static bool is_number(const char *p, bool *integer)
{
	if (*p == '-')
		p++;
	if (!is_digit(*p))
		return false;
	p = *p == '0' ? p + 1 : past_digits(p);
	*integer = *p == '\0';
	if (*p == '.') {
		if (!is_digit(p[1]))
			return false;
		p = past_digits(p + 1);
	}
	if (*p == 'e' || *p == 'E') {
		p += p[1] == '+' || p[1] == '-' ? 2 : 1;
		if (!is_digit(*p))
			return false;
		p = past_digits(p);
	}
	return *p == '\0';
}

static bool in_number(unsigned char c)
{
	return is_digit((char)c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static int read_number(struct json_reader *r, enum json_token *token)
{
	bool integer = false;
	long long v;
	int c = NO_BYTE, rc;

	buf_clear(&r->text);
	do {
		const unsigned char *from = r->p;

		while (r->p < r->end && in_number(*r->p))
			r->p++;
		rc = add_text(r, from, (size_t)(r->p - from));
		if (rc == 0)
			rc = peek(r, &c);
		if (rc < 0)
			return rc;
	} while (c != NO_BYTE && in_number((unsigned char)c));
	if (!is_number(buf_cstr(&r->text), &integer))
		return fail(r, ERR_INVALID, "malformed number");
	*token = JSON_NUMBER;
	if (integer && text_to_i64(r->text.data, r->text.len, &v) == 0) {
		r->num = v;
		*token = JSON_INT;
	}
	return 0;
}

static int read_word(struct json_reader *r, const char *word)
{
	for (; *word; word++) {
		int c, rc = get(r, &c);
		if (rc < 0)
			return rc;
		if (c != *word)
			return fail(r, ERR_INVALID, "unknown word");
	}
	return 0;
}

/* --- structure --- */

static void value_done(struct json_reader *r)
{
	r->expect = r->nest.depth > 0 ? EXPECT_COMMA : EXPECT_NOTHING;
}

/* Takes an opening bracket. */
static int open_bracket(struct json_reader *r, bool object)
{
	if (json_nest_open(&r->nest, object) < 0)
		return fail(r, ERR_LIMIT, "nested deeper than %zu", r->nest.max);
	r->p++;
	r->expect = object ? EXPECT_FIRST_KEY : EXPECT_FIRST_VALUE;
	return 0;
}

/* Takes a closing bracket. */
static int close_bracket(struct json_reader *r, bool object)
{
	if (json_nest_close(&r->nest, object) < 0)
		return fail(r, ERR_INVALID, "bracket closes nothing");
	r->p++;
	value_done(r);
	return 0;
}

/* A string, number or word that begins with c. */
static int read_scalar(struct json_reader *r, int c, enum json_token *token)
{
	int rc;

	switch (c) {
	case '"':
		r->p++;
		*token = JSON_STRING;
		rc = read_string(r);
		break;
	case 't':
		*token = JSON_TRUE;
		rc = read_word(r, "true");
		break;
	case 'f':
		*token = JSON_FALSE;
		rc = read_word(r, "false");
		break;
	case 'n':
		*token = JSON_NULL;
		rc = read_word(r, "null");
		break;
	default:
		if (c != '-' && (c < '0' || c > '9'))
			return fail(r, ERR_INVALID, "no value here");
		rc = read_number(r, token);
	}
	if (rc == 0)
		value_done(r);
	return rc;
}

static int read_value(struct json_reader *r, int c, enum json_token *token)
{
	if (c == '{' || c == '[') {
		*token = c == '{' ? JSON_OBJECT : JSON_ARRAY;
		return open_bracket(r, c == '{');
	}
	return read_scalar(r, c, token);
}

static int read_key(struct json_reader *r, int c, enum json_token *token)
{
	int rc;

	if (c != '"')
		return fail(r, ERR_INVALID, "no key here");
	r->p++;
	rc = read_string(r);
	if (rc == 0)
		rc = peek_past_space(r, &c);
	if (rc < 0)
		return rc;
	if (c == NO_BYTE)
		return fail_truncated(r);
	if (c != ':')
		return fail(r, ERR_INVALID, "no colon after a key");
	r->p++;
	r->expect = EXPECT_VALUE;
	*token = JSON_KEY;
	return 0;
}

/* The byte that the next token begins with; a comma in front is taken. */
static int peek_token(struct json_reader *r, int *c)
{
	int rc = peek_past_space(r, c);

	if (rc == 0 && r->expect == EXPECT_COMMA && *c == ',') {
		r->p++;
		r->expect = json_nest_in_object(&r->nest) ? EXPECT_KEY : EXPECT_VALUE;
		rc = peek_past_space(r, c);
	}
	if (rc == 0 && *c == NO_BYTE && r->expect != EXPECT_NOTHING)
		rc = fail_truncated(r);
	return rc;
}

static int next(struct json_reader *r, enum json_token *token)
{
	int c, rc = peek_token(r, &c);
	bool may_end = r->expect == EXPECT_FIRST_VALUE || r->expect == EXPECT_FIRST_KEY ||
		       r->expect == EXPECT_COMMA;

	if (rc < 0)
		return rc;
	if (may_end && (c == ']' || c == '}')) {
		*token = c == '}' ? JSON_OBJECT_END : JSON_ARRAY_END;
		return close_bracket(r, c == '}');
	}
	switch (r->expect) {
	case EXPECT_VALUE:
	case EXPECT_FIRST_VALUE:
		return read_value(r, c, token);
	case EXPECT_KEY:
	case EXPECT_FIRST_KEY:
		return read_key(r, c, token);
	case EXPECT_COMMA:
		return fail(r, ERR_INVALID, "no comma after a value");
	case EXPECT_NOTHING:
		break;
	}
	if (c != NO_BYTE)
		return fail(r, ERR_INVALID, "more after the value");
	*token = JSON_END;
	return 0;
}

int json_next(struct json_reader *r, enum json_token *token, struct err *err)
{
	enum json_token found = JSON_END;
	int rc = r->rc < 0 ? r->rc : next(r, &found);

	if (rc == 0)
		*token = found;
	return report(r, rc, err);
}

/* --- skipping --- */

/* On to the bracket with which the nesting falls to `until`. */
static int skip_until(struct json_reader *r, size_t until)
{
	struct json_scan scan = {0};
	int c, rc;

	do {
		size_t used;

		rc = peek(r, &c);
		if (rc == 0 && c == NO_BYTE)
			rc = fail_truncated(r);
		if (rc < 0)
			return rc;
		rc = json_scan_brackets(&scan, &r->nest, until, r->p, (size_t)(r->end - r->p),
					&used);
		r->p += used;
	} while (rc == 0);
	if (rc == ERR_LIMIT)
		return fail(r, rc, "nested deeper than %zu", r->nest.max);
	if (rc < 0)
		return fail(r, rc, "bracket closes nothing");
	value_done(r);
	return 0;
}

static int skip(struct json_reader *r)
{
	enum json_token token;
	int c, rc = peek_token(r, &c);

	if (rc < 0)
		return rc;
	if (r->expect != EXPECT_VALUE && r->expect != EXPECT_FIRST_VALUE)
		return fail(r, ERR_INVALID, "no value to skip here");
	if (c == '{' || c == '[') {
		size_t until = r->nest.depth;

		rc = open_bracket(r, c == '{');
		return rc < 0 ? rc : skip_until(r, until);
	}
	if (c != '"')
		return read_scalar(r, c, &token);
	r->p++;
	rc = skip_string(r);
	if (rc == 0)
		value_done(r);
	return rc;
}

int json_skip(struct json_reader *r, struct err *err)
{
	return report(r, r->rc < 0 ? r->rc : skip(r), err);
}

int json_leave(struct json_reader *r, struct err *err)
{
	int rc = r->rc;

	if (rc == 0)
		rc = r->nest.depth > 0 ? skip_until(r, r->nest.depth - 1)
				       : fail(r, ERR_INVALID, "nothing to leave here");
	return report(r, rc, err);
}

/* --- what was read --- */

const char *json_text(const struct json_reader *r, size_t *n)
{
	if (n)
		*n = r->text.len;
	return r->text.len > 0 ? r->text.data : "";
}

int64_t json_num(const struct json_reader *r)
{
	return r->num;
}
