/*
 * The one door to cryptography: hashing, signatures, randomness, authenticated encryption and
 * constant-time comparison. Hides the library; keys are opaque. Any thread, one object at a time.
 * Signatures: ECDSA P-256 with SHA-256, ASN.1 DER (formats.md 3). Key id = SHA-256 of the SPKI.
 */
#ifndef ENVWARDEN_LIB_BASE_CRYPTO_H
#define ENVWARDEN_LIB_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

#define SHA256_SIZE 32
#define CRYPTO_SIG_MAX 80   /* bytes of a DER signature, rounded up */
#define CRYPTO_SPKI_MAX 128 /* bytes of a P-256 SubjectPublicKeyInfo, rounded up */
#define CRYPTO_KEY_MAX 256  /* bytes of a private key in DER */

/* --- SHA-256; cannot fail --- */
struct sha256 {
	union {
		uint64_t align;
		unsigned char room[256]; /* the library's context; size checked where it is used */
	} state;
};
void sha256_init(struct sha256 *h);
void sha256_update(struct sha256 *h, const void *data, size_t n);
void sha256_final(struct sha256 *h, unsigned char out[SHA256_SIZE]);
void sha256(const void *data, size_t n, unsigned char out[SHA256_SIZE]);

/* HMAC with SHA-256 (RFC 2104). ERR_NOMEM. */
int crypto_hmac(const void *key, size_t key_n, const void *data, size_t n,
		unsigned char out[SHA256_SIZE]);

/* Bytes from the system's generator; stops the program when it fails (nothing may go on then). */
void crypto_random(void *out, size_t n);

bool crypto_equal(const void *a, const void *b, size_t n); /* time independent of the contents */
void crypto_wipe(void *data, size_t n);			   /* zeroes that the compiler keeps */

/* --- keys --- */
struct crypto_key; /* a P-256 key: private, or only the public half */

int crypto_key_new(struct crypto_key **out, struct err *err); /* a fresh private key */
int crypto_key_from_der(const void *der, size_t n, struct crypto_key **out, struct err *err);
int crypto_key_from_spki(const void *spki, size_t n, struct crypto_key **out, struct err *err);
void crypto_key_free(struct crypto_key *key); /* wipes; NULL is fine */
int crypto_key_to_der(const struct crypto_key *key, unsigned char *out, size_t cap, size_t *n,
		      struct err *err);
int crypto_key_to_spki(const struct crypto_key *key, unsigned char *out, size_t cap, size_t *n,
		       struct err *err);
int crypto_key_id(const struct crypto_key *key, unsigned char out[SHA256_SIZE], struct err *err);

int crypto_sign(const struct crypto_key *key, const void *data, size_t n, unsigned char *sig,
		size_t cap, size_t *sig_n, struct err *err);
/* 0, or ERR_VERIFY */
int crypto_verify(const struct crypto_key *key, const void *data, size_t n, const void *sig,
		  size_t sig_n);

/*
 * AES-256-GCM with a fresh random nonce: out = nonce(12) | ciphertext(n) | tag(16), so cap must be
 * n + CRYPTO_SEAL_EXTRA. crypto_open returns ERR_VERIFY for anything that was not sealed so.
 */
#define CRYPTO_SEAL_EXTRA 28
int crypto_seal(const unsigned char key[32], const void *data, size_t n, void *out, size_t cap);
int crypto_open(const unsigned char key[32], const void *sealed, size_t n, void *out, size_t cap,
		size_t *out_n);

#endif
