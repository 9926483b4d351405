/*
 * The wire between the reader and the core: one end of a socket pair as frames of
 * proto/reader.proto. The reader tells a few environments at a
 * time and waits for the core to have taken them, and writes are bounded, so that neither process
 * can fill the other's memory.
 */
#ifndef ENVWARDEN_AGENT_LINK_H
#define ENVWARDEN_AGENT_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "proto/reader.pb-c.h"

struct uv_loop_s;
struct link;

struct link_callbacks {
	/* One message; valid for the call. A negative answer closes the link. */
	int (*message)(void *ctx, const Envwarden__Reader__Envelope *message);
	/* The peer ended, broke the protocol, or link_stop was called: once, last; the link is
	 * freed. */
	void (*closed)(void *ctx, int rc);
};

/* Takes over the descriptor, on failure too. */
int link_new(struct uv_loop_s *loop, int fd, const struct link_callbacks *callbacks, void *ctx,
	     struct link **out, struct err *err);

/* Packs and queues one message; what is said in one turn of the loop is written together at its
 * end. ERR_LIMIT: more than LINK_QUEUE_MAX bytes would wait; that is room for the facts of two of
 * the largest environments. */
#define LINK_QUEUE_MAX (64u << 20)
int link_send(struct link *link, const Envwarden__Reader__Envelope *message);

/* Queues frames packed elsewhere (a worker thread); takes the buffer's memory. */
int link_send_frames(struct link *link, struct buf *frames);

void link_stop(struct link *link); /* idempotent; closed() follows */

#endif
