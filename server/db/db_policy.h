/* Policies as they were written; what is signed of them is a bundle of the same version. */
#ifndef ENVWARDEN_SERVER_DB_DB_POLICY_H
#define ENVWARDEN_SERVER_DB_DB_POLICY_H

#include <stdint.h>

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
/* Its version must be the next one; every machine hears of it (DB_OUTBOX_POLICY). */
int db_policy_put(struct db_conn *conn, const struct db_policy *policy, struct err *err);
/* version 0 = the newest. ERR_NOTFOUND. */
int db_policy_get(struct db_conn *conn, uint64_t version, struct arena *arena,
		  struct db_policy *out, struct err *err);
/* The newest first, without their sources (""); continue with {.set = true, .id = version}. */
int db_policy_list(struct db_conn *conn, const struct db_cursor *after, size_t limit,
		   struct arena *arena, struct db_policy **out, size_t *n, struct err *err);

/* How far a version has got: M active machines, of which N act on it or a newer one. */
struct db_delivery {
	int64_t machines;
	int64_t active;
	int64_t refused; /* said that they can't */
};
int db_policy_delivery(struct db_conn *conn, uint64_t version, struct db_delivery *out,
		       struct err *err);

#endif
