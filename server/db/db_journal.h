/*
 * The machines' journals as they were acknowledged. A change is identified by (machine, epoch,
 * seq); appending it again is harmless. Environments follow from changes, in the same transaction.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_JOURNAL_H
#define ENVWARDEN_SERVER_DB_DB_JOURNAL_H

#include "lib/conda/change.h"
#include "server/db/db.h"
#include "server/db/db_package.h"

struct db_append {
	struct uuid machine;
	struct uuid epoch;
	unsigned char previous_hash[SHA256_SIZE]; /* chain value before the first change */
	/* Consecutive seqs, or ranges of them (folds), packages spelled out
	 * (journal_change_from_wire with a db_dictionary).
	 */
	const struct change *changes;
	const unsigned char (*hashes)[SHA256_SIZE]; /* the chain value after each */
	size_t n;
};

/*
 * Verifies the chain and stores what is new; *acked is then the newest seq of the epoch. On failure
 * nothing of the batch may stay (roll back to the savepoint):
 *   ERR_CONFLICT   another hash is known at one of these seqs or just before them: the journal must
 *                  go on under a new epoch
 *   ERR_STALE      the batch begins beyond the head + 1: this store lacks what lies between
 *   ERR_VERIFY     a hash is not that of its change
 *   ERR_NOTFOUND   no such machine
 *   ERR_INVALID    seqs not consecutive, unknown kind, no environment id, another epoch in a change
 *   ERR_LIMIT      a field over its limit (lib/conda)
 */
int db_journal_append(struct db_conn *conn, const struct db_append *batch, int64_t now_ms,
		      uint64_t *acked, struct err *err);

/*
 * The newest seq of a machine's epoch and its hash; 0 and zeroes for an epoch not known yet.
 */
int db_journal_head(struct db_conn *conn, const struct uuid *machine, const struct uuid *epoch,
		    uint64_t *head, unsigned char hash[SHA256_SIZE], struct err *err);
/* The hash stored at a seq; seq 0 gives zeroes. ERR_NOTFOUND. */
int db_journal_hash_at(struct db_conn *conn, const struct uuid *machine, const struct uuid *epoch,
		       uint64_t seq, unsigned char hash[SHA256_SIZE], struct err *err);

/* A change as stored, packages spelled out. */
struct db_change {
	int64_t id; /* order of arrival over the fleet */
	struct uuid machine;
	const char *hostname;
	struct change change; /* the package arrays live in the arena too: no change_deinit */
	int64_t received_ms;
	unsigned char hash[SHA256_SIZE];
};
struct db_history_filter {
	const struct uuid *environment; /* NULL = any */
	const struct uuid *machine;	/* NULL = any */
	int64_t since_ms;		/* by the time in the change; 0 = any */
	int64_t until_ms;		/* 0 = any */
};
/* Newest arrival first; continue with {.set = true, .id = last row's id}. */
int db_history(struct db_conn *conn, const struct db_history_filter *filter,
	       const struct db_cursor *after, size_t limit, struct arena *arena,
	       struct db_change **out, size_t *n, struct err *err);

#endif
