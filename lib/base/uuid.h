/* 16-byte identities (machines, epochs, environments) and their text form. */
#ifndef ENVWARDEN_LIB_BASE_UUID_H
#define ENVWARDEN_LIB_BASE_UUID_H

#include <stdbool.h>

#define UUID_SIZE 16
#define UUID_TEXT_MAX 37

struct uuid {
	unsigned char b[UUID_SIZE];
};

void uuid_new(struct uuid *u); /* random, RFC 9562 version 4 */
void uuid_format(const struct uuid *u, char out[UUID_TEXT_MAX]);
int uuid_parse(const char *text, struct uuid *u); /* ERR_INVALID */
bool uuid_is_zero(const struct uuid *u);
int uuid_cmp(const struct uuid *a, const struct uuid *b);

#endif
