/*
 * Exceptions granted by an admin, beside those a policy brings: for one environment, on every
 * machine that has it, or for all of one machine. They reach the machine in its status bundle.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_EXCEPTION_H
#define ENVWARDEN_SERVER_DB_DB_EXCEPTION_H

#include "lib/base/uuid.h"
#include "lib/policy/policy.h"
#include "server/db/db.h"

struct db_exception {
	int64_t row; /* the place in lists */
	struct uuid id;
	struct uuid environment; /* zero: all of the machine's */
	struct uuid machine;	 /* zero: wherever the environment is */
	const char *rule;	 /* "" = any */
	const char *package;	 /* glob, "" = any */
	const char *owner;	 /* who answers for it, "" unknown */
	const char *ticket;
	const char *reason;
	int64_t expires_ms;
	struct uuid request; /* it answers; zero = none */
	const char *granted_by;
	int64_t granted_ms;
	const char *revoked_by;
	int64_t revoked_ms; /* 0 = not revoked */
	const char *prefix; /* lists only: of the environment, "" for a machine's */
	const char *hostname;
};

/*
 * Stores it as granted and has the machines concerned make their status bundles anew. Exactly one
 * of environment and machine must be given; row, prefix, hostname and revocation are not looked at.
 * ERR_NOTFOUND: no such environment or machine; ERR_INVALID; ERR_LIMIT.
 */
int db_exception_grant(struct db_conn *conn, const struct db_exception *x, int64_t now_ms,
		       struct err *err);
/* ERR_NOTFOUND: no such exception, or revoked already. */
int db_exception_revoke(struct db_conn *conn, const struct uuid *id, const char *by, int64_t now_ms,
			struct err *err);
int db_exception_get(struct db_conn *conn, const struct uuid *id, struct arena *arena,
		     struct db_exception *out, struct err *err); /* ERR_NOTFOUND */

struct db_exception_filter {
	const struct uuid *environment; /* NULL = any */
	const char *rule;		/* NULL or "" = any */
	bool holding;			/* neither revoked nor over */
	int64_t now_ms;
};
/* The newest first; continue with {.set = true, .id = row}. */
int db_exception_list(struct db_conn *conn, const struct db_exception_filter *filter,
		      const struct db_cursor *after, size_t limit, struct arena *arena,
		      struct db_exception **out, size_t *n, struct err *err);

/* What a machine's status bundle carries, by age: those that hold for its live environments. */
int db_exception_of_machine(struct db_conn *conn, const struct uuid *machine, int64_t now_ms,
			    struct arena *arena, struct exception **out, size_t *n,
			    struct err *err);

#endif
