#include "server/pki/password.h"

#include <string.h>

#include <sodium.h>

#include "lib/base/compiler.h"

#define PASSES 2
#define MEMORY ((size_t)19 * 1024 * 1024)

_Static_assert(crypto_pwhash_STRBYTES <= PASSWORD_HASH_MAX, "the library's string fits");

int password_hash(const char *password, char out[PASSWORD_HASH_MAX], struct err *err)
{
	char hash[PASSWORD_HASH_MAX] = "";
	size_t n = strlen(password);

	if (n < PASSWORD_MIN || n > PASSWORD_MAX)
		return err_set(err, ERR_INVALID, "password: wants %d to %d characters",
			       PASSWORD_MIN, PASSWORD_MAX);
	if (sodium_init() < 0)
		return err_set(err, ERR_INTERNAL, "libsodium does not start");
	/* Running out of memory is its only way to fail. */
	if (crypto_pwhash_str_alg(hash, password, n, PASSES, MEMORY,
				  crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_nomem(err);
	memcpy(out, hash, sizeof(hash));
	return 0;
}

/* Work of the same cost as a check, for users that are not there. */
static void spend(const char *password, size_t n)
{
	static const unsigned char salt[crypto_pwhash_SALTBYTES] = {0};
	unsigned char key[32];

	if (crypto_pwhash(key, sizeof(key), password, n, salt, PASSES, MEMORY,
			  crypto_pwhash_ALG_ARGON2ID13) == 0)
		sodium_memzero(key, sizeof(key));
}

bool password_verify(const char *hash, const char *password, bool *weak)
{
	size_t n = strlen(password);

	if (n > PASSWORD_MAX || sodium_init() < 0)
		return false;
	if (!hash) {
		spend(password, n);
		return false;
	}
	if (strlen(hash) >= crypto_pwhash_STRBYTES ||
	    crypto_pwhash_str_verify(hash, password, n) != 0)
		return false;
	if (weak)
		*weak = crypto_pwhash_str_needs_rehash(hash, PASSES, MEMORY) != 0;
	return true;
}
