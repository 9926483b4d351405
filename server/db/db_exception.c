#include "server/db/db_exception.h"

#include "proto/limits.h"
#include "server/db/db_apply.h"
#include "server/db/sql.h"

static int check(const struct db_exception *x, int64_t now_ms, struct err *err)
{
	int rc = sql_check_text("rule", x->rule, POLICY_ID_MAX, err);

	if (rc == 0)
		rc = sql_check_text("package", x->package, LIMIT_WORD, err);
	if (rc == 0)
		rc = sql_check_text("owner", x->owner, LIMIT_WORD, err);
	if (rc == 0)
		rc = sql_check_text("ticket", x->ticket, LIMIT_WORD, err);
	if (rc == 0)
		rc = sql_check_text("reason", x->reason, LIMIT_TEXT, err);
	if (rc == 0)
		rc = sql_check_text("granted by", x->granted_by, DB_TEXT_MAX, err);
	if (rc == 0 && uuid_is_zero(&x->environment) == uuid_is_zero(&x->machine))
		rc = err_set(err, ERR_INVALID, "an exception is for an environment or a machine");
	if (rc == 0 && x->expires_ms <= now_ms)
		rc = err_set(err, ERR_INVALID, "an exception must expire, and later than now");
	return rc;
}

/* Those whom an exception concerns get new status bundles. */
static int tell(struct db_conn *conn, const struct uuid *environment, const struct uuid *machine,
		int64_t now_ms, struct err *err)
{
	return uuid_is_zero(environment) ? machine_bump(conn, machine, now_ms, err)
					 : machine_bump_all(conn, environment, now_ms, err);
}

int db_exception_grant(struct db_conn *conn, const struct db_exception *x, int64_t now_ms,
		       struct err *err)
{
	bool for_machine = uuid_is_zero(&x->environment);
	int64_t machine = 0;
	bool found = true;
	int rc = check(x, now_ms, err);

	if (rc == 0 && for_machine)
		rc = SQL_GET_INT(conn, &machine, &found, err,
				 "SELECT id FROM machine WHERE uuid = $1", ARG_UUID(&x->machine));
	if (rc == 0 && !found)
		rc = err_set(err, ERR_NOTFOUND, "no such machine");
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "INSERT INTO exception (uuid, environment, machine_id, rule, package,"
			     " owner, ticket, reason, expires_ms, request, granted_by, granted_ms,"
			     " revoked_by, revoked_ms)"
			     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '', 0)",
			     ARG_UUID(&x->id), for_machine ? ARG_NULL : ARG_UUID(&x->environment),
			     ARG_REF(machine), ARG_TEXT(x->rule), ARG_TEXT(x->package),
			     ARG_TEXT(x->owner), ARG_TEXT(x->ticket), ARG_TEXT(x->reason),
			     ARG_INT(x->expires_ms),
			     uuid_is_zero(&x->request) ? ARG_NULL : ARG_UUID(&x->request),
			     ARG_TEXT(x->granted_by), ARG_INT(now_ms));
	return rc < 0 ? rc : tell(conn, &x->environment, &x->machine, now_ms, err);
}

/* --- reading --- */

#define COLUMNS                                                                                    \
	"x.id, x.uuid, x.environment, m.uuid, x.rule, x.package, x.owner, x.ticket, x.reason, "    \
	"x.expires_ms, x.request, x.granted_by, x.granted_ms, x.revoked_by, x.revoked_ms, "        \
	"(SELECT min(e.path) FROM env e WHERE e.uuid = x.environment), m.hostname"
#define FROM " FROM exception x LEFT JOIN machine m ON m.id = x.machine_id"

static int exception_read(struct sql_rows *rows, struct arena *arena, struct db_exception *out)
{
	out->row = sql_int(rows, 0);
	sql_uuid(rows, 1, &out->id);
	sql_uuid(rows, 2, &out->environment);
	sql_uuid(rows, 3, &out->machine);
	out->rule = sql_text(rows, 4, arena);
	out->package = sql_text(rows, 5, arena);
	out->owner = sql_text(rows, 6, arena);
	out->ticket = sql_text(rows, 7, arena);
	out->reason = sql_text(rows, 8, arena);
	out->expires_ms = sql_int(rows, 9);
	sql_uuid(rows, 10, &out->request);
	out->granted_by = sql_text(rows, 11, arena);
	out->granted_ms = sql_int(rows, 12);
	out->revoked_by = sql_text(rows, 13, arena);
	out->revoked_ms = sql_int(rows, 14);
	out->prefix = sql_text(rows, 15, arena);
	out->hostname = sql_text(rows, 16, arena);
	return out->rule && out->package && out->owner && out->ticket && out->reason &&
			       out->granted_by && out->revoked_by && out->prefix && out->hostname
		       ? 0
		       : ERR_NOMEM;
}

