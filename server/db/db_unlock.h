/*
 * Unlock codes (lib/policy/unlock.h): the key of each machine, and what was issued with it. The
 * code itself is never stored; it can be made again from what is.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_UNLOCK_H
#define ENVWARDEN_SERVER_DB_DB_UNLOCK_H

#include "lib/policy/unlock.h"
#include "server/db/db.h"

struct db_unlock {
	struct uuid machine;
	struct uuid environment;
	uint32_t serial;
	int64_t expires_ms;
	bool lifts_status;
	const char *reason;
	const char *issued_by;
	int64_t issued_ms;
	const char *revoked_by;
	int64_t revoked_ms; /* 0 = not revoked */
	int64_t used_ms;    /* when the server first heard that it was used; 0 = it has not */
};

/*
 * The machine's key, made now if it has none. Every status bundle brings it. ERR_NOTFOUND: no such
 * machine.
 */
int db_unlock_key(struct db_conn *conn, const struct uuid *machine,
		  unsigned char key[UNLOCK_KEY_SIZE], struct err *err);

/*
 * Stores it under the machine's next serial, which is set in *unlock. The machine's status bundle
 * is made anew if it may be from a time without keys.
 */
int db_unlock_issue(struct db_conn *conn, struct db_unlock *unlock,
		    unsigned char key[UNLOCK_KEY_SIZE], struct err *err);
/* Of an environment, all that could still be used; *n (may be NULL) is how many there were. */
int db_unlock_revoke(struct db_conn *conn, const struct uuid *environment, const char *by,
		     int64_t now_ms, int64_t *n, struct err *err);
/*
 * The machine says that it was used. *first (may be NULL): nobody had said so before, and it was
 * issued for that environment of that machine.
 */
int db_unlock_used(struct db_conn *conn, const struct db_unlock *unlock, bool *first,
		   struct err *err);
/* What the status bundle says: serials revoked before they expired, 4 bytes each, big-endian. */
int db_unlock_revoked(struct db_conn *conn, const struct uuid *machine, int64_t now_ms,
		      struct arena *arena, const unsigned char **out, size_t *bytes,
		      struct err *err);
/* Of an environment, the newest first. */
int db_unlock_list(struct db_conn *conn, const struct uuid *environment, size_t limit,
		   struct arena *arena, struct db_unlock **out, size_t *n, struct err *err);

#endif
