/*
 * The seam between the wrappers of mbedtls: crypto.c here, lib/net/tls* and server/pki. Nobody else
 * includes this. Works with mbedtls 2.28 and 3.6; codes of the library end at crypto_error().
 */
#ifndef ENVWARDEN_LIB_BASE_CRYPTO_MBEDTLS_H
#define ENVWARDEN_LIB_BASE_CRYPTO_MBEDTLS_H

#include <stddef.h>

#include <mbedtls/pk.h>
#include <mbedtls/version.h>

#include "lib/base/crypto.h"
#include "lib/base/err.h"

/* 2.x has public members. */
#if MBEDTLS_VERSION_MAJOR < 3 && !defined(MBEDTLS_PRIVATE)
#define MBEDTLS_PRIVATE(member) member
#endif

/* For the library's f_rng parameters; ctx is not used. 0, or a code of the library. Any thread. */
int crypto_rng(void *ctx, unsigned char *out, size_t n);

/* The key inside, borrowed: not to be changed, and not used by two threads at once. */
mbedtls_pk_context *crypto_key_pk(const struct crypto_key *key);

/*
 * Sets "<what>: <the library's text>". Returns ERR_NOMEM where the library ran out of memory, else
 * `code`, the caller's translation.
 */
int crypto_error(struct err *err, int code, int mbedtls_rc, const char *what);

#endif
