#include "lib/base/base32.h"

#include <string.h>

#include "lib/base/err.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void base32_encode(struct buf *out, const void *data, size_t n)
{
	const unsigned char *p = data;
	unsigned bits = 0; /* the low `held` bits are still to be written */
	int held = 0;

	for (size_t i = 0; i < n; i++) {
		bits = (bits << 8 | p[i]) & 0xfff;
		for (held += 8; held >= 5; held -= 5)
			buf_addc(out, alphabet[bits >> (held - 5) & 31]);
	}
	if (held > 0)
		buf_addc(out, alphabet[bits << (5 - held) & 31]);
}

/* 0 to 31; negative for what is no digit. */
static int digit_value(char c)
{
	const char *at;

	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

int base32_decode(const char *text, size_t n, struct buf *out)
{
	size_t start = out->len;
	unsigned bits = 0;
	int held = 0;

	for (size_t i = 0; i < n; i++) {
		int v;

		if (text[i] == '-' || text[i] == ' ' || text[i] == '\t')
			continue;
		v = digit_value(text[i]);
		if (v < 0)
			goto invalid;
		bits = (bits << 5 | (unsigned)v) & 0xfff;
		held += 5;
		if (held >= 8) {
			held -= 8;
			buf_add_u8(out, (unsigned char)(bits >> held));
		}
	}
	/* What is left is padding: fewer bits than a digit has, all zero, so that each text is one.
	 */
	if (held >= 5 || (bits & ((1U << held) - 1)) != 0)
		goto invalid;
	return buf_rc(out);
invalid:
	out->len = start;
	return ERR_INVALID;
}
