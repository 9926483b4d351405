/*
 * TLS as bytes in, bytes out over memory: no sockets, no loop. The one place (with tls_*.c) that
 * knows the library. formats.md 5: TLS 1.2, ECDHE-ECDSA, AES-128-GCM or ChaCha20-Poly1305.
 *
 * Words: a *context* is one side's settings, parsed once and shared by its connections; a *tls* is
 * one connection. A context belongs to one thread (a server with several loops makes one for
 * each). It is counted: each tls holds it, so that a server may replace a context (new certificate)
 * while connections of the old one live on.
 *
 *	tls_new(context, &tls, err);
 *	tls_handshake(tls, err);                      a client says hello; a server does nothing yet
 *	tls_feed(tls, bytes from the peer);           drives the handshake on its own
 *	tls_out(tls) -> bytes for the peer            after every call, also a failed one (alerts)
 *	tls_state(tls) == TLS_OPEN -> tls_peer, tls_read, tls_write
 *
 * Time: certificates are judged by now_ms, the caller's trusted time, never by the library's clock.
 * A client's trusted time is a lower bound (it may have slept), so a server certificate is refused
 * when it has expired, not when it seems to begin in the future.
 *
 * Errors, with a reason for people: ERR_VERIFY (certificate not acceptable), ERR_EXPIRED (only
 * expired), ERR_PROTOCOL (not TLS, or the peer refused us), ERR_CLOSED (closed properly),
 *ERR_LIMIT, ERR_NOMEM. After an error other than ERR_LIMIT the connection is TLS_FAILED or
 *TLS_CLOSED: send what tls_out holds, then close.
 */
#ifndef ENVWARDEN_LIB_NET_TLS_H
#define ENVWARDEN_LIB_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"

struct tls_context;
struct tls;

#define TLS_TICKET_NAME_SIZE 16
#define TLS_TICKET_KEY_SIZE 32
#define TLS_TICKET_LIFETIME_MAX_MS (24 * 60 * 60 * INT64_C(1000))
#define TLS_SESSION_MAX 8192	      /* bytes of an exported session */
#define TLS_OUT_MAX (4 * 1024 * 1024) /* encrypted bytes waiting for the peer */
#define TLS_IN_MAX (256 * 1024)	      /* bytes fed and not yet read */

/* Trusted time: UTC milliseconds. */
typedef int64_t (*tls_now_cb)(void *ctx);

/* Everything is borrowed for the call, except now_ctx, which must outlive the context. */
struct tls_client_config {
	/* Exactly one of the two: the root certificate (DER), or while enrolling only the SHA-256
	 * of its SPKI, then the chain the server presents must carry the root. */
	const void *root;
	size_t root_n;
	const unsigned char *root_spki_hash;
	/* Our chain (DER, leaf first) and key; NULL = come without a certificate. */
	const void *chain;
	size_t chain_n;
	const struct crypto_key *key;
	const char *server_name; /* must stand in the server's certificate */
	tls_now_cb now_ms;
	void *now_ctx;
};

/* The first key seals new tickets; a second one (the previous) is still accepted. */
struct tls_ticket_key {
	unsigned char name[TLS_TICKET_NAME_SIZE];
	unsigned char key[TLS_TICKET_KEY_SIZE];
	int64_t created_ms; /* a key older than twice the lifetime is not accepted whatever is set
			     */
};
#define TLS_TICKET_KEYS_MAX 2

struct tls_server_config {
	const void *chain; /* DER, leaf first, root last (enrolling clients need it) */
	size_t chain_n;
	const struct crypto_key *key;
	const void *client_root; /* DER: who signs machines' certificates */
	size_t client_root_n;
	int64_t ticket_lifetime_ms; /* at most TLS_TICKET_LIFETIME_MAX_MS; 0 = that */
	tls_now_cb now_ms;
	void *now_ctx;
};

int tls_context_new_client(const struct tls_client_config *config, struct tls_context **out,
			   struct err *err);
/* Issues no tickets until keys are set. */
int tls_context_new_server(const struct tls_server_config *config, struct tls_context **out,
			   struct err *err);
void tls_context_free(struct tls_context *context); /* drops the caller's hold; NULL is fine */

/* Server: replaces the ticket keys, n <= TLS_TICKET_KEYS_MAX; any time between calls. */
void tls_context_set_ticket_keys(struct tls_context *context, const struct tls_ticket_key *keys,
				 size_t n);

int tls_new(struct tls_context *context, struct tls **out, struct err *err);
void tls_free(struct tls *tls); /* wipes; NULL is fine */

enum tls_state {
	TLS_HANDSHAKE,
	TLS_OPEN,
	TLS_CLOSED, /* the peer said goodbye properly */
	TLS_FAILED
};
enum tls_state tls_state(const struct tls *tls);

/* Advances the handshake as far as the bytes fed allow; needed by hand only to start a client. */
int tls_handshake(struct tls *tls, struct err *err);

/* Takes bytes from the peer. ERR_LIMIT: over TLS_IN_MAX unread; nothing was taken, read first. */
int tls_feed(struct tls *tls, const void *data, size_t n, struct err *err);

/*
 * Encrypted bytes to send, in order. Borrowed; the caller removes what it sent with buf_consume, or
 * takes the memory with buf_take.
 */
struct buf *tls_out(struct tls *tls);

/*
 * Encrypts all n bytes into tls_out, or nothing: ERR_LIMIT if they would not fit in TLS_OUT_MAX
 * (send first, then try again). Only while TLS_OPEN.
 */
int tls_write(struct tls *tls, const void *data, size_t n, struct err *err);

/*
 * Plain bytes of the peer, at most cap, *n of them; *n == 0: none now. ERR_CLOSED once when the
 * peer has closed properly and everything was read.
 */
int tls_read(struct tls *tls, void *data, size_t cap, size_t *n, struct err *err);

/* Puts the goodbye into tls_out, best effort; nothing can be written after. */
void tls_close_notify(struct tls *tls);

/* What the peer showed. "Bad" is not in the list: such a handshake fails. */
enum tls_peer_class {
	TLS_PEER_NONE,	  /* no certificate (server side only) */
	TLS_PEER_EXPIRED, /* chain good, but expired by now_ms at this moment */
	TLS_PEER_GOOD
};

struct tls_peer {
	enum tls_peer_class class;
	bool resumed;	     /* by a ticket: the same facts, signatures not computed again */
	bool has_machine;    /* on a server always, unless TLS_PEER_NONE */
	struct uuid machine; /* from the leaf's URI */
	unsigned char spki_hash[SHA256_SIZE]; /* the leaf's key id */
	int64_t not_after_ms;
};

/*
 * Facts of the peer, judged now: ask again later and a certificate may have expired meanwhile.
 * Only while TLS_OPEN (else ERR_INVALID). On a client an expired server fails the handshake,
 * resumed or not, but may still expire while the connection lives.
 */
int tls_peer(const struct tls *tls, struct tls_peer *out, struct err *err);

/*
 * Client: the session with its ticket, for resuming later, appended to out. It is a secret: store
 * it like the key. ERR_NOTFOUND if the server gave no ticket. It is bound to the context's root,
 * server name and own certificate: import refuses one made under others.
 */
int tls_session_export(const struct tls *tls, struct buf *out, struct err *err);

/*
 * Client, before the first tls_handshake. ERR_STALE: made under another certificate, name, root or
 * library: forget it and go on without; the connection is untouched.
 */
int tls_session_import(struct tls *tls, const void *data, size_t n, struct err *err);

#endif
