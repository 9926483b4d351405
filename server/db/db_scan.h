/*
 * The whole fleet's live environments as a policy is asked about them, some at a time, so that a
 * look at all of them never holds up a connection or memory for long.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_SCAN_H
#define ENVWARDEN_SERVER_DB_DB_SCAN_H

#include "lib/policy/facts.h"
#include "server/db/db.h"

struct db_scan; /* where it stands, and packages seen so far (bounded) */

struct db_scan_env {
	struct uuid machine;
	const char *hostname;
	struct policy_facts facts;
	bool has_status;
	struct status_entry status;
	const struct exception *granted;
	size_t n_granted;
	/* The grace its user took, as its machine told last: for the reasons of this case. */
	int64_t deferred_until_ms; /* 0: none holds */
	const char *deferred_case;
};

int db_scan_new(struct db_scan **out, struct err *err);
void db_scan_free(struct db_scan *scan); /* NULL is fine */

/*
 * The next at most `limit` of them (none: the end), in the arena; packages live until the next
 * call. What is known of packages' vulnerabilities is not in it yet.
 */
int db_scan_next(struct db_conn *conn, struct db_scan *scan, int64_t now_ms, size_t limit,
		 struct arena *arena, struct db_scan_env **out, size_t *n, struct err *err);

#endif
