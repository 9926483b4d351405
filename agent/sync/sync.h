/*
 * The agent's side of the sync protocol: keeps a connection to the org server, sends what the
 * journal holds, takes signed state. Loop thread only. It keeps nothing itself: journal, bundles
 * and settings are the owner's (struct sync_ops), who answers each question exactly once, later or
 * at once; a question is never asked twice at a time.
 *
 *   waiting -> dialling -> hello -> welcoming -> live -> (lost) closing -> waiting ...
 *
 * waiting: the dialer waits or dials; dialling: TLS shakes hands; hello: Hello goes out once no
 * answer of the owner to an earlier question is open, and is awaited; welcoming: the owner stores
 * the Welcome. With an expired certificate: dialling -> renewing -> closing, and once more.
 *
 * Lost, for whatever reason: what was not acked is read and sent again, bundles go on where they
 * were cut. The owner's answers are still awaited then, and dropped when they come.
 *
 * One batch of changes is under way at a time: it is read when the last one was acked, so that
 * memory is bounded by construction and the disk is the queue.
 */
#ifndef ENVWARDEN_AGENT_SYNC_SYNC_H
#define ENVWARDEN_AGENT_SYNC_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/sync/identity.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "proto/sync.pb-c.h"

struct uv_loop_s;
struct sync;

#define SYNC_BATCH_CHANGES 256
#define SYNC_BATCH_BYTES (256 * 1024)

/*
 * Where the journal stands, and what is held; asked at each connect and before each batch. `acked`
 * and `continuity` include what was answered by sync_acked_stored and sync_welcome_stored.
 */
struct sync_position {
	struct uuid epoch;
	uint64_t head;
	uint64_t acked;
	unsigned char head_hash[32];
	unsigned char continuity[16];
	bool has_continuity;
	struct {
		char role[17];
		uint64_t version;
		unsigned char hash[32];
	} held[8];
	size_t n_held;
	const char *const *labels; /* wishes; borrowed for as long as the loop does nothing else */
	size_t n_labels;
};

/* A batch read from the journal, packed by the store's thread. */
struct sync_batch {
	uint64_t last_seq;  /* 0 = nothing to send */
	struct buf changes; /* one packed sync frame with Changes */
	/* Definitions these changes name and the server is not known to have: keys, 16 bytes each,
	 * and the packed Packages frames with them, in key order. */
	struct buf keys;
	size_t n_keys;
};

struct sync_ops {
	/* Fills *out at once, from memory. */
	void (*position)(void *ctx, struct sync_position *out);

	/* Reads the next batch after `after`; answer with sync_batch_ready. */
	void (*read_batch)(void *ctx, uint64_t after);
	/* Packed Packages frames of these n keys; answer with sync_packages_ready. */
	void (*read_packages)(void *ctx, const unsigned char *keys, size_t n);

	/* The server has these definitions durably (n keys), everything up to seq. Answered by
	 * sync_acked_stored when that is durable here. */
	void (*acked)(void *ctx, const struct uuid *epoch, uint64_t seq);
	void (*packages_sent)(void *ctx, const unsigned char *keys, size_t n);
	/* It refused changes because it lost definitions it had (restored from a backup): none of
	 * them counts as sent from now on; the batch is read again. No answer. May be NULL. */
	void (*packages_lost)(void *ctx);

	/* Welcome: store the continuity token before anything is sent; answer sync_welcome_stored.
	 */
	void (*welcome)(void *ctx, const Envwarden__Sync__Welcome *welcome);

	/* A signed timestamp names a set. The owner says which of its roles it lacks:
	 * sync_want(role, version) for each, then sync_bundles complete when asked again. */
	void (*timestamp)(void *ctx, const void *signed_timestamp, size_t n);
	/* A whole bundle arrived. */
	void (*bundle)(void *ctx, const char *role, uint64_t version, const void *data, size_t n);

	/* A renewed certificate chain (DER, leaf first) for the present key: store it. */
	void (*renewed)(void *ctx, const void *chain, size_t n);
	/* The server has a report of decisions, durably. May be NULL: then none is sent. */
	void (*decisions_acked)(void *ctx, uint64_t number);
	/* Connected and welcomed, or not (why: one line for people, "" when connected). */
	void (*state)(void *ctx, bool connected, const char *server, const char *why);
	/* A message went out; its packed bytes. May be NULL. */
	void (*sent)(void *ctx, const void *payload, size_t n);
	int64_t (*trusted_ms)(void *ctx);
};

struct sync_config {
	struct uv_loop_s *loop;
	const struct sync_identity *identity; /* borrowed, outlives the sync */
	const char *ticket_path;	      /* file of the TLS session, "" = none kept */
	const char *proxy;		      /* "" none */
	const char *const *addresses;	      /* override of the identity's, may be empty */
	size_t n_addresses;
	const struct sync_ops *ops; /* outlives the sync */
	void *ctx;
	uint64_t answer_timeout_ms; /* silence of a server that owes an answer; 0 = 2 min */
	uint64_t ping_ms;	    /* between pings, and looks at the certificate; 0 = 15 min */
};

/* Fails (bad address or proxy, no memory), or calls back later, never from inside. */
int sync_start(const struct sync_config *config, struct sync **out, struct err *err);
/* Nothing but `stopped` is called from now on, once; answers may come until then, and are dropped.
 */
void sync_stop(struct sync *sync, void (*stopped)(void *owner), void *owner);

void sync_journal_grew(struct sync *sync); /* something to send */
void sync_hurry(struct sync *sync);	   /* try to connect now */

/*
 * Sends a report of decisions; ops->decisions_acked follows. false: not now, or not to this server;
 * to be tried again when one is acked, or with the next connection. What was not acked when a
 * connection is lost is to be sent again.
 */
bool sync_decisions(struct sync *sync, const Envwarden__Sync__DecisionReport *report);
/* Sends a member's request; what becomes of it is told in the status bundle. false: not now. */
bool sync_exception_request(struct sync *sync, const Envwarden__Sync__ExceptionRequest *request);

/* --- the owner's answers --- */
void sync_batch_ready(struct sync *sync, int rc, struct sync_batch *batch); /* takes the buffers */
void sync_packages_ready(struct sync *sync, int rc, struct buf *frames);    /* takes the buffer */
void sync_acked_stored(struct sync *sync, int rc);
void sync_welcome_stored(struct sync *sync, int rc);
/* One version of a role is wanted at a time: the last one asked for. It stays wanted until it came,
 * over lost connections too, or the server does not have it. */
void sync_want(struct sync *sync, const char *role, uint64_t version);
/* Kept until it can be sent, the last one of each role. */
void sync_report(struct sync *sync, const char *role, uint64_t version, bool active,
		 const char *reason);

#endif
