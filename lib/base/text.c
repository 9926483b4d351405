#include "lib/base/text.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/err.h"

/* What was meant, by a word that is not known. */
#define GUESS_MAX 64	  /* letters of words that are compared */
#define GUESS_SLIPS_MAX 3 /* more than a hand makes in a word */
#define GUESS_PART_MIN 4  /* letters of a word that name a longer one */

size_t text_utf8_decode(const void *data, size_t n, uint32_t *code_point)
{
	const unsigned char *p = data;
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t v;

	if (len == 0 || len > n || p[0] > 0xf4)
		return 0;
	v = len == 1 ? p[0] : p[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	if ((len == 3 && v < 0x800) || (len == 4 && (v < 0x10000 || v > 0x10ffff)) ||
	    (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*code_point = v;
	return len;
}

bool text_is_utf8(const void *data, size_t n)
{
	const unsigned char *p = data;
	uint32_t cp;

	while (n > 0) {
		uint64_t eight;
		size_t len;

		if (n >= sizeof(eight)) {
			memcpy(&eight, p, sizeof(eight));
			if (!(eight & UINT64_C(0x8080808080808080))) {
				p += sizeof(eight);
				n -= sizeof(eight);
				continue;
			}
		}
		len = text_utf8_decode(p, n, &cp);
		if (len == 0)
			return false;
		p += len;
		n -= len;
	}
	return true;
}

bool text_is_hidden(uint32_t cp)
{
	static const struct {
		uint32_t first;
		uint32_t last;
	} ranges[] = {
		{0x80, 0x9f},	    {0xad, 0xad},	{0x34f, 0x34f},	    {0x61c, 0x61c},
		{0x115f, 0x1160},   {0x17b4, 0x17b5},	{0x180b, 0x180f},   {0x200b, 0x200f},
		{0x2028, 0x202e},   {0x2060, 0x206f},	{0x3164, 0x3164},   {0xfdd0, 0xfdef},
		{0xfe00, 0xfe0f},   {0xfeff, 0xfeff},	{0xffa0, 0xffa0},   {0xfff0, 0xfffb},
		{0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges) && cp >= ranges[i].first; i++) {
		if (cp <= ranges[i].last)
			return true;
	}
	return (cp & 0xfffe) == 0xfffe; /* noncharacters */
}

void text_escape(struct buf *out, const char *text, size_t n)
{
	size_t plain = 0; /* where the run not yet appended begins */

	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)text[i];
		uint32_t cp = 0;
		size_t len = text_utf8_decode(text + i, n - i, &cp);
		bool shown = len > 0 && (len == 1 ? c >= 0x20 && c < 0x7f : !text_is_hidden(cp));

		if (!shown) {
			buf_add(out, text + plain, i - plain);
			if (len > 1)
				buf_addf(out, "\\u{%04x}", (unsigned)cp);
			else
				buf_addf(out, "\\x%02x", c);
			plain = i + (len > 1 ? len : 1);
		}
		i += len > 1 ? len : 1;
	}
	buf_add(out, text + plain, n - plain);
}

void text_shell_quote(struct buf *out, const char *text)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_@%+=:,./-";

	if (*text && text[strspn(text, bare)] == '\0') {
		buf_adds(out, text);
		return;
	}
	buf_addc(out, '\'');
	for (const char *p = text; *p; p++) {
		if (*p == '\'' || (*p == '\\' && (p[1] == '\\' || p[1] == '\'' || !p[1])))
			buf_addf(out, "'\\%c'", *p);
		else
			buf_addc(out, *p);
	}
	buf_addc(out, '\'');
}

bool text_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

