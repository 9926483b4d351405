/*
 * A whole agent port in one process: organisation, store, hub on a loop, and agents that speak to
 * it over loopback, word by word. Failures end the test.
 */
#ifndef ENVWARDEN_TESTS_SERVER_SESSION_WORLD_H
#define ENVWARDEN_TESTS_SERVER_SESSION_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "lib/base/clock.h"
#include "lib/conda/change.h"
#include "lib/net/conn.h"
#include "proto/codec.h"
#include "proto/convert.h"
#include "proto/join_code.h"
#include "proto/signed.h"
#include "server/db/db_pool.h"
#include "server/pki/ca.h"
#include "server/pki/signer.h"
#include "server/session/hub.h"
#include "tests/support/tmpdir.h"

#define WORLD_DAY_MS INT64_C(86400000)
#define KIND(name) ENVWARDEN__SYNC__ENVELOPE__KIND_##name

struct world {
	uv_loop_t loop;
	uv_timer_t timer; /* wakes the loop, so that waiting ends */
	struct tmpdir dir;
	struct clock_fixed clock;
	struct uuid org;
	struct ca *ca;
	struct signer *signer;
	struct ca_identity identity;
	struct db *db;
	struct db_conn *conn; /* the test's own, as another process would have it */
	struct db_pool *pool;
	struct hub *hub;
	int port;
	unsigned strangers_max; /* for the next world_hub_start; 0 = the default */
	bool hub_stopped;
	struct root_info root;
};

void world_init(struct world *w);
void world_hub_start(struct world *w, int64_t enrol_burst);
void world_hub_stop(struct world *w);
void world_deinit(struct world *w); /* demands that nothing is left open */

/* A join code's secret that may be used so often. */
void world_join_code(struct world *w, int64_t uses, int64_t expires_ms,
		     unsigned char secret[JOIN_CODE_SECRET_SIZE]);

/* One transaction on the test's own connection. */
void world_write(struct world *w, int (*work)(struct db_conn *conn, void *ctx), void *ctx);

/* --- an agent --- */

struct agent_held {
	uint64_t version;
	unsigned char hash[SHA256_SIZE];
};

struct agent {
	struct world *world;
	struct crypto_key *key;
	struct buf chain; /* empty: comes without a certificate */
	struct uuid machine;
	struct buf session; /* for resuming; empty = none */

	struct tls_context *context;
	struct conn *conn;
	bool ready;
	bool closed;
	bool resumed;
	int rc; /* of the end */

	/* What it would keep on disk. */
	struct uuid epoch;
	uint64_t head;
	unsigned char head_hash[SHA256_SIZE];
	unsigned char token[UUID_SIZE];
	bool has_token;
	struct agent_held held_status; /* version 0 = none */

	/* The message last waited for. */
	struct arena arena;
	Envwarden__Sync__Envelope *message;
	struct buf frames; /* not looked at yet */
};

void agent_init(struct agent *a, struct world *w);
void agent_deinit(struct agent *a);
void agent_connect(struct agent *a); /* until the handshake is over */
void agent_drop(struct agent *a);    /* at once, without waiting for anything */
void agent_send(struct agent *a, Envwarden__Sync__Envelope *envelope);
void agent_send_raw(struct agent *a, const void *data, size_t n);
/* The next message, which must be of this kind. */
void agent_expect(struct agent *a, Envwarden__Sync__Envelope__KindCase kind);
void agent_expect_error(struct agent *a, int code);
void agent_expect_closed(struct agent *a); /* after no further message */

/* Sends Enrol; the answer is the test's to expect. */
void agent_enrol(struct agent *a, const unsigned char secret[JOIN_CODE_SECRET_SIZE]);
void agent_enrolled(struct agent *a); /* takes the EnrolReply that came, and disconnects */
void agent_make(struct agent *a, struct world *w); /* init, and enrolled by a fresh code */

/* Hello with what it keeps; the answer is the test's to expect. */
void agent_hello(struct agent *a);
/* Connects, says Hello, takes the Welcome and keeps its token. */
void agent_welcome(struct agent *a);
/* The timestamp of a Welcome or Push, verified: the version and hash of the status it names. */
void agent_timestamp(struct agent *a, const ProtobufCBinaryData *timestamp,
		     struct agent_held *status);

/* A package of this name, of the conda channel all of them come from. */
struct package agent_package(const char *name);
/*
 * Sends changes first..last of its epoch, chained on its head, which then is the last of them: each
 * makes an environment with that package (NULL = none), by its machine's word at the end of all
 * times. spoil: the last hash is wrong.
 */
void agent_changes(struct agent *a, uint64_t first, uint64_t last, const char *package, bool spoil);
void agent_expect_ack(struct agent *a, uint64_t seq);

#endif
