#include "lib/base/crypto.h"

#include <mbedtls/sha256.h>
#include <mbedtls/version.h>

/* The library's context lives in the opaque room. */
_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(((struct sha256 *)NULL)->state.room),
	       "struct sha256 has too little room");
_Static_assert(_Alignof(mbedtls_sha256_context) <= _Alignof(struct sha256),
	       "struct sha256 is not aligned enough");

/* 2.x names the functions that report failure apart; software SHA-256 never does. */
#if MBEDTLS_VERSION_MAJOR < 3
#define mbedtls_sha256_starts mbedtls_sha256_starts_ret
#define mbedtls_sha256_update mbedtls_sha256_update_ret
#define mbedtls_sha256_finish mbedtls_sha256_finish_ret
#endif

static mbedtls_sha256_context *context(struct sha256 *h)
{
	return (mbedtls_sha256_context *)(void *)h->state.room;
}

void sha256_init(struct sha256 *h)
{
	mbedtls_sha256_init(context(h));
	CHECK(mbedtls_sha256_starts(context(h), 0) == 0);
}

void sha256_update(struct sha256 *h, const void *data, size_t n)
{
	if (n > 0)
		CHECK(mbedtls_sha256_update(context(h), data, n) == 0);
}

void sha256_final(struct sha256 *h, unsigned char out[SHA256_SIZE])
{
	CHECK(mbedtls_sha256_finish(context(h), out) == 0);
	mbedtls_sha256_free(context(h)); /* wipes; there is nothing to free */
}

void sha256(const void *data, size_t n, unsigned char out[SHA256_SIZE])
{
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, data, n);
	sha256_final(&h, out);
}