int db_exception_list(struct db_conn *conn, const struct db_exception_filter *f,
		      const struct db_cursor *after, size_t limit, struct arena *arena,
		      struct db_exception **out, size_t *n, struct err *err)
{
	struct sql_query q;
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc;

	sql_query_init(&q, "SELECT " COLUMNS FROM);
	if (f->environment)
		SQL_WHERE(&q, "x.environment = ?", ARG_UUID(f->environment));
	if (sql_given(f->rule))
		SQL_WHERE(&q, "x.rule = ?", ARG_TEXT(f->rule));
	if (f->holding)
		SQL_WHERE(&q, "x.revoked_ms = 0 AND x.expires_ms > ?", ARG_INT(f->now_ms));
	if (after && after->set)
		SQL_WHERE(&q, "x.id < ?", ARG_INT(after->id));
	SQL_END(&q, " ORDER BY x.id DESC LIMIT ?", ARG_INT(sql_limit(limit)));
	sql_list_init(&list, arena, sizeof(**out));
	rc = sql_query_open(conn, &q, &rows, err);
	while (rc >= 0 && (rc = sql_next(rows, err)) > 0) {
		struct db_exception *x = sql_list_add(&list);

		if (!x || exception_read(rows, arena, x) < 0)
			rc = err_nomem(err);
	}
	sql_close(rows);
	sql_query_deinit(&q);
	if (rc < 0)
		return rc;
	*out = (struct db_exception *)list.items;
	*n = list.n;
	return 0;
}

int db_exception_get(struct db_conn *conn, const struct uuid *id, struct arena *arena,
		     struct db_exception *out, struct err *err)
{
	struct db_exception x;
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err, "SELECT " COLUMNS FROM " WHERE x.uuid = $1",
			  ARG_UUID(id));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0)
		rc = exception_read(rows, arena, &x) < 0 ? err_nomem(err) : 0;
	else if (rc == 0)
		rc = err_set(err, ERR_NOTFOUND, "no such exception");
	sql_close(rows);
	if (rc == 0)
		*out = x;
	return rc;
}

int db_exception_revoke(struct db_conn *conn, const struct uuid *id, const char *by, int64_t now_ms,
			struct err *err)
{
	struct db_exception x;
	struct arena arena;
	int rc;

	arena_init(&arena, SIZE_MAX);
	rc = db_exception_get(conn, id, &arena, &x, err);
	if (rc == 0 && x.revoked_ms != 0)
		rc = err_set(err, ERR_NOTFOUND, "it was revoked before");
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "UPDATE exception SET revoked_by = $1, revoked_ms = $2"
			     " WHERE uuid = $3",
			     ARG_TEXT(by), ARG_INT(now_ms), ARG_UUID(id));
	if (rc == 0)
		rc = tell(conn, &x.environment, &x.machine, now_ms, err);
	arena_deinit(&arena);
	return rc;
}

/* --- for the bundle --- */

static int granted_read(struct sql_rows *rows, struct arena *arena, struct exception *out)
{
	struct uuid id;
	char text[UUID_TEXT_MAX];

	sql_uuid(rows, 0, &id);
	uuid_format(&id, text);
	*out = (struct exception){
		.id = arena_strdup(arena, text),
		.rule = sql_text(rows, 2, arena),
		.env_path = "",
		.env_name = "",
		.user = "",
		.package = sql_text(rows, 3, arena),
		.owner = sql_text(rows, 4, arena),
		.ticket = sql_text(rows, 5, arena),
		.reason = sql_text(rows, 6, arena),
		.expires_ms = sql_int(rows, 7),
	};
	sql_uuid(rows, 1, &out->environment);
	return out->id && out->rule && out->package && out->owner && out->ticket && out->reason
		       ? 0
		       : ERR_NOMEM;
}

int db_exception_of_machine(struct db_conn *conn, const struct uuid *machine, int64_t now_ms,
			    struct arena *arena, struct exception **out, size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT uuid, environment, rule, package, owner, ticket, reason,"
			  " expires_ms FROM exception WHERE revoked_ms = 0 AND expires_ms > $1"
			  " AND (machine_id = (SELECT id FROM machine WHERE uuid = $2)"
			  " OR environment IN (SELECT e.uuid FROM env e"
			  " JOIN machine m ON m.id = e.machine_id"
			  " WHERE m.uuid = $2 AND e.deleted = 0)) ORDER BY id",
			  ARG_INT(now_ms), ARG_UUID(machine));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct exception *x = sql_list_add(&list);

		if (!x || granted_read(rows, arena, x) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct exception *)list.items;
	*n = list.n;
	return 0;
}
