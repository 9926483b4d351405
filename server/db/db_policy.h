/* Policies as they were written; what is signed of them is a bundle of the same version. */
#ifndef ENVWARDEN_SERVER_DB_DB_POLICY_H
#define ENVWARDEN_SERVER_DB_DB_POLICY_H

#include <stdint.h>

#include "lib/base/crypto.h"
#include "server/db/db.h"

#define DB_POLICY_SOURCE_MAX (8U << 20) /* bytes */

struct db_policy {
	uint64_t version; /* from 1 on; 0 = there is none */
	const char *source;
	const char *author;
	const char *note;
	int64_t rules;
	int64_t exceptions;
	int64_t created_ms;
};

/* The next version: above every policy stored, and every policy bundle. */
int db_policy_next(struct db_conn *conn, uint64_t *version, struct err *err);
/*
 * Whether the newest root takes these Signed bytes as a policy: ERR_VERIFY (too few signatures),
 * ERR_INVALID. *version (may be NULL) is its version.
 */
int db_policy_verify(struct db_conn *conn, const void *data, size_t n, uint64_t *version,
		     struct err *err);
/* From now on the next version is at least `min`: agents hold newer ones than are stored. */
int db_policy_raise(struct db_conn *conn, uint64_t min, struct err *err);
/* Its version must be the next one; every machine hears of it (DB_OUTBOX_POLICY). */
int db_policy_put(struct db_conn *conn, const struct db_policy *policy, struct err *err);
/* version 0 = the newest. ERR_NOTFOUND. */
int db_policy_get(struct db_conn *conn, uint64_t version, struct arena *arena,
		  struct db_policy *out, struct err *err);
/* The newest first, without their sources (""); continue with {.set = true, .id = version}. */
int db_policy_list(struct db_conn *conn, const struct db_cursor *after, size_t limit,
		   struct arena *arena, struct db_policy **out, size_t *n, struct err *err);

/*
 * A policy that went out to be signed, found again by the hash of its body. A few are kept: those
 * that still could be applied.
 */
int db_policy_draft_put(struct db_conn *conn, const unsigned char body_hash[SHA256_SIZE],
			const struct db_policy *policy, struct err *err);
/* Of `out`, rules and exceptions are not set. ERR_NOTFOUND. */
int db_policy_draft_get(struct db_conn *conn, const unsigned char body_hash[SHA256_SIZE],
			struct arena *arena, struct db_policy *out, struct err *err);

/* How far a version has got: M active machines, of which N act on it or a newer one. */
struct db_delivery {
	int64_t machines;
	int64_t active;
	int64_t refused; /* said that they can't */
};
int db_policy_delivery(struct db_conn *conn, uint64_t version, struct db_delivery *out,
		       struct err *err);

#endif
