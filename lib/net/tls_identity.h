/*
 * A machine's identity towards the server: the request for a certificate it makes from its key,
 * and what a certificate chain says. Agent side; issuing is server/pki's. Any thread.
 *
 * Chain: certificates in DER, one after the other, leaf first, each signed by the next, root last.
 * The machine id stands in the leaf as subjectAltName URI `urn:envwarden:machine:<uuid>`.
 */
#ifndef ENVWARDEN_LIB_NET_TLS_IDENTITY_H
#define ENVWARDEN_LIB_NET_TLS_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"

#define TLS_CHAIN_MAX (16 * 1024) /* bytes of a chain */
#define TLS_CHAIN_CERTS_MAX 4
#define TLS_MACHINE_URI "urn:envwarden:machine:"
#define TLS_CSR_MAX 512			       /* bytes of a request, rounded up */
#define TLS_CSR_SUBJECT "CN=envwarden machine" /* the server names the machine, not the request */

/* Appends a PKCS #10 request in DER, signed by the key (which must be private). */
int tls_identity_csr(const struct crypto_key *key, struct buf *out, struct err *err);

struct tls_identity {
	int64_t not_before_ms; /* of the leaf, UTC */
	int64_t not_after_ms;
	bool has_machine; /* the leaf names a machine */
	struct uuid machine;
	unsigned char
		spki[CRYPTO_SPKI_MAX]; /* the leaf's public key, fit for crypto_key_from_spki */
	size_t spki_n;
	unsigned char spki_hash[SHA256_SIZE]; /* SHA-256 of it: the key id */
	unsigned char root_spki_hash[SHA256_SIZE];
	size_t root_offset; /* the root is chain[root_offset] to the end */
	size_t certs;	    /* 1 = the leaf is the root */
};

/*
 * Reads a chain and checks that every certificate is signed by the next; times are reported, not
 * judged. ERR_INVALID: not a chain; ERR_LIMIT: too long; ERR_VERIFY: a signature does not hold.
 */
int tls_identity_parse(const void *chain, size_t n, struct tls_identity *out, struct err *err);

#endif
