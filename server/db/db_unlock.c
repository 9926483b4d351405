#include "server/db/db_unlock.h"

#include "lib/base/crypto.h"
#include "proto/limits.h"
#include "server/db/db_apply.h"
#include "server/db/sql.h"

static int key_get(struct db_conn *conn, const struct uuid *machine,
		   unsigned char key[UNLOCK_KEY_SIZE], bool *found, struct err *err)
{
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err, "SELECT unlock_key FROM machine WHERE uuid = $1",
			  ARG_UUID(machine));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0) {
		*found = sql_fixed(rows, 0, key, UNLOCK_KEY_SIZE);
		rc = 0;
	} else if (rc == 0) {
		rc = err_set(err, ERR_NOTFOUND, "no such machine");
	}
	sql_close(rows);
	return rc;
}

static int key_make(struct db_conn *conn, const struct uuid *machine,
		    unsigned char key[UNLOCK_KEY_SIZE], bool *made, struct err *err)
{
	bool found = false;
	int rc = key_get(conn, machine, key, &found, err);

	*made = !found;
	if (rc < 0 || found)
		return rc;
	crypto_random(key, UNLOCK_KEY_SIZE);
	return SQL_RUN(conn, NULL, err, "UPDATE machine SET unlock_key = $1 WHERE uuid = $2",
		       ARG_BLOB(key, UNLOCK_KEY_SIZE), ARG_UUID(machine));
}

int db_unlock_key(struct db_conn *conn, const struct uuid *machine,
		  unsigned char key[UNLOCK_KEY_SIZE], struct err *err)
{
	bool made;

	return key_make(conn, machine, key, &made, err);
}

int db_unlock_issue(struct db_conn *conn, struct db_unlock *u, unsigned char key[UNLOCK_KEY_SIZE],
		    struct err *err)
{
	int64_t serial = 0;
	bool found = false, made = false;
	int rc = sql_check_text("reason", u->reason, LIMIT_TEXT, err);

	if (rc == 0)
		rc = sql_check_text("issued by", u->issued_by, DB_TEXT_MAX, err);
	if (rc == 0)
		rc = SQL_GET_INT(conn, &serial, &found, err,
				 "INSERT INTO unlock_code (machine_id, serial, environment,"
				 " expires_ms, lifts_status, reason, issued_by, issued_ms,"
				 " revoked_by, revoked_ms)"
				 " SELECT id, 1 + (SELECT coalesce(max(u.serial), 0)"
				 " FROM unlock_code u WHERE u.machine_id = machine.id),"
				 " $1, $2, $3, $4, $5, $6, '', 0 FROM machine WHERE uuid = $7"
				 " RETURNING serial",
				 ARG_UUID(&u->environment), ARG_INT(u->expires_ms),
				 ARG_INT(u->lifts_status), ARG_TEXT(u->reason),
				 ARG_TEXT(u->issued_by), ARG_INT(u->issued_ms),
				 ARG_UUID(&u->machine));
	if (rc == 0 && !found)
		rc = err_set(err, ERR_NOTFOUND, "no such machine");
	if (rc == 0)
		rc = key_make(conn, &u->machine, key, &made, err);
	if (rc == 0 && made)
		rc = machine_bump(conn, &u->machine, u->issued_ms, err);
	if (rc == 0)
		u->serial = (uint32_t)serial;
	return rc;
}

int db_unlock_revoke(struct db_conn *conn, const struct uuid *environment, const char *by,
		     int64_t now_ms, int64_t *n, struct err *err)
{
	int64_t changed = 0;
	int rc = SQL_RUN(conn, &changed, err,
			 "UPDATE unlock_code SET revoked_by = $1, revoked_ms = $2"
			 " WHERE environment = $3 AND revoked_ms = 0 AND expires_ms > $2",
			 ARG_TEXT(by), ARG_INT(now_ms), ARG_UUID(environment));

	if (rc == 0 && changed > 0)
		rc = machine_bump_all(conn, environment, now_ms, err);
	if (rc == 0 && n)
		*n = changed;
	return rc;
}

int db_unlock_used(struct db_conn *conn, const struct db_unlock *u, bool *first, struct err *err)
{
	int64_t changed = 0;
	int rc = SQL_RUN(conn, &changed, err,
			 "UPDATE unlock_code SET used_ms = $1"
			 " WHERE machine_id = (SELECT id FROM machine WHERE uuid = $2)"
			 " AND serial = $3 AND environment = $4 AND used_ms = 0",
			 ARG_INT(u->used_ms), ARG_UUID(&u->machine), ARG_INT(u->serial),
			 ARG_UUID(&u->environment));

	if (rc == 0 && first)
		*first = changed > 0;
	return rc;
}

int db_unlock_revoked(struct db_conn *conn, const struct uuid *machine, int64_t now_ms,
		      struct arena *arena, const unsigned char **out, size_t *bytes,
		      struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT serial FROM unlock_code"
			  " WHERE machine_id = (SELECT id FROM machine WHERE uuid = $1)"
			  " AND revoked_ms <> 0 AND expires_ms > $2 ORDER BY serial LIMIT $3",
			  ARG_UUID(machine), ARG_INT(now_ms), ARG_INT(LIMIT_REQUESTS));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, 4);
	while ((rc = sql_next(rows, err)) > 0) {
		unsigned char *serial = sql_list_add(&list);
		uint32_t v = (uint32_t)sql_int(rows, 0);

		if (!serial) {
			rc = err_nomem(err);
			break;
		}
		serial[0] = (unsigned char)(v >> 24);
		serial[1] = (unsigned char)(v >> 16);
		serial[2] = (unsigned char)(v >> 8);
		serial[3] = (unsigned char)v;
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (const unsigned char *)list.items;
	*bytes = 4 * list.n;
	return 0;
}

int db_unlock_list(struct db_conn *conn, const struct uuid *environment, size_t limit,
		   struct arena *arena, struct db_unlock **out, size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT m.uuid, u.serial, u.expires_ms, u.lifts_status, u.reason,"
			  " u.issued_by, u.issued_ms, u.revoked_by, u.revoked_ms, u.used_ms"
			  " FROM unlock_code u JOIN machine m ON m.id = u.machine_id"
			  " WHERE u.environment = $1 ORDER BY u.issued_ms DESC, u.serial DESC"
			  " LIMIT $2",
			  ARG_UUID(environment), ARG_INT(sql_limit(limit)));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_unlock *u = sql_list_add(&list);

		if (u) {
			u->environment = *environment;
			sql_uuid(rows, 0, &u->machine);
			u->serial = (uint32_t)sql_int(rows, 1);
			u->expires_ms = sql_int(rows, 2);
			u->lifts_status = sql_bool(rows, 3);
			u->reason = sql_text(rows, 4, arena);
			u->issued_by = sql_text(rows, 5, arena);
			u->issued_ms = sql_int(rows, 6);
			u->revoked_by = sql_text(rows, 7, arena);
			u->revoked_ms = sql_int(rows, 8);
			u->used_ms = sql_int(rows, 9);
		}
		if (!u || !u->reason || !u->issued_by || !u->revoked_by) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_unlock *)list.items;
	*n = list.n;
	return 0;
}
