/*
 * A growing byte buffer with a maximum and a sticky error: append freely, ask buf_rc() once. After
 * an error (ERR_NOMEM, ERR_LIMIT) further appends do nothing and the contents are not to be used.
 * Integers are written big-endian, as formats.md wants them.
 */
#ifndef ENVWARDEN_LIB_BASE_BUF_H
#define ENVWARDEN_LIB_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compiler.h"

struct buf {
	char *data; /* NULL while empty; not ended by '\0' unless buf_cstr was called */
	size_t len;
	size_t cap;
	size_t max; /* bytes; an append past it fails with ERR_LIMIT */
	int rc;	    /* sticky: 0 or the first error */
};

void buf_init(struct buf *b, size_t max);
void buf_deinit(struct buf *b); /* also of a zeroed struct; the struct may be initialised again */
void buf_clear(struct buf *b);	/* len = 0, error forgotten, memory kept */
int buf_rc(const struct buf *b);

void buf_add(struct buf *b, const void *data, size_t n);
void buf_adds(struct buf *b, const char *text);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) EW_PRINTF(2, 3);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) EW_PRINTF(2, 0);
void buf_add_u8(struct buf *b, uint8_t v);
void buf_add_u16(struct buf *b, uint16_t v);
void buf_add_u32(struct buf *b, uint32_t v);
void buf_add_u64(struct buf *b, uint64_t v);
void buf_add_lp(struct buf *b, const void *data, size_t n);  /* 4-byte length, then the bytes */
void buf_add_hex(struct buf *b, const void *data, size_t n); /* lower case */

/* Room for n more bytes, NULL on error; the caller adds what it wrote to len. */
char *buf_reserve(struct buf *b, size_t n);

/* Removes the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

/* The contents ended by '\0' (not counted in len); "" on error. Valid until the next call. */
const char *buf_cstr(struct buf *b);

/*
 * Hands the memory to the caller (mem_free), ended by '\0'; NULL on error. The buffer is empty
 * then, ready for more.
 */
char *buf_take(struct buf *b, size_t *len);

/*
 * A reader over borrowed bytes with the same sticky error: reads past the end set rc to
 * ERR_TRUNCATED and return zeroes / NULL.
 */
struct rd {
	const unsigned char *p;
	size_t left;
	int rc;
};

void rd_init(struct rd *r, const void *data, size_t n);
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
const void *rd_bytes(struct rd *r, size_t n);
/* A length-prefixed field of at most max bytes (else ERR_LIMIT); *n is its length. */
const void *rd_lp(struct rd *r, size_t max, size_t *n);

#endif
