/* The organisation this server works for, and the join codes that enrol machines into it. */
#ifndef ENVWARDEN_SERVER_DB_DB_ORG_H
#define ENVWARDEN_SERVER_DB_DB_ORG_H

#include "lib/base/crypto.h"
#include "lib/base/uuid.h"
#include "server/db/db.h"

struct db_org {
	struct uuid id;
	const char *name;
	bool logging;		     /* off until an admin turns it on */
	const char *contact;	     /* shown in every refusal */
	const char *when_agent_down; /* "last_decision" | "allow" | "block" */
	int64_t created_ms;
};

/* Once in a store's life, by `init`: ERR_EXISTS. */
int db_org_create(struct db_conn *conn, const struct db_org *org, struct err *err);
/* ERR_NOTFOUND before db_org_create. */
int db_org_get(struct db_conn *conn, struct arena *arena, struct db_org *out, struct err *err);
/*
 * Replaces all but id and created_ms. Every machine's status bundle changes with it (their
 * status_version goes up) and the outbox says DB_OUTBOX_ORG. ERR_INVALID: unknown
 * when_agent_down.
 */
int db_org_set(struct db_conn *conn, const struct db_org *org, int64_t now_ms, struct err *err);

/*
 * A join code as the store knows it; its secret is kept as SHA-256 only. `uses_left` counts down;
 * at 0, when expired or when voided it enrols nobody.
 */
struct db_join_code {
	int64_t id;
	const char *title;
	struct db_labels labels; /* given to machines that join by it */
	int64_t uses;
	int64_t uses_left;
	int64_t expires_ms; /* 0 = no end */
	int64_t voided_ms;  /* 0 = not voided */
	bool ephemeral;	    /* machines get short certificates and vanish by themselves */
	const char *created_by;
	int64_t created_ms;
};

/* Stores it under the hash of the secret; id, uses_left and voided_ms are set here. ERR_EXISTS. */
int db_join_create(struct db_conn *conn, const unsigned char secret_hash[SHA256_SIZE],
		   const struct db_join_code *code, int64_t *id, struct err *err);
/*
 * Takes one use, atomically. ERR_PERM: no such code, used up or voided; ERR_EXPIRED.
 */
int db_join_consume(struct db_conn *conn, const unsigned char secret_hash[SHA256_SIZE],
		    int64_t now_ms, struct arena *arena, struct db_join_code *out, struct err *err);
int db_join_void(struct db_conn *conn, int64_t id, int64_t now_ms,
		 struct err *err); /* ERR_NOTFOUND */
/* Newest first. */
int db_join_list(struct db_conn *conn, const struct db_cursor *after, size_t limit,
		 struct arena *arena, struct db_join_code **out, size_t *n, struct err *err);

#endif
