/*
 * Private keys of roles as files: in the state folder (role-<name>.key), and carried away from it.
 * DER, readable by this account alone. Blocking; any thread, one at a time.
 */
#ifndef ENVWARDEN_SERVER_PKI_ROLE_KEY_H
#define ENVWARDEN_SERVER_PKI_ROLE_KEY_H

#include "lib/base/crypto.h"
#include "lib/base/err.h"

/* ERR_INVALID: no role of ours. */
int role_key_check_role(const char *role, struct err *err);

/* In the state folder. ERR_NOTFOUND: it is kept elsewhere. */
int role_key_read(const char *dir, const char *role, struct crypto_key **out, struct err *err);
int role_key_write(const char *dir, const char *role, const struct crypto_key *key,
		   struct err *err);
int role_key_remove(const char *dir, const char *role, struct err *err);

/* Anywhere. Writing makes a new file (ERR_EXISTS) and reads it again before it says 0. */
int role_key_load(const char *path, struct crypto_key **out, struct err *err);
int role_key_save(const char *path, const struct crypto_key *key, struct err *err);

#endif
