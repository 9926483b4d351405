/* What follows from a stored change, in the same transaction. For db_journal.c. */
#ifndef ENVWARDEN_SERVER_DB_DB_APPLY_H
#define ENVWARDEN_SERVER_DB_DB_APPLY_H

#include "lib/conda/change.h"
#include "server/db/db.h"

struct apply_machine {
	int64_t row;
	struct uuid id;
};

/* A change's packages as rows of the dictionary. */
struct apply_package {
	int64_t id;
	bool requested;
};
struct apply_packages {
	const struct apply_package *added;
	size_t n_added;
	const struct apply_package *removed;
	size_t n_removed;
};

/* The row of the change's environment, made if it is new here; package links and counts are not
 * touched yet. */
int env_apply_row(struct db_conn *conn, const struct apply_machine *machine,
		  const struct change *change, int64_t now_ms, int64_t *env, struct err *err);
/* What the environment is after the change. */
int env_apply(struct db_conn *conn, int64_t env, const struct change *change,
	      const struct apply_packages *packages, int64_t now_ms, struct err *err);

/*
 * A new environment that is a clone, by its history or by the digest of a blocked one on the same
 * machine, starts with its source's explicit status.
 */
int status_inherit(struct db_conn *conn, const struct apply_machine *machine, int64_t env,
		   const struct change *change, int64_t now_ms, struct err *err);

/* --- db_status.c --- */

/* A machine's status bundle is to be made anew, and it hears of it. */
int machine_bump(struct db_conn *conn, const struct uuid *machine, int64_t now_ms, struct err *err);
/* The same for every machine that has the environment. ERR_NOTFOUND: none has. */
int machine_bump_all(struct db_conn *conn, const struct uuid *environment, int64_t now_ms,
		     struct err *err);

/* The specs of a row (env_status.fixed_specs). ERR_NOMEM. */
int status_specs_split(const char *text, struct arena *arena, const char *const **out, size_t *n);

/* --- db_decision.c --- */

/* Nothing is decided about an environment that is gone; the evidence stays. */
int decision_end(struct db_conn *conn, int64_t machine, const struct uuid *environment,
		 int64_t now_ms, struct err *err);

#endif
