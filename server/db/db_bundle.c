#include "server/db/db_bundle.h"

#include <inttypes.h>

#include "proto/signed.h"
#include "server/db/sql.h"

#define COLUMNS "role, version, machine, data, created_ms, hash"

static int bundle_read(struct sql_rows *rows, struct arena *arena, struct db_bundle *out)
{
	out->role = sql_text(rows, 0, arena);
	out->version = (uint64_t)sql_int(rows, 1);
	sql_uuid(rows, 2, &out->machine);
	out->data = sql_blob(rows, 3, arena, &out->n);
	out->created_ms = sql_int(rows, 4);
	if (out->data && !sql_fixed(rows, 5, out->hash, SHA256_SIZE))
		sha256(out->data, out->n, out->hash);
	return out->role && out->data ? 0 : ERR_NOMEM;
}

static int newest(struct db_conn *conn, const char *role, const struct uuid *machine,
		  int64_t *version, bool *found, struct err *err)
{
	return SQL_GET_INT(conn, version, found, err,
			   "SELECT version FROM bundle WHERE role = $1 AND machine = $2"
			   " ORDER BY version DESC LIMIT 1",
			   ARG_TEXT(role), ARG_UUID(machine));
}

/* Whether these very bytes are stored already. */
static int same_bytes(struct db_conn *conn, const struct db_bundle *b, bool *same, struct err *err)
{
	int64_t one;

	return SQL_GET_INT(conn, &one, same, err,
			   "SELECT 1 FROM bundle WHERE role = $1 AND machine = $2"
			   " AND version = $3 AND data = $4",
			   ARG_TEXT(b->role), ARG_UUID(&b->machine), ARG_INT(b->version),
			   ARG_BLOB(b->data, b->n));
}

int db_bundle_put(struct db_conn *conn, const struct db_bundle *b, struct err *err)
{
	unsigned char hash[SHA256_SIZE];
	int64_t held = 0;
	bool found = false, same = false;
	int rc = sql_check_text("role", b->role, LIMIT_ROLE, err);

	if (rc == 0 && (b->version == 0 || b->version > (uint64_t)INT64_MAX))
		rc = err_set(err, ERR_INVALID, "bundle: version out of range");
	if (rc == 0 && b->n > DB_BUNDLE_MAX)
		rc = err_set(err, ERR_LIMIT, "bundle: larger than %u bytes", DB_BUNDLE_MAX);
	if (rc == 0)
		rc = newest(conn, b->role, &b->machine, &held, &found, err);
	if (rc == 0 && found && (uint64_t)held >= b->version) {
		rc = same_bytes(conn, b, &same, err);
		if (rc == 0 && !same)
			rc = err_set(err, ERR_STALE,
				     "%s version %" PRIu64 ": version %" PRId64 " is stored",
				     b->role, b->version, held);
		return rc;
	}
	if (rc < 0)
		return rc;
	sha256(b->data, b->n, hash);
	rc = SQL_RUN(conn, NULL, err,
		     "INSERT INTO bundle (role, machine, version, data, created_ms, hash)"
		     " VALUES ($1, $2, $3, $4, $5, $6)",
		     ARG_TEXT(b->role), ARG_UUID(&b->machine), ARG_INT(b->version),
		     ARG_BLOB(b->data, b->n), ARG_INT(b->created_ms), ARG_BLOB(hash, SHA256_SIZE));
	if (rc == 0 && strcmp(b->role, ROLE_ROOT) != 0)
		rc = SQL_RUN(conn, NULL, err,
			     "DELETE FROM bundle WHERE role = $1 AND machine = $2"
			     " AND version < $3",
			     ARG_TEXT(b->role), ARG_UUID(&b->machine), ARG_INT(b->version));
	return rc;
}

int db_bundle_get(struct db_conn *conn, const char *role, const struct uuid *machine,
		  uint64_t version, struct arena *arena, struct db_bundle *out, struct err *err)
{
	static const struct uuid all;
	struct db_bundle bundle = {.version = 0};
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " COLUMNS " FROM bundle WHERE role = $1 AND machine = $2"
			  " AND ($3 = 0 OR version = $3) ORDER BY version DESC LIMIT 1",
			  ARG_TEXT(role), ARG_UUID(machine ? machine : &all), ARG_INT(version));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0)
		rc = bundle_read(rows, arena, &bundle) < 0 ? err_nomem(err) : 0;
	else if (rc == 0)
		rc = err_set(err, ERR_NOTFOUND, "no such bundle");
	sql_close(rows);
	if (rc == 0)
		*out = bundle;
	return rc;
}

