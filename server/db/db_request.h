/* Members' requests for exceptions, and what became of them. */
#ifndef ENVWARDEN_SERVER_DB_DB_REQUEST_H
#define ENVWARDEN_SERVER_DB_DB_REQUEST_H

#include "lib/base/uuid.h"
#include "server/db/db.h"

#define DB_REQUESTS_OPEN_MAX 200		    /* of one machine */
#define DB_REQUEST_TOLD_MS (INT64_C(30) * 86400000) /* how long machines are told an answer */

/* Values are stored and travel on the wire: append only. */
enum db_request_state {
	DB_REQUEST_OPEN = 1,
	DB_REQUEST_APPROVED,
	DB_REQUEST_DENIED,
};
const char *db_request_state_name(enum db_request_state state); /* "open" "approved" "denied" */
int db_request_state_parse(const char *text, enum db_request_state *out); /* ERR_INVALID */

struct db_request {
	int64_t row; /* the place in lists */
	struct uuid id;
	struct uuid machine;
	struct uuid environment;
	const char *user;
	const char *reason;
	const char *case_code;
	int64_t made_ms;     /* by the agent's time */
	int64_t received_ms; /* or asked about again, when its answer was told no more */
	enum db_request_state state;
	const char *answer; /* the admin's words */
	const char *answered_by;
	int64_t answered_ms;
	struct uuid exception; /* read only: that it was answered with; zero = none */
	int64_t until_ms;      /* read only: when that ends, or was revoked */
	const char *hostname;  /* lists only */
	const char *prefix;    /* lists only: "" when the environment is not known (yet) */
};

/*
 * What an agent sends, as often as it likes: what is stored of a known one stays. Its state is open
 * and the answer empty. A new one makes the machine's status bundle tell of it, and so does one
 * that was answered more than DB_REQUEST_TOLD_MS ago: a machine that was away learns what it has
 * missed. ERR_NOTFOUND: no such machine; ERR_LIMIT: the machine has DB_REQUESTS_OPEN_MAX open ones.
 */
int db_request_put(struct db_conn *conn, const struct db_request *request, bool *created,
		   struct err *err);
/* ERR_NOTFOUND; ERR_CONFLICT: two machines made the same id. */
int db_request_get(struct db_conn *conn, const struct uuid *id, struct arena *arena,
		   struct db_request *out, struct err *err);
/* Approves or denies it; the machine hears. ERR_CONFLICT: answered before. */
int db_request_answer(struct db_conn *conn, const struct uuid *id, enum db_request_state state,
		      const char *answer, const char *by, int64_t now_ms, struct err *err);

struct db_request_filter {
	bool has_state;
	enum db_request_state state;
	const struct uuid *environment; /* NULL = any */
	const char *case_code;		/* NULL or "" = any */
};
/* The newest first; continue with {.set = true, .id = row}. */
int db_request_list(struct db_conn *conn, const struct db_request_filter *filter,
		    const struct db_cursor *after, size_t limit, struct arena *arena,
		    struct db_request **out, size_t *n, struct err *err);

/* What a machine's status bundle tells: those open, and those answered lately. */
int db_request_of_machine(struct db_conn *conn, const struct uuid *machine, int64_t now_ms,
			  struct arena *arena, struct db_request **out, size_t *n, struct err *err);

#endif
