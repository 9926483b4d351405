/*
 * What accounts used although it was blocked, as agents tell it: one row for an account, an
 * environment, a decision and the time of the first use, told anew with all it has counted.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_RAN_H
#define ENVWARDEN_SERVER_DB_DB_RAN_H

#include "lib/base/uuid.h"
#include "server/db/db.h"

#define DB_RAN_EACH_MAX 16	/* rows of one account in one environment; older ones make room */
#define DB_RAN_MACHINE_MAX 5000 /* ... of one machine; those of the same account make room */
#define DB_RAN_REASONS_MAX 16	/* of a row; what is more is left out */

struct db_ran {
	int64_t row; /* the place in lists */
	struct uuid machine;
	struct uuid environment;
	int64_t uid;
	const char *user; /* "" unknown */
	const char *case_code;
	const char *const *reasons; /* "status", "rule old-openssl" */
	size_t n_reasons;
	int64_t first_ms; /* by the agent's clock; read: never to come, like the next */
	int64_t last_ms;
	int64_t programs; /* seen running */
	int64_t shells;	  /* found active by the gate */
	int64_t repairs;  /* by the look of it part of a change; in none of the others */
	int64_t received_ms;
	const char *hostname; /* read only */
	const char *prefix;   /* read only: "" while the journal has not told it */
};

/*
 * Takes what an agent tells, as often as it likes: numbers and times only grow. Texts are made
 * harmless. ERR_NOTFOUND: no such machine; ERR_INVALID: times that can't be; ERR_LIMIT: there is no
 * room, and no row of this account's to make some.
 */
int db_ran_put(struct db_conn *conn, const struct db_ran *ran, struct err *err);

struct db_ran_filter {
	const struct uuid *environment; /* NULL = any */
	const struct uuid *machine;	/* NULL = any */
	const char *hostname;		/* of the machine, whole; NULL or "" = any */
	const char *rule;		/* that blocked it; NULL or "" = any, statuses too */
	const char *user;		/* the account that ran it, by name; NULL or "" = any */
	int64_t since_ms;		/* used then or later; 0 = any */
};
/* Those that began last first; continue with {.set = true, .id = row}. */
int db_ran_list(struct db_conn *conn, const struct db_ran_filter *filter,
		const struct db_cursor *after, size_t limit, struct arena *arena,
		struct db_ran **out, size_t *n, struct err *err);

#endif
