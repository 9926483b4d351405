/*
 * People's passwords: argon2id by libsodium, 19 MiB and 2 passes, about 10 ms of a core each. Not
 * on a loop thread, and few at a time (memory). Any thread.
 */
#ifndef ENVWARDEN_SERVER_PKI_PASSWORD_H
#define ENVWARDEN_SERVER_PKI_PASSWORD_H

#include <stdbool.h>

#include "lib/base/err.h"

#define PASSWORD_HASH_MAX 128 /* bytes of the stored string with its end */
#define PASSWORD_MIN 10	      /* bytes of a new password */
#define PASSWORD_MAX 1024

/* The string to store. ERR_INVALID: too short or too long; ERR_NOMEM. */
int password_hash(const char *password, char out[PASSWORD_HASH_MAX], struct err *err);

/*
 * Whether the password is that of the hash. A NULL hash (no such user) takes as long as a wrong
 * password and is never right. *weak (may be NULL) says that a right one ought to be hashed anew
 * with today's cost.
 */
bool password_verify(const char *hash, const char *password, bool *weak);

#endif
