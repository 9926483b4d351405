/* A store that was restored from a backup: what it knows is not what was last. */
#ifndef ENVWARDEN_SERVER_DB_DB_RESTORE_H
#define ENVWARDEN_SERVER_DB_DB_RESTORE_H

#include <stdint.h>

#include "server/db/db.h"

/* Versions of statuses and timestamps go up by so much: above whatever was made since the backup,
 * also on machines that can't say what they hold. */
#define DB_RESTORE_STEP 1000000

struct db_restored {
	int64_t epoch;		 /* of the server: 1 + how often it was restored */
	int64_t unknown_from_ms; /* the newest thing the store knows of */
	int64_t machines;
	int64_t join_codes; /* voided */
	int64_t tokens;	    /* ended */
};

/*
 * In a transaction. Takes each machine's next Hello whatever token it brings (once); raises the
 * versions of their statuses and timestamps; voids what may have been voided since: join codes,
 * unlock codes, API tokens, session tickets. Stands in the audit log.
 */
int db_restore(struct db_conn *conn, int64_t now_ms, struct db_restored *out, struct err *err);

/* 1 + how often this store was restored. */
int db_restore_epoch(struct db_conn *conn, int64_t *epoch, struct err *err);

#endif
