/*
 * Keeps trying to reach a server until it stands, waits (backoff.h) between rounds, and begins
 * again when told that the connection was lost. It makes TCP connections only; TLS is conn's. Loop
 * thread.
 *
 * A round tries every address in order, for names every IP address they have, through the proxy if
 * there is one. A round that reached nobody reports on_failed and waits.
 *
 * States: dialling -> connected (the handle was handed over; the dialer rests) -> dialer_lost ->
 * waiting -> dialling ... -> stopped. dialer_stop works in each, is idempotent, and ends in one
 * on_stopped; the dialer is freed just before it.
 */
#ifndef ENVWARDEN_LIB_NET_DIALER_H
#define ENVWARDEN_LIB_NET_DIALER_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "lib/base/err.h"
#include "lib/net/address.h"

struct dialer; /* heap, freed before on_stopped */

#define DIALER_ADDRESSES_MAX 16

struct dialer_callbacks {
	/* Connected: the handle (tcp.h) is the callee's from now on. Not NULL. */
	void (*on_connected)(struct dialer *dialer, uv_tcp_t *tcp, const struct address *address,
			     void *ctx);
	/* A round failed: the last reason, and in how long the next begins. May be NULL. */
	void (*on_failed)(struct dialer *dialer, const struct err *why, int64_t next_ms, void *ctx);
	/* Not NULL. */
	void (*on_stopped)(void *ctx);
};

struct dialer_config {
	uv_loop_t *loop;
	const struct address *addresses; /* copied; 1 to DIALER_ADDRESSES_MAX */
	size_t addresses_n;
	const struct address *proxy;   /* NULL = none; copied */
	const char *proxy_credentials; /* "user:password" or NULL; copied */
	uint64_t connect_timeout_ms;   /* each address, name look-up and proxy included; 0 = 15 s */
	int64_t first_delay_ms;	       /* before the first round: spread a fleet's start-up */
	const struct dialer_callbacks *callbacks; /* must outlive the dialer */
	void *ctx;
};

/* Fails, or calls back later, never from inside. */
int dialer_start(const struct dialer_config *config, struct dialer **out, struct err *err);

/*
 * The connection handed over has ended. The next round comes after the backoff, which knows how
 * long it lived; retry_after_ms: what the server asked for, or 0.
 */
void dialer_lost(struct dialer *dialer, int64_t retry_after_ms);

/* While waiting: begin now (the network came back, somebody asked). */
void dialer_hurry(struct dialer *dialer);

void dialer_stop(struct dialer *dialer);

#endif
