/* Signed bundles as they were made, what machines say they hold of them, and TLS ticket keys. */
#ifndef ENVWARDEN_SERVER_DB_DB_BUNDLE_H
#define ENVWARDEN_SERVER_DB_DB_BUNDLE_H

#include "lib/base/crypto.h"
#include "lib/base/uuid.h"
#include "server/db/db.h"

#define DB_BUNDLE_MAX (64U << 20) /* bytes */
#define DB_TICKET_KEY_SIZE 32

struct db_bundle {
	const char *role; /* "root", "policy", "advisories", "status", "timestamp" */
	uint64_t version;
	struct uuid machine;	   /* zero = for all */
	const unsigned char *data; /* bundle.Signed */
	size_t n;
	int64_t created_ms;
	unsigned char hash[SHA256_SIZE]; /* of the data; set by the store */
};

/*
 * Of root every version is kept; of the others only the newest per machine. ERR_STALE: the version
 * is not above the newest stored (the same bytes again are fine).
 */
int db_bundle_put(struct db_conn *conn, const struct db_bundle *bundle, struct err *err);
/* version 0 = the newest. ERR_NOTFOUND. The data lives in the arena. */
int db_bundle_get(struct db_conn *conn, const char *role, const struct uuid *machine,
		  uint64_t version, struct arena *arena, struct db_bundle *out, struct err *err);
/* The newest one without its data (NULL), which may be large. ERR_NOTFOUND. */
int db_bundle_head(struct db_conn *conn, const char *role, const struct uuid *machine,
		   struct db_bundle *out, struct err *err);
/* Every root version, oldest first. */
int db_bundle_roots(struct db_conn *conn, struct arena *arena, struct db_bundle **out, size_t *n,
		    struct err *err);

/* What a machine reported: the bundle it acts on, or why it refused one. */
struct db_bundle_report {
	struct uuid machine;
	const char *role;
	uint64_t version;
	bool active;
	const char *reason; /* "" when active */
	int64_t at_ms;
};
int db_bundle_report_put(struct db_conn *conn, const struct db_bundle_report *report,
			 struct err *err); /* ERR_NOTFOUND: no such machine */
int db_bundle_report_list(struct db_conn *conn, const struct uuid *machine, struct arena *arena,
			  struct db_bundle_report **out, size_t *n, struct err *err);

/* Session ticket keys shared by all server processes: the two newest count. */
struct db_ticket_key {
	int64_t id;
	unsigned char key[DB_TICKET_KEY_SIZE];
	int64_t created_ms;
};
/* Newest first; *n is 0, 1 or 2. */
int db_ticket_keys(struct db_conn *conn, struct db_ticket_key out[2], size_t *n, struct err *err);
/*
 * Adds `key` when the newest is older than max_age_ms or there is none, and drops all but the two
 * newest; *rotated (may be NULL) says whether. Processes that come late find it done.
 */
int db_ticket_rotate(struct db_conn *conn, const unsigned char key[DB_TICKET_KEY_SIZE],
		     int64_t max_age_ms, int64_t now_ms, bool *rotated, struct err *err);

#endif
