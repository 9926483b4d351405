/*
 * JSON out: an append writer that places commas and escapes by itself.
 * JSON in: a pull reader over a stream of chunks that skips what nobody wants at memory speed. It
 * validates what it reads and the bracket structure of what it skips; it never recurses.
 */
#ifndef ENVWARDEN_LIB_BASE_JSON_H
#define ENVWARDEN_LIB_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* --- writer ------------------------------------------------------------------------------- */

#define JSON_WRITER_DEPTH 32

struct json_writer {
	struct buf *out; /* borrowed; its sticky error is the writer's */
	int depth;
	bool first[JSON_WRITER_DEPTH]; /* nothing written yet at this level */
	bool after_key;
};

/* Wrong order of calls and deeper nesting than JSON_WRITER_DEPTH - 1 break a CHECK. */

void json_writer_init(struct json_writer *w, struct buf *out);
void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
/* Invalid UTF-8 becomes U+FFFD; what text_escape escapes is \u-escaped. NULL writes null. */
void json_str(struct json_writer *w, const char *text);
void json_strn(struct json_writer *w, const char *text, size_t n);
void json_int(struct json_writer *w, int64_t v);
void json_bool(struct json_writer *w, bool v);
void json_raw(struct json_writer *w, const char *json, size_t n); /* a value that is JSON already */
void json_put_null(struct json_writer *w); /* json_null is a symbol of jansson */
/* key and value at once; _opt writes nothing when text is NULL or empty. */
void json_kv_str(struct json_writer *w, const char *key, const char *text);
void json_kv_str_opt(struct json_writer *w, const char *key, const char *text);
void json_kv_int(struct json_writer *w, const char *key, int64_t v);
void json_kv_bool(struct json_writer *w, const char *key, bool v);
void json_kv_hex_opt(struct json_writer *w, const char *key, const void *data, size_t n);
void json_kv_time_opt(struct json_writer *w, const char *key, int64_t wall_ms); /* 0 = absent */

/* --- reader ------------------------------------------------------------------------------- */

enum json_token {
	JSON_END, /* after the one top-level value and white space up to the end of input */
	JSON_OBJECT,
	JSON_OBJECT_END,
	JSON_ARRAY,
	JSON_ARRAY_END,
	JSON_KEY,    /* text */
	JSON_STRING, /* text */
	JSON_INT,    /* num: an integer without fraction and exponent that fits int64 */
	JSON_NUMBER, /* text: any other number, as written */
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL,
};

/* Fills `into` with up to `cap` bytes: > 0 bytes read, 0 end of input, < 0 an error code. */
typedef int64_t (*json_read_cb)(void *ctx, void *into, size_t cap);

struct json_limits {
	size_t max_depth;  /* nesting, at most JSON_READER_DEPTH */
	size_t max_string; /* bytes of one unescaped key or string that is read (not skipped) */
	size_t max_bytes;  /* of the whole input */
};

#define JSON_READER_DEPTH 512
#define JSON_READER_BUFFER 65536

struct json_reader;

/* ERR_NOMEM. One allocation of about JSON_READER_BUFFER; reuse readers with json_reader_reset. */
int json_reader_new(const struct json_limits *limits, struct json_reader **out);
void json_reader_free(struct json_reader *r);
void json_reader_reset(struct json_reader *r, json_read_cb read, void *ctx);
void json_reader_reset_bytes(struct json_reader *r, const void *data, size_t n); /* borrowed */

/*
 * The next token; its text or number stands in json_text()/json_num() until the next call. Returns
 * ERR_INVALID, ERR_TRUNCATED, ERR_LIMIT or the read callback's error; err says what, with the byte
 * offset ("offset 812: ..."). After an error every call returns it again.
 */
int json_next(struct json_reader *r, enum json_token *token, struct err *err);

/*
 * Skips the value that comes next, whatever it is (after JSON_KEY, or an element of an array; at
 * the end of an array it is an error). Inside a skipped object or array only strings and brackets
 * are looked at: bytes, commas, colons and scalars in there are not validated.
 */
int json_skip(struct json_reader *r, struct err *err);

/* Skips in the same way what is left of the innermost open object or array, its end included. */
int json_leave(struct json_reader *r, struct err *err);

/* The unescaped text of the last KEY, STRING or NUMBER: '\0'-ended, *n may count inner zeroes. */
const char *json_text(const struct json_reader *r, size_t *n);
int64_t json_num(const struct json_reader *r);
uint64_t json_offset(const struct json_reader *r); /* bytes consumed so far */

#endif
