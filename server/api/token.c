#include "server/api/token.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"

#define PREFIX "ewt_"
#define SECRET_SIZE 32

void token_make(char text[TOKEN_TEXT_MAX], unsigned char hash[SHA256_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char secret[SECRET_SIZE];
	size_t at = strlen(PREFIX);
	size_t i;

	crypto_random(secret, sizeof(secret));
	memcpy(text, PREFIX, at);
	for (i = 0; i < sizeof(secret); i++) {
		text[at++] = digits[secret[i] >> 4];
		text[at++] = digits[secret[i] & 15];
	}
	text[at] = '\0';
	sha256(secret, sizeof(secret), hash);
	crypto_wipe(secret, sizeof(secret));
}

int token_hash(const char *text, unsigned char hash[SHA256_SIZE])
{
	unsigned char secret[SECRET_SIZE];
	size_t n = strlen(PREFIX);

	if (strlen(text) != TOKEN_TEXT_MAX - 1 || strncmp(text, PREFIX, n) != 0 ||
	    text_from_hex(text + n, 2 * sizeof(secret), secret, sizeof(secret)) < 0)
		return ERR_INVALID;
	sha256(secret, sizeof(secret), hash);
	crypto_wipe(secret, sizeof(secret));
	return 0;
}
