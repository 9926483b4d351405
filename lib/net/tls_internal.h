/* What the files of tls.h share. Private to lib/net/tls*.c. */
#ifndef ENVWARDEN_LIB_NET_TLS_INTERNAL_H
#define ENVWARDEN_LIB_NET_TLS_INTERNAL_H

#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include "lib/base/crypto_mbedtls.h"
#include "lib/net/tls.h"

#if !defined(MBEDTLS_SSL_KEEP_PEER_CERTIFICATE) || !defined(MBEDTLS_SSL_SESSION_TICKETS)
#error "the TLS library must keep peer certificates and have session tickets"
#endif

struct tls_context {
	unsigned holders; /* the maker and each tls */
	bool is_server;
	mbedtls_ssl_config conf;
	mbedtls_x509_crt own;	/* our chain; empty = none */
	mbedtls_x509_crt roots; /* who we trust; empty on a pinned client */
	struct crypto_key *key;
	char *server_name;			   /* client */
	bool pinned;				   /* client that knows only the root's hash */
	unsigned char root_spki_hash[SHA256_SIZE]; /* then */
	unsigned char binding[SHA256_SIZE];	   /* client: what a stored session belongs to */
	tls_now_cb now_ms;
	void *now_ctx;
	struct tls_ticket_key ticket_keys[TLS_TICKET_KEYS_MAX];
	size_t ticket_keys_n;
	int64_t ticket_lifetime_ms;
};

/* Hashes that tell sessions apart. */
struct session_marks {
	unsigned char ticket[SHA256_SIZE];
	unsigned char secret[SHA256_SIZE];
};

struct tls {
	struct tls_context *context;
	mbedtls_ssl_context ssl;
	enum tls_state state;
	bool verified;	       /* the peer's chain was judged in this handshake: not resumed */
	uint32_t verify_flags; /* all that is wrong with it, MBEDTLS_X509_BADCERT_* */
	struct buf in;	       /* from the peer; in_at bytes of it are taken */
	size_t in_at;
	struct buf out;
	struct session_marks offered; /* client: of the session that was imported */
	struct err *why; /* during a handshake call: where the verifier leaves its reason */
};

int64_t tls_now(const struct tls_context *context);

/* The library's verify callback, ctx = struct tls. */
int tls_verify(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

/* After the library is content: what it does not check, or not in a resumed handshake. */
int tls_verify_done(struct tls *tls, struct err *err);

/* "certificate expired on 2026-11-22T17:17:42.000Z" */
int tls_expired(const mbedtls_x509_crt *crt, const char *whose, struct err *err);

/* The library's ticket callbacks, ctx = struct tls_context. */
int tls_ticket_write(void *ctx, const mbedtls_ssl_session *session, unsigned char *start,
		     const unsigned char *end, size_t *n, uint32_t *lifetime_s);
int tls_ticket_parse(void *ctx, mbedtls_ssl_session *session, unsigned char *ticket, size_t n);

#endif
