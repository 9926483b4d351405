/* API tokens as text: "ewt_" and 64 hex digits, of which the store knows the SHA-256 only. */
#ifndef ENVWARDEN_SERVER_API_TOKEN_H
#define ENVWARDEN_SERVER_API_TOKEN_H

#include "lib/base/crypto.h"

#define TOKEN_TEXT_MAX 69

void token_make(char text[TOKEN_TEXT_MAX], unsigned char hash[SHA256_SIZE]);
int token_hash(const char *text, unsigned char hash[SHA256_SIZE]); /* ERR_INVALID: no token */

#endif
