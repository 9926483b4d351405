#include "server/db/db_org.h"

#include <inttypes.h>

#include "proto/join_code.h"
#include "proto/limits.h"
#include "server/db/db_outbox.h"
#include "server/db/sql.h"

static int org_check(const struct db_org *org, struct err *err)
{
	static const char *const modes[] = {"last_decision", "allow", "block"};
	int rc = sql_check_text("name", org->name, JOIN_CODE_NAME_MAX, err);

	if (rc == 0)
		rc = sql_check_text("contact", org->contact, LIMIT_CONTACT, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (org->when_agent_down && strcmp(org->when_agent_down, modes[i]) == 0)
			return 0;
	}
	return err_set(err, ERR_INVALID, "when_agent_down: wants last_decision, allow or block");
}

int db_org_create(struct db_conn *conn, const struct db_org *org, struct err *err)
{
	int rc = org_check(org, err);

	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "INSERT INTO organisation"
			     " (one, id, name, logging, contact, when_agent_down, created_ms)"
			     " VALUES (1, $1, $2, $3, $4, $5, $6)",
			     ARG_UUID(&org->id), ARG_TEXT(org->name), ARG_INT(org->logging),
			     ARG_TEXT(org->contact), ARG_TEXT(org->when_agent_down),
			     ARG_INT(org->created_ms));
	return rc;
}

int db_org_get(struct db_conn *conn, struct arena *arena, struct db_org *out, struct err *err)
{
	struct db_org org = {.logging = false};
	struct sql_rows *rows = NULL;
	int rc = sql_open(conn, &rows, err,
			  "SELECT id, name, logging, contact, when_agent_down, created_ms"
			  " FROM organisation",
			  NULL, 0);

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0) {
		sql_uuid(rows, 0, &org.id);
		org.name = sql_text(rows, 1, arena);
		org.logging = sql_bool(rows, 2);
		org.contact = sql_text(rows, 3, arena);
		org.when_agent_down = sql_text(rows, 4, arena);
		org.created_ms = sql_int(rows, 5);
		rc = org.name && org.contact && org.when_agent_down ? 0 : err_nomem(err);
	} else if (rc == 0) {
		rc = err_set(err, ERR_NOTFOUND, "the store has no organisation yet");
	}
	sql_close(rows);
	if (rc == 0)
		*out = org;
	return rc;
}

int db_org_set(struct db_conn *conn, const struct db_org *org, int64_t now_ms, struct err *err)
{
	int rc = org_check(org, err);

	if (rc == 0)
		rc = SQL_MUST(conn, "organisation", err,
			      "UPDATE organisation"
			      " SET name = $1, logging = $2, contact = $3, when_agent_down = $4",
			      ARG_TEXT(org->name), ARG_INT(org->logging), ARG_TEXT(org->contact),
			      ARG_TEXT(org->when_agent_down));
	/* Also of machines that are not active: they may become so again. */
	if (rc == 0)
		rc = sql_run(conn, NULL, err,
			     "UPDATE machine SET status_version = status_version + 1", NULL, 0);
	if (rc == 0)
		rc = db_outbox_add(conn, DB_OUTBOX_ORG, NULL, now_ms, err);
	return rc;
}

/* --- join codes --- */

#define JOIN_COLUMNS                                                                               \
	"id, title, labels, uses, uses_left, expires_ms, voided_ms, ephemeral, created_by, "       \
	"created_ms"

static int join_read(struct sql_rows *rows, struct arena *arena, struct db_join_code *out)
{
	const char *labels = sql_text(rows, 2, arena);

	out->id = sql_int(rows, 0);
	out->title = sql_text(rows, 1, arena);
	out->uses = sql_int(rows, 3);
	out->uses_left = sql_int(rows, 4);
	out->expires_ms = sql_int(rows, 5);
	out->voided_ms = sql_int(rows, 6);
	out->ephemeral = sql_bool(rows, 7);
	out->created_by = sql_text(rows, 8, arena);
	out->created_ms = sql_int(rows, 9);
	if (!labels || !out->title || !out->created_by)
		return ERR_NOMEM;
	return sql_labels_split(labels, arena, &out->labels);
}

