#include "server/db/db_admin.h"

#include "server/db/sql.h"

static const char *const role_names[] = {"viewer", "operator", "admin"};

const char *db_role_name(enum db_role role)
{
	return (size_t)role < ARRAY_SIZE(role_names) ? role_names[role] : "unknown";
}

int db_role_parse(const char *text, enum db_role *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(role_names); i++) {
		if (strcmp(text, role_names[i]) == 0) {
			*out = (enum db_role)i;
			return 0;
		}
	}
	return ERR_INVALID;
}

/* --- people --- */

static int user_read(struct sql_rows *rows, struct arena *arena, struct db_user *out)
{
	out->id = sql_int(rows, 0);
	out->name = sql_text(rows, 1, arena);
	out->password = sql_text(rows, 2, arena);
	out->role = (enum db_role)sql_int(rows, 3);
	out->created_ms = sql_int(rows, 4);
	return out->name && out->password ? 0 : ERR_NOMEM;
}

int db_user_create(struct db_conn *conn, const struct db_user *user, int64_t now_ms,
		   struct err *err)
{
	int rc = sql_check_text("user name", user->name, DB_TEXT_MAX, err);

	if (rc == 0 && *user->name == '\0')
		rc = err_set(err, ERR_INVALID, "user name: empty");
	if (rc == 0)
		rc = sql_check_text("password hash", user->password, DB_TEXT_MAX, err);
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "INSERT INTO admin_user (name, password, role, created_ms)"
			     " VALUES ($1, $2, $3, $4)",
			     ARG_TEXT(user->name), ARG_TEXT(user->password), ARG_INT(user->role),
			     ARG_INT(now_ms));
	return rc;
}

int db_user_get(struct db_conn *conn, const char *name, struct arena *arena, struct db_user *out,
		struct err *err)
{
	struct db_user user = {.id = 0};
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT id, name, password, role, created_ms FROM admin_user"
			  " WHERE name = $1",
			  ARG_TEXT(name));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0)
		rc = user_read(rows, arena, &user) < 0 ? err_nomem(err) : 0;
	else if (rc == 0)
		rc = err_set(err, ERR_NOTFOUND, "no such user");
	sql_close(rows);
	if (rc == 0)
		*out = user;
	return rc;
}

int db_user_list(struct db_conn *conn, struct arena *arena, struct db_user **out, size_t *n,
		 struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = sql_open(conn, &rows, err,
			  "SELECT id, name, password, role, created_ms FROM admin_user"
			  " ORDER BY name",
			  NULL, 0);

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_user *user = sql_list_add(&list);

		if (!user || user_read(rows, arena, user) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_user *)list.items;
	*n = list.n;
	return 0;
}

static int sessions_end(struct db_conn *conn, const char *name, struct err *err)
{
	return SQL_RUN(conn, NULL, err, "DELETE FROM token WHERE kind = $1 AND name = $2",
		       ARG_INT(DB_TOKEN_SESSION), ARG_TEXT(name));
}

int db_user_set_password(struct db_conn *conn, const char *name, const char *password,
			 struct err *err)
{
	int rc = sql_check_text("password hash", password, DB_TEXT_MAX, err);

	if (rc == 0)
		rc = SQL_MUST(conn, "user", err,
			      "UPDATE admin_user SET password = $1 WHERE name = $2",
			      ARG_TEXT(password), ARG_TEXT(name));
	return rc < 0 ? rc : sessions_end(conn, name, err);
}

int db_user_set_role(struct db_conn *conn, const char *name, enum db_role role, struct err *err)
{
	int rc = SQL_MUST(conn, "user", err, "UPDATE admin_user SET role = $1 WHERE name = $2",
			  ARG_INT(role), ARG_TEXT(name));

	return rc < 0 ? rc : sessions_end(conn, name, err);
}

int db_user_delete(struct db_conn *conn, const char *name, struct err *err)
{
	int rc = SQL_MUST(conn, "user", err, "DELETE FROM admin_user WHERE name = $1",
			  ARG_TEXT(name));

	return rc < 0 ? rc : sessions_end(conn, name, err);
}

/* --- bearer secrets --- */

#define TOKEN_COLUMNS "id, kind, name, role, created_by, created_ms, expires_ms, last_used_ms"

