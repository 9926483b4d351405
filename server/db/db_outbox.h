/*
 * What other parts and other server processes must hear of: rows numbered in commit order. The
 * numbers are given as the last act of the transaction, under the lock of one row, so a reader that
 * has seen seq n never misses a smaller one.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_OUTBOX_H
#define ENVWARDEN_SERVER_DB_DB_OUTBOX_H

#include "lib/base/uuid.h"
#include "server/db/db.h"

/* Values are stored: append only. */
enum db_outbox_kind {
	DB_OUTBOX_STATUS = 1, /* a machine's status bundle has a new version */
	DB_OUTBOX_ORG,	   /* the organisation's settings changed: every machine's bundle has one */
	DB_OUTBOX_MACHINE, /* a machine's state changed (revoked, retired, active again) */
	DB_OUTBOX_CHANGES, /* new changes of a machine were stored */
	DB_OUTBOX_POLICY,  /* there is a new policy, for every machine */
};

struct db_outbox {
	uint64_t seq;
	enum db_outbox_kind kind;
	struct uuid machine; /* zero = all */
	int64_t at_ms;
};

/* Joins the open transaction, in which close repetitions are told once. machine NULL = all. */
int db_outbox_add(struct db_conn *conn, enum db_outbox_kind kind, const struct uuid *machine,
		  int64_t now_ms, struct err *err);
/* Rows after a seq, in order. */
int db_outbox_poll(struct db_conn *conn, uint64_t after, size_t limit, struct arena *arena,
		   struct db_outbox **out, size_t *n, struct err *err);
int db_outbox_head(struct db_conn *conn, uint64_t *seq, struct err *err);
/* Forgets rows older than a time; pollers are never that far behind. */
int db_outbox_prune(struct db_conn *conn, int64_t before_ms, struct err *err);

#endif