int db_join_create(struct db_conn *conn, const unsigned char secret_hash[SHA256_SIZE],
		   const struct db_join_code *code, int64_t *id, struct err *err)
{
	struct arena arena;
	const char *labels;
	bool found = false;
	int rc;

	arena_init(&arena, 65536);
	rc = sql_labels_join(&code->labels, &arena, &labels, err);
	if (rc == 0)
		rc = sql_check_text("title", code->title, DB_TEXT_MAX, err);
	if (rc == 0 && code->uses < 1)
		rc = err_set(err, ERR_INVALID, "uses: wants at least 1");
	if (rc == 0)
		rc = SQL_GET_INT(conn, id, &found, err,
				 "INSERT INTO join_code (secret_hash, title, labels, uses,"
				 " uses_left, expires_ms, voided_ms, ephemeral, created_by,"
				 " created_ms)"
				 " VALUES ($1, $2, $3, $4, $4, $5, 0, $6, $7, $8) RETURNING id",
				 ARG_BLOB(secret_hash, SHA256_SIZE), ARG_TEXT(code->title),
				 ARG_TEXT(labels), ARG_INT(code->uses), ARG_INT(code->expires_ms),
				 ARG_INT(code->ephemeral), ARG_TEXT(code->created_by),
				 ARG_INT(code->created_ms));
	arena_deinit(&arena);
	return rc;
}

int db_join_consume(struct db_conn *conn, const unsigned char secret_hash[SHA256_SIZE],
		    int64_t now_ms, struct arena *arena, struct db_join_code *out, struct err *err)
{
	struct db_join_code code = {.id = 0};
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " JOIN_COLUMNS " FROM join_code WHERE secret_hash = $1",
			  ARG_BLOB(secret_hash, SHA256_SIZE));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0)
		rc = join_read(rows, arena, &code) < 0 ? err_nomem(err) : 1;
	sql_close(rows);
	if (rc < 0)
		return rc;
	if (rc > 0 && code.expires_ms && code.expires_ms <= now_ms)
		return err_set(err, ERR_EXPIRED, "the join code has expired");
	if (rc == 0 || code.voided_ms || code.uses_left < 1)
		return err_set(err, ERR_PERM, "the join code is unknown, used up or void");
	/* Asked again, because another process may have taken the last use meanwhile. */
	rc = SQL_MUST(conn, "join code", err,
		      "UPDATE join_code SET uses_left = uses_left - 1"
		      " WHERE id = $1 AND uses_left > 0 AND voided_ms = 0",
		      ARG_INT(code.id));
	if (rc == ERR_NOTFOUND)
		return err_set(err, ERR_PERM, "the join code is used up");
	if (rc == 0) {
		code.uses_left--;
		*out = code;
	}
	return rc;
}

int db_join_void(struct db_conn *conn, int64_t id, int64_t now_ms, struct err *err)
{
	return SQL_MUST(conn, "join code", err,
			"UPDATE join_code SET voided_ms = CASE voided_ms WHEN 0 THEN $1"
			" ELSE voided_ms END WHERE id = $2",
			ARG_INT(now_ms), ARG_INT(id));
}

int db_join_list(struct db_conn *conn, const struct db_cursor *after, size_t limit,
		 struct arena *arena, struct db_join_code **out, size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " JOIN_COLUMNS " FROM join_code WHERE id < $1"
			  " ORDER BY id DESC LIMIT $2",
			  ARG_INT(after && after->set ? after->id : INT64_MAX),
			  ARG_INT(sql_limit(limit)));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_join_code *code = sql_list_add(&list);

		if (!code || join_read(rows, arena, code) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_join_code *)list.items;
	*n = list.n;
	return 0;
}