static int token_read(struct sql_rows *rows, struct arena *arena, struct db_token *out)
{
	out->id = sql_int(rows, 0);
	out->kind = (enum db_token_kind)sql_int(rows, 1);
	out->name = sql_text(rows, 2, arena);
	out->role = (enum db_role)sql_int(rows, 3);
	out->created_by = sql_text(rows, 4, arena);
	out->created_ms = sql_int(rows, 5);
	out->expires_ms = sql_int(rows, 6);
	out->last_used_ms = sql_int(rows, 7);
	return out->name && out->created_by ? 0 : ERR_NOMEM;
}

static int user_exists(struct db_conn *conn, const char *name, struct err *err)
{
	int64_t id;
	bool found = false;
	int rc = SQL_GET_INT(conn, &id, &found, err, "SELECT id FROM admin_user WHERE name = $1",
			     ARG_TEXT(name));

	return rc == 0 && !found ? err_set(err, ERR_NOTFOUND, "no such user") : rc;
}

int db_token_create(struct db_conn *conn, const unsigned char secret_hash[SHA256_SIZE],
		    const struct db_token *token, int64_t *id, struct err *err)
{
	bool found;
	int rc = sql_check_text("token name", token->name, DB_TEXT_MAX, err);

	if (rc == 0)
		rc = sql_check_text("created by", token->created_by, DB_TEXT_MAX, err);
	if (rc == 0 && token->kind == DB_TOKEN_SESSION)
		rc = user_exists(conn, token->name, err);
	if (rc == 0)
		rc = SQL_GET_INT(conn, id, &found, err,
				 "INSERT INTO token (secret_hash, kind, name, role, created_by,"
				 " created_ms, expires_ms, last_used_ms)"
				 " VALUES ($1, $2, $3, $4, $5, $6, $7, 0) RETURNING id",
				 ARG_BLOB(secret_hash, SHA256_SIZE), ARG_INT(token->kind),
				 ARG_TEXT(token->name), ARG_INT(token->role),
				 ARG_TEXT(token->created_by), ARG_INT(token->created_ms),
				 ARG_INT(token->expires_ms));
	return rc;
}

int db_token_find(struct db_conn *conn, const unsigned char secret_hash[SHA256_SIZE],
		  int64_t now_ms, struct arena *arena, struct db_token *out, struct err *err)
{
	struct db_token token = {.id = 0};
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " TOKEN_COLUMNS " FROM token WHERE secret_hash = $1",
			  ARG_BLOB(secret_hash, SHA256_SIZE));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0)
		rc = token_read(rows, arena, &token) < 0 ? err_nomem(err) : 0;
	else if (rc == 0)
		rc = err_set(err, ERR_NOTFOUND, "no such token");
	sql_close(rows);
	if (rc == 0 && token.expires_ms && token.expires_ms <= now_ms)
		rc = err_set(err, ERR_EXPIRED, "the token has expired");
	if (rc == 0)
		*out = token;
	return rc;
}

int db_token_used(struct db_conn *conn, int64_t id, int64_t now_ms, struct err *err)
{
	return SQL_MUST(conn, "token", err, "UPDATE token SET last_used_ms = $1 WHERE id = $2",
			ARG_INT(now_ms), ARG_INT(id));
}

int db_token_revoke(struct db_conn *conn, int64_t id, struct err *err)
{
	return SQL_MUST(conn, "token", err, "DELETE FROM token WHERE id = $1", ARG_INT(id));
}

int db_token_list(struct db_conn *conn, struct arena *arena, struct db_token **out, size_t *n,
		  struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " TOKEN_COLUMNS " FROM token WHERE kind = $1 ORDER BY id DESC",
			  ARG_INT(DB_TOKEN_API));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_token *token = sql_list_add(&list);

		if (!token || token_read(rows, arena, token) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_token *)list.items;
	*n = list.n;
	return 0;
}

int db_token_sweep(struct db_conn *conn, int64_t now_ms, struct err *err)
{
	return SQL_RUN(conn, NULL, err,
		       "DELETE FROM token WHERE expires_ms <> 0 AND expires_ms <= $1",
		       ARG_INT(now_ms));
}
