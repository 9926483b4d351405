/*
 * The accepting side: a bound port, and handles accepted one by one. Accepts only while a
 * handshake slot is free, because a full handshake costs milliseconds of CPU: whoever comes in a
 * storm waits in the kernel's backlog, in order, instead of being served badly. Loop thread.
 */
#ifndef ENVWARDEN_LIB_NET_LISTENER_H
#define ENVWARDEN_LIB_NET_LISTENER_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "lib/base/err.h"
#include "lib/net/address.h"

struct listener; /* heap, freed before on_stopped */

#define LISTENER_SLOTS 32

struct listener_callbacks {
	/* A connection: the handle (tcp.h) is the callee's, and one slot is taken until
	 * listener_release. */
	void (*on_accepted)(struct listener *listener, uv_tcp_t *tcp, void *ctx);
	void (*on_stopped)(void *ctx);
};

struct listener_config {
	uv_loop_t *loop;
	/* An IP address and port; port 0 = any free one. Ignored with a socket. */
	const struct address *address;
	/* A bound socket to listen on instead (several loops share one port by duplicates of one
	 * socket); the listener closes it. NULL = bind the address. */
	const uv_os_sock_t *socket;
	unsigned slots;				    /* 0 = LISTENER_SLOTS */
	const struct listener_callbacks *callbacks; /* must outlive the listener */
	void *ctx;
};

/*
 * UV_EADDRINUSE: "listen on 0.0.0.0:7443: address already in use"; UV_EACCES likewise; ERR_INVALID:
 * not an IP address.
 */
int listener_start(const struct listener_config *config, struct listener **out, struct err *err);

uint16_t listener_port(const struct listener *listener); /* the one really bound */

/* A handshake that an accepted handle began is over, well or badly: once for each on_accepted. */
void listener_release(struct listener *listener);

/* Idempotent; accepted handles live on, and need no listener_release any more. */
void listener_stop(struct listener *listener);

#endif
