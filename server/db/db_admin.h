/* Who may use the admin API, and what they did. */
#ifndef ENVWARDEN_SERVER_DB_DB_ADMIN_H
#define ENVWARDEN_SERVER_DB_DB_ADMIN_H

#include "lib/base/crypto.h"
#include "server/db/db.h"

/* Each may what those before it may. Values are stored: append only. */
enum db_role {
	DB_ROLE_VIEWER,
	DB_ROLE_OPERATOR,
	DB_ROLE_ADMIN
};

const char *db_role_name(enum db_role role);		/* "viewer" "operator" "admin" */
int db_role_parse(const char *text, enum db_role *out); /* ERR_INVALID */

/* --- people --- */
struct db_user {
	int64_t id;
	const char *name;
	const char *password; /* argon2id string (server/pki/password.h) */
	enum db_role role;
	int64_t created_ms;
};
int db_user_create(struct db_conn *conn, const struct db_user *user, int64_t now_ms,
		   struct err *err); /* ERR_EXISTS; ERR_INVALID: empty name */
int db_user_get(struct db_conn *conn, const char *name, struct arena *arena, struct db_user *out,
		struct err *err); /* ERR_NOTFOUND */
int db_user_list(struct db_conn *conn, struct arena *arena, struct db_user **out, size_t *n,
		 struct err *err); /* by name */
int db_user_set_password(struct db_conn *conn, const char *name, const char *password,
			 struct err *err); /* ERR_NOTFOUND; ends the user's sessions */
int db_user_set_role(struct db_conn *conn, const char *name, enum db_role role,
		     struct err *err); /* ERR_NOTFOUND; ends the user's sessions */
int db_user_delete(struct db_conn *conn, const char *name, struct err *err); /* ERR_NOTFOUND */

/*
 * --- bearer secrets: API tokens, and the sessions of people logged in to the UI ---
 * The caller makes the secret (32 random bytes), shows it once and gives its SHA-256 here.
 */
enum db_token_kind {
	DB_TOKEN_API,
	DB_TOKEN_SESSION
};

struct db_token {
	int64_t id;
	enum db_token_kind kind;
	const char *name; /* API: what it is for; session: the user's name */
	enum db_role role;
	const char *created_by;
	int64_t created_ms;
	int64_t expires_ms;   /* 0 = no end */
	int64_t last_used_ms; /* 0 = never */
};
/* id and last_used_ms are set here. A session's user must exist (ERR_NOTFOUND). */
int db_token_create(struct db_conn *conn, const unsigned char secret_hash[SHA256_SIZE],
		    const struct db_token *token, int64_t *id, struct err *err);
/* ERR_NOTFOUND: unknown or revoked; ERR_EXPIRED. Reads only; see db_token_used. */
int db_token_find(struct db_conn *conn, const unsigned char secret_hash[SHA256_SIZE],
		  int64_t now_ms, struct arena *arena, struct db_token *out, struct err *err);
int db_token_used(struct db_conn *conn, int64_t id, int64_t now_ms, struct err *err);
int db_token_revoke(struct db_conn *conn, int64_t id, struct err *err); /* ERR_NOTFOUND */
/* API tokens, newest first. */
int db_token_list(struct db_conn *conn, struct arena *arena, struct db_token **out, size_t *n,
		  struct err *err);
/* Removes sessions and tokens whose end is past. */
int db_token_sweep(struct db_conn *conn, int64_t now_ms, struct err *err);

/* --- audit log: append-only; nothing here changes or removes a line --- */
struct db_audit {
	int64_t id;
	int64_t at_ms;
	const char *who;    /* user, "token:NAME", "machine:ID", "system" */
	const char *what;   /* "status.set", "login.failed", ... */
	const char *target; /* what it was done to; "" none */
	const char *detail; /* free text or JSON, at most DB_AUDIT_DETAIL_MAX bytes (ERR_LIMIT) */
};
#define DB_AUDIT_DETAIL_MAX 16384

int db_audit_append(struct db_conn *conn, const struct db_audit *entry, struct err *err);

struct db_audit_filter {
	const char *who;    /* exact; NULL or "" = any */
	const char *what;   /* a beginning ("status."); NULL or "" = any */
	const char *target; /* exact; NULL or "" = any */
};
/* Newest first; continue with {.set = true, .id = last row's id}. */
int db_audit_list(struct db_conn *conn, const struct db_audit_filter *filter,
		  const struct db_cursor *after, size_t limit, struct arena *arena,
		  struct db_audit **out, size_t *n, struct err *err);

#endif
