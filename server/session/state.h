/*
 * The signed state of one machine: its status bundle, kept in the store by version, and a fresh
 * timestamp that names the set (root, status, policy). Made in three steps, since a signature takes
 * longer than what the one writer of the store has to do for it:
 *
 *   state_prepare   in a write transaction: what is wanted, and the timestamp's version
 *   state_sign      on any thread, without the store
 *   state_store     in a write transaction, if a status bundle was made (state_made); it may find
 *                   that another session of the machine was quicker (ERR_STALE): begin again
 *
 * The timestamp may be sent only when what it names is stored.
 */
#ifndef ENVWARDEN_SERVER_SESSION_STATE_H
#define ENVWARDEN_SERVER_SESSION_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "server/db/db.h"
#include "server/pki/signer.h"

#define STATE_MEMORY (256U << 20)

/* What the machine says it holds; zeroed = nothing is known. */
struct state_held {
	uint64_t status_version;
	unsigned char status_hash[SHA256_SIZE];
	uint64_t policy_version;
	unsigned char policy_hash[SHA256_SIZE];
	uint64_t timestamp_version;
};

struct state;

/*
 * A status bundle is to be made if a newer version is wanted, or none is stored, or the machine
 * holds one this store can't have made (it was restored from a backup: the version goes above).
 * What the machine holds of ours is noted as if it had reported it. ERR_NOTFOUND: no such machine.
 */
int state_prepare(struct db_conn *conn, const struct uuid *machine, const struct state_held *held,
		  int64_t now_ms, struct state **out, struct err *err);
/* The timestamp is valid for so long: SIGNER_TIMESTAMP_MS, but in air-gap files. */
int state_sign(struct state *state, const struct signer *signer, int64_t valid_ms, struct err *err);
bool state_made(const struct state *state); /* a status bundle */
int state_store(struct db_conn *conn, const struct state *state, struct err *err);
/* The signed timestamp; lives as long as the state. */
const struct buf *state_timestamp(const struct state *state);
void state_free(struct state *state); /* NULL is fine */

#endif
