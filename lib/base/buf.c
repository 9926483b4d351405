#include "lib/base/buf.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

#define BUF_MIN 64

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_deinit(struct buf *b)
{
	mem_free(b->data);
	*b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->rc = 0;
}

int buf_rc(const struct buf *b)
{
	return b->rc;
}

/* Room for `need` bytes; there is always one more for the '\0' of buf_cstr, outside of max. */
static bool grow(struct buf *b, size_t need)
{
	size_t cap = b->cap < BUF_MIN / 2 ? BUF_MIN : b->cap * 2;
	char *data;

	if (b->cap > SIZE_MAX / 2 || cap < need)
		cap = need;
	if (b->max < SIZE_MAX && cap > b->max + 1)
		cap = b->max + 1;
	data = mem_realloc(b->data, cap);
	if (!data) {
		b->rc = ERR_NOMEM;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

char *buf_reserve(struct buf *b, size_t n)
{
	if (b->rc < 0)
		return NULL;
	if (n > b->max - b->len) {
		b->rc = ERR_LIMIT;
		return NULL;
	}
	if (n == SIZE_MAX - b->len) { /* no room for the '\0' */
		b->rc = ERR_NOMEM;
		return NULL;
	}
	if (b->cap <= b->len + n && !grow(b, b->len + n + 1))
		return NULL;
	return b->data + b->len;
}

void buf_add(struct buf *b, const void *data, size_t n)
{
	char *to = n > 0 ? buf_reserve(b, n) : NULL;

	if (!to)
		return;
	memcpy(to, data, n);
	b->len += n;
}

void buf_adds(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	char *to;
	int n;

	if (b->rc < 0)
		return;
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	CHECK(n >= 0);
	to = buf_reserve(b, (size_t)n);
	if (!to)
		return;
	/* Its '\0' falls into the byte that buf_reserve always leaves behind the room. */
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
}

void buf_add_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

static void add_be(struct buf *b, uint64_t v, size_t n)
{
	unsigned char bytes[8];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)(v >> (8 * (n - 1 - i)));
	buf_add(b, bytes, n);
}

void buf_add_u16(struct buf *b, uint16_t v)
{
	add_be(b, v, 2);
}

void buf_add_u32(struct buf *b, uint32_t v)
{
	add_be(b, v, 4);
}

void buf_add_u64(struct buf *b, uint64_t v)
{
	add_be(b, v, 8);
}

void buf_add_lp(struct buf *b, const void *data, size_t n)
{
	if (n > UINT32_MAX) {
		if (b->rc == 0)
			b->rc = ERR_LIMIT;
		return;
	}
	buf_add_u32(b, (uint32_t)n);
	buf_add(b, data, n);
}

void buf_add_hex(struct buf *b, const void *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	char *to;

	if (n > SIZE_MAX / 2) {
		if (b->rc == 0)
			b->rc = ERR_LIMIT;
		return;
	}
	to = buf_reserve(b, 2 * n);
	if (!to)
		return;
	for (size_t i = 0; i < n; i++) {
		to[2 * i] = digits[p[i] >> 4];
		to[2 * i + 1] = digits[p[i] & 15];
	}
	b->len += 2 * n;
}

void buf_consume(struct buf *b, size_t n)
{
	CHECK(n <= b->len);
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
}

const char *buf_cstr(struct buf *b)
{
	if (b->rc < 0 || b->len == 0)
		return "";
	b->data[b->len] = '\0';
	return b->data;
}

char *buf_take(struct buf *b, size_t *len)
{
	char *data;

	if (!buf_reserve(b, 0))
		return NULL;
	data = b->data;
	data[b->len] = '\0';
	if (len)
		*len = b->len;
	*b = (struct buf){.max = b->max};
	return data;
}

void rd_init(struct rd *r, const void *data, size_t n)
{
	*r = (struct rd){.p = data, .left = n};
}

const void *rd_bytes(struct rd *r, size_t n)
{
	const unsigned char *at = r->p;

	if (r->rc < 0)
		return NULL;
	if (n > r->left) {
		r->rc = ERR_TRUNCATED;
		return NULL;
	}
	if (n == 0)
		return at ? (const void *)at : "";
	r->p += n;
	r->left -= n;
	return at;
}

static uint64_t read_be(struct rd *r, size_t n)
{
	const unsigned char *p = rd_bytes(r, n);
	uint64_t v = 0;

	for (size_t i = 0; p && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t rd_u8(struct rd *r)
{
	return (uint8_t)read_be(r, 1);
}

uint16_t rd_u16(struct rd *r)
{
	return (uint16_t)read_be(r, 2);
}

uint32_t rd_u32(struct rd *r)
{
	return (uint32_t)read_be(r, 4);
}

uint64_t rd_u64(struct rd *r)
{
	return read_be(r, 8);
}

const void *rd_lp(struct rd *r, size_t max, size_t *n)
{
	uint32_t len = rd_u32(r);
	const void *data;

	*n = 0;
	if (r->rc == 0 && len > max)
		r->rc = ERR_LIMIT;
	data = rd_bytes(r, len);
	if (data)
		*n = len;
	return data;
}