static bool is_part(const char *word, size_t n, const char *whole)
{
	for (; *whole; whole++)
		if (strncmp(whole, word, n) == 0)
			return true;
	return false;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters are to be put in, left out, exchanged or swapped to make one of the other, each
 * at most GUESS_MAX long. */
static size_t slips(const char *a, size_t a_n, const char *b, size_t b_n)
{
	size_t rows[3][GUESS_MAX + 1]; /* of this letter of a, the one before, and before that */

	for (size_t k = 0; k <= b_n; k++)
		rows[0][k] = k;
	for (size_t i = 1; i <= a_n; i++) {
		size_t *row = rows[i % 3];
		const size_t *before = rows[(i + 2) % 3];

		row[0] = i;
		for (size_t k = 1; k <= b_n; k++) {
			row[k] = before[k - 1] + (a[i - 1] != b[k - 1]);
			row[k] = least(row[k], least(before[k], row[k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				row[k] = least(row[k], rows[(i + 1) % 3][k - 2] + 1);
		}
	}
	return rows[a_n % 3][b_n];
}

void text_guess(struct text_guess *guess, const char *name)
{
	size_t len = strlen(name);
	size_t apart = GUESS_MAX;

	if (guess->n <= GUESS_MAX && len <= GUESS_MAX)
		apart = slips(guess->word, guess->n, name, len);
	if (apart * 3 > len || apart > GUESS_SLIPS_MAX)
		apart = guess->n >= GUESS_PART_MIN && is_part(guess->word, guess->n, name)
				? GUESS_SLIPS_MAX + 1
				: SIZE_MAX;
	if (apart < SIZE_MAX && (!guess->best || apart < guess->apart)) {
		guess->best = name;
		guess->apart = apart;
	}
}

int text_to_u64(const char *text, size_t n, unsigned long long *out)
{
	unsigned long long v = 0;

	if (n == 0)
		return ERR_INVALID;
	for (size_t i = 0; i < n; i++) {
		unsigned digit = (unsigned)(unsigned char)text[i] - '0';
		if (digit > 9 || v > ULLONG_MAX / 10 || v * 10 > ULLONG_MAX - digit)
			return ERR_INVALID;
		v = v * 10 + digit;
	}
	*out = v;
	return 0;
}

int text_to_i64(const char *text, size_t n, long long *out)
{
	bool negative = n > 0 && text[0] == '-';
	unsigned long long v, max = (unsigned long long)LLONG_MAX + negative;
	int rc = text_to_u64(text + negative, n - negative, &v);

	if (rc < 0)
		return rc;
	if (v > max)
		return ERR_INVALID;
	/* -v for every v up to 2^63, whose positive form does not fit. */
	*out = negative && v > 0 ? -(long long)(v - 1) - 1 : (long long)v;
	return 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int text_from_hex(const char *text, size_t digits, unsigned char *out, size_t n)
{
	if (digits / 2 != n || digits % 2 != 0)
		return ERR_INVALID;
	for (size_t i = 0; i < digits; i++) {
		if (hex_value(text[i]) < 0)
			return ERR_INVALID;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)(hex_value(text[2 * i]) * 16 + hex_value(text[2 * i + 1]));
	return 0;
}

/* The value of "\xNN", -1 if text does not begin with one. */
static int escaped_byte(const char *text)
{
	if (text[0] != '\\' || text[1] != 'x' || hex_value(text[2]) < 0 || hex_value(text[3]) < 0)
		return -1;
	return hex_value(text[2]) * 16 + hex_value(text[3]);
}

void text_from_path(struct buf *out, const char *path)
{
	size_t n = strlen(path);

	if (memchr(path, '\\', n) == NULL && text_is_utf8(path, n)) {
		buf_add(out, path, n); /* as nearly every path is */
		return;
	}
	for (size_t i = 0; i < n;) {
		uint32_t cp;
		size_t len = text_utf8_decode(path + i, n - i, &cp);

		if (len == 0 || escaped_byte(path + i) >= 0) {
			buf_addf(out, "\\x%02x", (unsigned)(unsigned char)path[i]);
			i++;
		} else {
			buf_add(out, path + i, len);
			i += len;
		}
	}
}

int text_to_path(const char *text, char *out, size_t cap)
{
	size_t n = 0;

	while (*text != '\0') {
		int byte = escaped_byte(text);

		if (byte == 0)
			return ERR_INVALID;
		if (n + 1 >= cap)
			return ERR_LIMIT;
		out[n++] = byte > 0 ? (char)byte : *text;
		text += byte > 0 ? 4 : 1;
	}
	if (n >= cap)
		return ERR_LIMIT;
	out[n] = '\0';
	return 0;
}
