/*
 * The signed state of one machine: its status bundle, kept in the store by version, and a fresh
 * timestamp that names the set. Runs inside a write transaction (one writer thread: the signer
 * wants one user at a time).
 */
#ifndef ENVWARDEN_SERVER_SESSION_STATE_H
#define ENVWARDEN_SERVER_SESSION_STATE_H

#include <stdint.h>

#include "lib/base/arena.h"
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
	uint64_t timestamp_version;
};

/*
 * Makes the machine's status bundle anew if a newer version is wanted, or none is stored, or the
 * machine holds one this store can't have made (it was restored from a backup: the version goes
 * above). What it holds of ours is noted as if it had reported it. Then appends a new signed
 * timestamp to `timestamp`. ERR_NOTFOUND: no such machine.
 */
int state_make(struct db_conn *conn, const struct signer *signer, const struct uuid *machine,
	       const struct state_held *held, int64_t now_ms, struct buf *timestamp,
	       struct err *err);

#endif
