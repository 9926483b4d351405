#include "lib/base/uuid.h"

#include <string.h>

#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/text.h"

void uuid_new(struct uuid *u)
{
	crypto_random(u->b, sizeof(u->b));
	u->b[6] = (unsigned char)((u->b[6] & 0x0f) | 0x40); /* version */
	u->b[8] = (unsigned char)((u->b[8] & 0x3f) | 0x80); /* variant */
}

static bool dash_before(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_format(const struct uuid *u, char out[UUID_TEXT_MAX])
{
	static const char digits[] = "0123456789abcdef";
	char *p = out;

	for (size_t i = 0; i < UUID_SIZE; i++) {
		if (dash_before(i))
			*p++ = '-';
		*p++ = digits[u->b[i] >> 4];
		*p++ = digits[u->b[i] & 15];
	}
	*p = '\0';
}

int uuid_parse(const char *text, struct uuid *u)
{
	const char *p = text;
	struct uuid parsed;

	if (strlen(text) != UUID_TEXT_MAX - 1)
		return ERR_INVALID;
	for (size_t i = 0; i < UUID_SIZE; i++, p += 2) {
		if (dash_before(i) && *p++ != '-')
			return ERR_INVALID;
		if (text_from_hex(p, 2, &parsed.b[i], 1) < 0)
			return ERR_INVALID;
	}
	*u = parsed;
	return 0;
}

bool uuid_is_zero(const struct uuid *u)
{
	static const struct uuid zero;

	return uuid_cmp(u, &zero) == 0;
}

int uuid_cmp(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->b, b->b, UUID_SIZE);
}
