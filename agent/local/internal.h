/*
 * The server's parts, for its own files.
 *
 * server.c  accepts, counts connections, stops
 * conn.c    one connection: bytes in, frames out, deadlines, its end
 * turns.c   who may go on when there was too much to do
 * call.c    what handlers do with a call
 * dispatch.c  envelope -> handler
 *
 * A connection ends by conn_close, from anywhere: it only marks and closes handles. Handlers are
 * told later, from the handles' close callbacks, so no handler is ever entered from inside a call
 * it made. The struct lives until its handles are closed and its calls are given back.
 */
#ifndef ENVWARDEN_AGENT_LOCAL_INTERNAL_H
#define ENVWARDEN_AGENT_LOCAL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "agent/local/server.h"
#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/net/frame.h"
#include "platform/local_socket.h"

#define READ_SIZE 65536 /* bytes taken from a socket at once */

struct conn;

/* A queue of connections; a connection is in one of them at most. */
struct turn_queue {
	struct conn *first;
	struct conn *last;
	size_t n;
};

/* Everything one account has open here. */
struct peer {
	struct peer *next;
	uint32_t uid;
	size_t n_conns;
	size_t n_calls;
	struct turn_queue waiting; /* connections with requests that calls_per_uid holds back */
};

struct local {
	uv_loop_t *loop;
	struct local_server *listener;
	struct local_handlers handlers;
	void *ctx;
	struct local_limits limits;
	bool for_everybody;
	struct conn *conns; /* not closing */
	size_t n_conns;	    /* closing ones included */
	struct peer *peers;
	struct turn_queue ready; /* connections to go on with in the next turn */
	uv_idle_t turns;	 /* runs while somebody is ready */
	uv_timer_t grace;	 /* runs while stopping */
	struct arena arena;	 /* of the request being dispatched */
	bool stopping;
	bool listener_stopped;
	unsigned open_handles; /* turns, grace */
	void (*stopped)(void *owner);
	void *owner;
	char room[READ_SIZE]; /* what a read brings; taken from before the next one */
};

enum conn_queue {
	QUEUE_NONE,
	QUEUE_READY,
	QUEUE_WAITING /* at its peer */
};

struct conn {
	struct local *local;
	struct peer *peer;
	struct conn *prev; /* in local->conns */
	struct conn *next;
	struct conn *queue_next;
	enum conn_queue queue;
	bool has_turn; /* it waited at its peer and is next */
	bool closing;
	bool reading;
	bool broken;  /* not a descriptor came where one was wanted */
	bool in_turn; /* frames are being handled: what they send is written at the end */
	unsigned open_handles;

	uv_pipe_t pipe;
	struct frame_decoder decoder;
	struct buf held; /* bytes read, not handled: it had too much under way */

	uv_timer_t timer;
	uint64_t timer_at;    /* loop time; when it will fire, 0 = not running */
	uint64_t frame_since; /* loop time of a half-read frame's first byte, 0 = none */
	uint64_t active_at;   /* loop time of the last request, answer, or progress of the queue */

	struct buf out;	    /* frames to send */
	struct buf sending; /* frames uv_write has */
	uv_write_t write;
	bool writing;

	struct local_call *calls; /* the newest first */
	size_t n_calls;
	struct local_call *wants; /* the one that waits for a descriptor, NULL = none does */
	uint64_t wants_since;	  /* loop time */
	int passed;		  /* the descriptor, until the one that waits is told; -1 none */
};

struct local_call {
	struct conn *conn;
	struct local_call *prev;
	struct local_call *next;
	uint64_t id;
	bool due; /* its writable is to be called in this round */
	void *data;
	void (*writable)(struct local_call *call);
	void (*closed)(struct local_call *call);
	local_piece_cb piece;
	local_descriptor_cb descriptor;
};

/* --- server.c --- */
void local_conn_gone(struct local *local, struct peer *peer); /* its struct is freed already */
void local_maybe_stopped(struct local *local);

/* --- conn.c --- */
/* Takes the waiting client in; 0, or it is turned away. */
int conn_accept(struct local *local);
void conn_close(struct conn *conn);
/* Handles held frames, as many as one turn may; the rest waits in a queue. */
void conn_turn(struct conn *conn);
/* Something that held it back may be over. */
void conn_wake(struct conn *conn);
size_t conn_unsent(const struct conn *conn);
bool conn_drained(const struct conn *conn);
/* Writes what is queued; a failure closes. */
void conn_flush(struct conn *conn);
/* Frees it when nothing refers to it any more. */
void conn_maybe_free(struct conn *conn);

/* --- turns.c --- */
void turns_add_ready(struct conn *conn);
void turns_add_waiting(struct conn *conn);
void turns_remove(struct conn *conn);			    /* from whatever queue it is in */
void turns_next_of(struct peer *peer, struct local *local); /* if the peer may do more now */
void turns_run(uv_idle_t *idle);

/* --- call.c --- */
int call_new(struct conn *conn, uint64_t id, struct local_call **out);
void calls_writable(struct conn *conn);	      /* tells those who wait for it */
void calls_closed(struct conn *conn);	      /* tells all; no call waits for anything afterwards */
void call_tell_descriptor(struct conn *conn); /* whoever waits for it, when it has come */
/* The call that takes pieces under this id, or NULL. */
struct local_call *call_of_piece(struct conn *conn, uint64_t id);

/* --- dispatch.c --- */
/* ERR_PROTOCOL and others: close the connection. */
int dispatch(struct conn *conn, const void *payload, size_t n);

#endif
