/*
 * One connection: a TCP stream, TLS on it, frames in it. Both sides alike. Loop thread only.
 *
 * Life: conn_start -> on_ready (handshake done) -> on_frame... -> on_closed, which comes exactly
 * once, last, and after a start that returned 0 in every case. conn_stop may be called at any time,
 * also inside callbacks, and more than once; nothing but on_closed is called after it. The conn is
 * freed just before on_closed, so the owner must drop its pointer there.
 *
 * Back pressure: outgoing bytes wait in a bounded queue; conn_send fails with ERR_LIMIT instead of
 * growing it, and on_drain tells when it is worth trying again. Incoming: conn_pause stops reading
 * from the socket, so that the peer feels it.
 *
 * A program with sockets must ignore SIGPIPE: libuv does not, and writing to a peer that has gone
 * would end the program.
 *
 * What can go wrong, and what on_closed says then (rc, reason):
 *   0              conn_stop or conn_finish, by us
 *   ERR_CLOSED     the peer closed, properly and between frames
 *   ERR_TRUNCATED  the peer's stream ended without the TLS goodbye, or inside a frame
 *   ERR_TIMEOUT    no handshake within its time (or the last bytes could not be sent in it)
 *   ERR_VERIFY, ERR_EXPIRED, ERR_PROTOCOL   from TLS (tls.h)
 *   ERR_LIMIT      a frame over the maximum
 *   ERR_NOMEM, or libuv's code (UV_ECONNRESET, ...)
 */
#ifndef ENVWARDEN_LIB_NET_CONN_H
#define ENVWARDEN_LIB_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "lib/base/err.h"
#include "lib/net/tls.h"

struct conn; /* heap, owned by itself between conn_start and on_closed */

struct conn_callbacks {
	/* Handshake done: tls_peer(conn_tls(c)) tells who it is. Not NULL. */
	void (*on_ready)(struct conn *conn, void *ctx);
	/* One whole frame; payload is borrowed for the call. Not NULL. */
	void (*on_frame)(struct conn *conn, const void *payload, size_t n, void *ctx);
	/* After a conn_send that failed with ERR_LIMIT: the queue is at most half full again. May
	 * be NULL. */
	void (*on_drain)(struct conn *conn, void *ctx);
	/* The end; the conn is gone already. Not NULL. */
	void (*on_closed)(void *ctx, int rc, const char *reason);
};

struct conn_config {
	struct tls_context *context;		/* held by the conn until the end */
	const struct conn_callbacks *callbacks; /* must outlive the conn */
	void *ctx;
	size_t frame_max;	       /* payload bytes, both directions; 0 = FRAME_SYNC_MAX */
	size_t queue_max;	       /* bytes waiting to be sent; 0 = 2 * FRAME_SYNC_MAX */
	uint64_t handshake_timeout_ms; /* 0 = 30 s; also how long conn_finish waits */
	/* Client: a session from conn's tls_session_export, or NULL. One that does not fit is
	 * ignored. */
	const void *session;
	size_t session_n;
};

/*
 * Takes ownership of a connected (or accepted) handle from tcp_new, also on failure. Never calls
 * back from inside.
 */
int conn_start(const struct conn_config *config, uv_tcp_t *tcp, struct conn **out, struct err *err);

/* Stops now; what is queued is lost. The peer gets a TLS goodbye if the socket takes it at once. */
void conn_stop(struct conn *conn);

/*
 * Stops as soon as everything queued is sent, or the timeout is over. No frame is delivered
 * any more.
 */
void conn_finish(struct conn *conn);

/* ERR_LIMIT: over frame_max or the queue is full, nothing was queued; ERR_CLOSED: not open. */
int conn_send(struct conn *conn, const void *payload, size_t n, struct err *err);

size_t conn_queued(const struct conn *conn);	       /* bytes waiting, encrypted */
bool conn_writable(const struct conn *conn, size_t n); /* conn_send of n bytes would fit */

/* No on_frame until conn_resume; calls do not nest. Frames kept meanwhile come from the loop, not
 * from inside conn_resume. */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);

struct tls *conn_tls(struct conn *conn);	     /* for tls_peer and tls_session_export only */
const char *conn_peer_name(const struct conn *conn); /* "192.0.2.1:443" */

#endif
