/*
 * The agent's local socket: connections of members' commands and gates, requests in, answers out.
 * Knows the protocol and its limits; what requests mean is the handlers' business (agent/requests).
 * Loop thread only. The process must ignore SIGPIPE, as libuv's streams demand.
 *
 * A call is one request being answered. It is held by its handler until local_call_end (or _fail):
 * exactly once per call. Answers of a call are frames with its id; the last one ends it. When the
 * peer is gone, sends fail with ERR_CLOSED and the handler still ends the call.
 *
 * Bounded per peer: calls under way per connection and per uid, connections per uid and in total,
 * bytes queued for a slow reader, time a half-sent frame may take. A peer that asks for more than
 * its share is not read until earlier calls have ended: it waits, in turn with the same uid's other
 * connections, and nobody else does. A peer that breaks the protocol is closed.
 */
#ifndef ENVWARDEN_AGENT_LOCAL_SERVER_H
#define ENVWARDEN_AGENT_LOCAL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "proto/local.pb-c.h"

struct uv_loop_s;
struct local;
struct local_call;

/* What follows a request under the same id (local_call_on_piece), borrowed for the call. */
typedef void (*local_piece_cb)(struct local_call *call, const Envwarden__Local__Envelope *piece);
/*
 * rc < 0: the peer sent none, or is gone (ERR_CLOSED). fd is the callee's, -1 on failure. Call back
 * last: the callee may end the call.
 */
typedef void (*local_descriptor_cb)(struct local_call *call, int rc, int fd);

struct local_handlers {
	/* The request is valid until the handler returns; each call ends with local_call_end or
	 * local_call_fail, at once or later. */
	void (*check)(void *ctx, struct local_call *call, const Envwarden__Local__CheckRequest *m);
	void (*list)(void *ctx, struct local_call *call, const Envwarden__Local__ListRequest *m);
	void (*show)(void *ctx, struct local_call *call, const Envwarden__Local__ShowRequest *m);
	void (*history)(void *ctx, struct local_call *call,
			const Envwarden__Local__HistoryRequest *m);
	void (*packages_at)(void *ctx, struct local_call *call,
			    const Envwarden__Local__PackagesRequest *m);
	void (*diff)(void *ctx, struct local_call *call, const Envwarden__Local__DiffRequest *m);
	void (*sent)(void *ctx, struct local_call *call, const Envwarden__Local__SentRequest *m);
	void (*record)(void *ctx, struct local_call *call,
		       const Envwarden__Local__RecordRequest *m);
	void (*status)(void *ctx, struct local_call *call,
		       const Envwarden__Local__StatusRequest *m);
	void (*enroll)(void *ctx, struct local_call *call,
		       const Envwarden__Local__EnrollRequest *m);
	void (*report)(void *ctx, struct local_call *call, const Envwarden__Local__ReportBegin *m);
	void (*defer)(void *ctx, struct local_call *call, const Envwarden__Local__DeferRequest *m);
	void (*unlock)(void *ctx, struct local_call *call,
		       const Envwarden__Local__UnlockRequest *m);
	void (*import)(void *ctx, struct local_call *call, const Envwarden__Local__ImportBegin *m);
	void (*exception_ask)(void *ctx, struct local_call *call,
			      const Envwarden__Local__ExceptionAsk *m);
	void (*exception_states)(void *ctx, struct local_call *call,
				 const Envwarden__Local__ExceptionStates *m);
	void (*repair)(void *ctx, struct local_call *call, const Envwarden__Local__Repair *m);
};

struct local_limits {
	size_t connections;
	size_t connections_per_uid;
	size_t calls_per_connection;
	size_t calls_per_uid;
	size_t queue_bytes;   /* for one connection; sends past it fail with ERR_LIMIT */
	uint32_t frame_ms;    /* from the first byte of a frame to its last */
	uint32_t idle_ms;     /* without a call under way */
	uint32_t stall_ms;    /* a queue of which the peer takes nothing */
	uint32_t stopping_ms; /* for answers under way when the server stops */
};
extern const struct local_limits local_limits_default;

struct local_config {
	struct uv_loop_s *loop;
	const char *path;
	bool for_everybody; /* a machine agent; else only this account and root may connect */
	const struct local_handlers *handlers;
	void *ctx;
	const struct local_limits *limits; /* copied; NULL = local_limits_default */
};

int local_start(const struct local_config *config, struct local **out, struct err *err);

/*
 * Takes no more requests, lets answers under way go out for a moment, closes all connections, then
 * stopped(owner), once every call was given back (on_closed tells their handlers). Idempotent: only
 * the first call's stopped counts.
 */
void local_stop(struct local *local, void (*stopped)(void *owner), void *owner);

uint32_t local_call_uid(const struct local_call *call); /* of the peer, by the system's word */

/*
 * A request that goes on in pieces: what comes under its id (ReportChunk, ImportEnd...) goes to
 * `piece` until the call ends. Pieces of a call that has ended, or takes none, are passed over.
 */
void local_call_on_piece(struct local_call *call, local_piece_cb piece);

/*
 * Asks the peer to prove that it can open `prefix`, by passing a descriptor of that directory
 * (DescriptorWanted; then one byte outside of frames with the descriptor). One at a time on a
 * connection. 0: done(call, ...) is called once, later, unless the call ends before; ERR_BUSY:
 * another call of this connection waits for one; else as local_call_send.
 */
int local_call_want_descriptor(struct local_call *call, const char *prefix,
			       local_descriptor_cb done);

/*
 * One answer frame; `answer->id` is filled in. ERR_CLOSED: the peer is gone; ERR_LIMIT: it does not
 * read (wait for writable, or give up), or the answer is larger than a frame; ERR_INVALID: a field
 * breaks its rule.
 */
int local_call_send(struct local_call *call, Envwarden__Local__Envelope *answer);

/* Calls back once, later, when what was queued for the peer is mostly gone, or the peer itself is.
 */
void local_call_on_writable(struct local_call *call, void (*writable)(struct local_call *call));
/* Calls back (at most once, later) if the peer goes away before the call has ended; NULL clears it.
 */
void local_call_on_closed(struct local_call *call, void (*closed)(struct local_call *call));
bool local_call_closed(const struct local_call *call);

void *local_call_data(const struct local_call *call); /* the handler's own, NULL at first */
void local_call_set_data(struct local_call *call, void *data);

/*
 * Sends `answer` (or End when NULL) and gives the call back. An answer that does not fit a frame
 * becomes an error of its own; the bound on queued bytes does not hold here, since calls per
 * connection are bounded themselves.
 */
void local_call_end(struct local_call *call, Envwarden__Local__Envelope *answer);
void local_call_fail(struct local_call *call, int code, const char *text);

#endif
