/*
 * Signatures by a P-256 key, as crypto_sign makes them, but many a second: each machine has a
 * timestamp and a status bundle of its own, and a change may concern all machines. It is Nettle's
 * arithmetic, about 20 times faster here than mbedtls's (docs/performance.md), in constant time
 * too. Nettle comes with the admin API's TLS anyway.
 *
 * Any thread, and many at a time. GMP, under Nettle, ends the program when memory for a number (a
 * few hundred bytes) is lacking.
 */
#ifndef ENVWARDEN_SERVER_PKI_P256_SIGNER_H
#define ENVWARDEN_SERVER_PKI_P256_SIGNER_H

#include <stddef.h>

#include "lib/base/crypto.h"
#include "lib/base/err.h"

struct p256_signer; /* holds the private half */

/* Of a private key; ERR_USAGE when it is only the public half. */
int p256_signer_new(const struct crypto_key *key, struct p256_signer **out, struct err *err);
void p256_signer_free(struct p256_signer *signer); /* wipes; NULL is fine */

/* ASN.1 DER, as crypto_verify takes it. Fit for struct signed_by; cannot fail. */
int p256_sign(const void *p256_signer, const void *data, size_t n,
	      unsigned char sig[CRYPTO_SIG_MAX], size_t *sig_n, struct err *err);

#endif
