/*
 * Session tickets of a server: key name | sealed(expires_ms | session with the peer's certificate).
 * The library's own ticket code can't take keys that several processes share, so this does.
 */
#include <string.h>

#include "lib/net/tls_cert.h"
#include "lib/net/tls_internal.h"

#define PLAIN_MAX 4096 /* a session with a machine's certificate has about 800 bytes */
#define HEAD_SIZE 8    /* expires_ms */

static void put_ms(unsigned char out[HEAD_SIZE], int64_t ms)
{
	for (int i = 0; i < HEAD_SIZE; i++)
		out[i] = (unsigned char)((uint64_t)ms >> (8 * (HEAD_SIZE - 1 - i)));
}

static int64_t get_ms(const unsigned char in[HEAD_SIZE])
{
	uint64_t ms = 0;

	for (int i = 0; i < HEAD_SIZE; i++)
		ms = ms << 8 | in[i];
	return (int64_t)ms;
}

/* A ticket lives no longer than the certificate in it. */
static int64_t lifetime(const struct tls_context *context, const mbedtls_ssl_session *session)
{
	const mbedtls_x509_crt *crt = session->MBEDTLS_PRIVATE(peer_cert);
	int64_t left;

	if (!crt) /* somebody who enrols comes once */
		return 0;
	left = tls_cert_ms(&crt->valid_to) - tls_now(context);
	return left < context->ticket_lifetime_ms ? left : context->ticket_lifetime_ms;
}

/* The bytes of a ticket into start, at most cap; *n == 0: this session gets none. */
static int seal_session(const struct tls_context *context, const mbedtls_ssl_session *session,
			int64_t life_ms, unsigned char *start, size_t cap, size_t *n)
{
	const struct tls_ticket_key *key = &context->ticket_keys[0];
	unsigned char plain[PLAIN_MAX];
	size_t plain_n;
	int rc;

	put_ms(plain, tls_now(context) + life_ms);
	rc = mbedtls_ssl_session_save(session, plain + HEAD_SIZE, sizeof(plain) - HEAD_SIZE,
				      &plain_n);
	if (rc != 0)
		goto out;
	plain_n += HEAD_SIZE;
	if (cap < TLS_TICKET_NAME_SIZE ||
	    crypto_seal(key->key, plain, plain_n, start + TLS_TICKET_NAME_SIZE,
			cap - TLS_TICKET_NAME_SIZE) < 0) {
		rc = MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
		goto out;
	}
	memcpy(start, key->name, TLS_TICKET_NAME_SIZE);
	*n = TLS_TICKET_NAME_SIZE + plain_n + CRYPTO_SEAL_EXTRA;
out:
	crypto_wipe(plain, sizeof(plain));
	return rc;
}

int tls_ticket_write(void *ctx, const mbedtls_ssl_session *session, unsigned char *start,
		     const unsigned char *end, size_t *n, uint32_t *lifetime_s)
{
	const struct tls_context *context = ctx;
	int64_t life_ms = lifetime(context, session);

	*n = 0;
	*lifetime_s = 0; /* the library sends it even when this fails */
	if (context->ticket_keys_n == 0 || life_ms < 1000)
		return MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE; /* it sends an empty ticket then */
	*lifetime_s = (uint32_t)(life_ms / 1000);
	return seal_session(context, session, life_ms, start, (size_t)(end - start), n);
}

static const struct tls_ticket_key *find_key(const struct tls_context *context,
					     const unsigned char name[TLS_TICKET_NAME_SIZE])
{
	for (size_t i = 0; i < context->ticket_keys_n; i++) {
		const struct tls_ticket_key *key = &context->ticket_keys[i];

		if (memcmp(key->name, name, TLS_TICKET_NAME_SIZE) == 0 &&
		    tls_now(context) - key->created_ms < 2 * context->ticket_lifetime_ms)
			return key;
	}
	return NULL;
}

/* Any failure means a full handshake. */
int tls_ticket_parse(void *ctx, mbedtls_ssl_session *session, unsigned char *ticket, size_t n)
{
	const struct tls_context *context = ctx;
	const struct tls_ticket_key *key;
	unsigned char plain[PLAIN_MAX];
	size_t plain_n;
	int rc = MBEDTLS_ERR_SSL_INVALID_MAC;

	if (n < TLS_TICKET_NAME_SIZE)
		return rc;
	key = find_key(context, ticket);
	if (!key || crypto_open(key->key, ticket + TLS_TICKET_NAME_SIZE, n - TLS_TICKET_NAME_SIZE,
				plain, sizeof(plain), &plain_n) < 0)
		return rc;
	if (plain_n < HEAD_SIZE)
		goto out;
	if (get_ms(plain) <= tls_now(context)) {
		rc = MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED;
		goto out;
	}
	rc = mbedtls_ssl_session_load(session, plain + HEAD_SIZE, plain_n - HEAD_SIZE);
out:
	crypto_wipe(plain, sizeof(plain));
	return rc;
}