int db_bundle_head(struct db_conn *conn, const char *role, const struct uuid *machine,
		   struct db_bundle *out, struct err *err)
{
	static const struct uuid all;
	struct sql_rows *rows = NULL;
	struct db_bundle b = {.role = role, .machine = machine ? *machine : all};
	struct arena arena;
	bool hashed = false;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT version, created_ms, hash FROM bundle"
			  " WHERE role = $1 AND machine = $2 ORDER BY version DESC LIMIT 1",
			  ARG_TEXT(role), ARG_UUID(&b.machine));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0) {
		b.version = (uint64_t)sql_int(rows, 0);
		b.created_ms = sql_int(rows, 1);
		hashed = sql_fixed(rows, 2, b.hash, SHA256_SIZE);
		rc = 0;
	} else if (rc == 0) {
		rc = err_set(err, ERR_NOTFOUND, "no such bundle");
	}
	sql_close(rows);
	if (rc == 0 && !hashed) {
		/* Stored before schema 3. */
		arena_init(&arena, 2 * (size_t)DB_BUNDLE_MAX);
		rc = db_bundle_get(conn, role, machine, b.version, &arena, &b, err);
		b.role = role;
		b.data = NULL;
		arena_deinit(&arena);
	}
	if (rc == 0)
		*out = b;
	return rc;
}

int db_bundle_roots(struct db_conn *conn, struct arena *arena, struct db_bundle **out, size_t *n,
		    struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " COLUMNS " FROM bundle WHERE role = $1 ORDER BY version",
			  ARG_TEXT(ROLE_ROOT));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_bundle *bundle = sql_list_add(&list);

		if (!bundle || bundle_read(rows, arena, bundle) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_bundle *)list.items;
	*n = list.n;
	return 0;
}

/* --- what machines report --- */

int db_bundle_report_put(struct db_conn *conn, const struct db_bundle_report *r, struct err *err)
{
	int rc = sql_check_text("role", r->role, LIMIT_ROLE, err);

	if (rc == 0)
		rc = sql_check_text("reason", r->reason, DB_TEXT_MAX, err);
	if (rc == 0 && r->version > (uint64_t)INT64_MAX)
		rc = err_set(err, ERR_LIMIT, "bundle: version out of range");
	if (rc == 0)
		rc = SQL_MUST(conn, "machine", err,
			      "INSERT INTO bundle_report (machine_id, role, version, active,"
			      " reason, at_ms) SELECT id, $1, $2, $3, $4, $5 FROM machine"
			      " WHERE uuid = $6 ON CONFLICT (machine_id, role) DO UPDATE SET"
			      " version = excluded.version, active = excluded.active,"
			      " reason = excluded.reason, at_ms = excluded.at_ms",
			      ARG_TEXT(r->role), ARG_INT(r->version), ARG_INT(r->active),
			      ARG_TEXT(r->reason), ARG_INT(r->at_ms), ARG_UUID(&r->machine));
	return rc;
}

int db_bundle_report_list(struct db_conn *conn, const struct uuid *machine, struct arena *arena,
			  struct db_bundle_report **out, size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT role, version, active, reason, at_ms FROM bundle_report"
			  " WHERE machine_id = (SELECT id FROM machine WHERE uuid = $1)"
			  " ORDER BY role",
			  ARG_UUID(machine));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_bundle_report *r = sql_list_add(&list);

		if (r) {
			r->machine = *machine;
			r->role = sql_text(rows, 0, arena);
			r->version = (uint64_t)sql_int(rows, 1);
			r->active = sql_bool(rows, 2);
			r->reason = sql_text(rows, 3, arena);
			r->at_ms = sql_int(rows, 4);
		}
		if (!r || !r->role || !r->reason) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_bundle_report *)list.items;
	*n = list.n;
	return 0;
}

/* --- ticket keys --- */

int db_ticket_keys(struct db_conn *conn, struct db_ticket_key out[2], size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	size_t have = 0;
	int rc = sql_open(conn, &rows, err,
			  "SELECT id, secret, created_ms FROM ticket_key ORDER BY id DESC LIMIT 2",
			  NULL, 0);

	if (rc < 0)
		return rc;
	while ((rc = sql_next(rows, err)) > 0) {
		out[have].id = sql_int(rows, 0);
		(void)sql_fixed(rows, 1, out[have].key, DB_TICKET_KEY_SIZE);
		out[have++].created_ms = sql_int(rows, 2);
	}
	sql_close(rows);
	if (rc == 0)
		*n = have;
	return rc;
}

int db_ticket_rotate(struct db_conn *conn, const unsigned char key[DB_TICKET_KEY_SIZE],
		     int64_t max_age_ms, int64_t now_ms, bool *rotated, struct err *err)
{
	int64_t changed = 0;
	int rc = SQL_RUN(conn, &changed, err,
			 "INSERT INTO ticket_key (secret, created_ms) SELECT $1, $2"
			 " WHERE NOT EXISTS (SELECT 1 FROM ticket_key WHERE created_ms > $3)",
			 ARG_BLOB(key, DB_TICKET_KEY_SIZE), ARG_INT(now_ms),
			 ARG_INT(now_ms - max_age_ms));

	if (rc == 0 && changed > 0)
		rc = sql_run(conn, NULL, err,
			     "DELETE FROM ticket_key WHERE id NOT IN"
			     " (SELECT id FROM ticket_key ORDER BY id DESC LIMIT 2)",
			     NULL, 0);
	if (rc == 0 && rotated)
		*rotated = changed > 0;
	return rc;
}
