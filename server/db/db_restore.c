#include "server/db/db_restore.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "server/db/db_admin.h"
#include "server/db/sql.h"

static int newest_time(struct db_conn *conn, int64_t *ms, struct err *err)
{
	bool found;

	return SQL_GET_INT(conn, ms, &found, err,
			   "SELECT coalesce(max(t), $1) FROM (SELECT max(at_ms) AS t FROM audit"
			   " UNION ALL SELECT max(last_seen_ms) FROM machine"
			   " UNION ALL SELECT max(received_ms) FROM change"
			   " UNION ALL SELECT max(created_ms) FROM bundle) AS times",
			   ARG_INT(0));
}

int db_restore_epoch(struct db_conn *conn, int64_t *epoch, struct err *err)
{
	bool found;

	return SQL_GET_INT(conn, epoch, &found, err, "SELECT coalesce(max(epoch), $1) FROM restore",
			   ARG_INT(1));
}

/* Codes and tokens may have been voided since the backup; none of those there are counts. */
static int void_all(struct db_conn *conn, int64_t now_ms, struct db_restored *out, struct err *err)
{
	int rc =
		SQL_RUN(conn, &out->join_codes, err,
			"UPDATE join_code SET voided_ms = $1 WHERE voided_ms = 0", ARG_INT(now_ms));

	if (rc == 0)
		rc = sql_run(conn, &out->tokens, err, "DELETE FROM token", NULL, 0);
	if (rc == 0)
		rc = sql_run(conn, NULL, err, "DELETE FROM ticket_key", NULL, 0);
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "UPDATE unlock_code SET revoked_by = $1, revoked_ms = $2"
			     " WHERE revoked_ms = 0",
			     ARG_TEXT("restore"), ARG_INT(now_ms));
	return rc;
}

/* With other keys, codes that were issued since the backup, and are not known here, count no more.
 */
static int machines_mark(struct db_conn *conn, struct db_restored *out, struct err *err)
{
	return SQL_RUN(conn, &out->machines, err,
		       "UPDATE machine SET restored = 1, unlock_key = NULL,"
		       " status_version = status_version + $1,"
		       " timestamp_version = timestamp_version + $1",
		       ARG_INT(DB_RESTORE_STEP));
}

static int note(struct db_conn *conn, int64_t now_ms, const struct db_restored *r, struct err *err)
{
	char target[32], from[CLOCK_TEXT_MAX], detail[CLOCK_TEXT_MAX + 32];
	int rc = SQL_RUN(conn, NULL, err,
			 "INSERT INTO restore (epoch, unknown_from_ms, unknown_until_ms)"
			 " VALUES ($1, $2, $3)",
			 ARG_INT(r->epoch), ARG_INT(r->unknown_from_ms), ARG_INT(now_ms));

	clock_format(r->unknown_from_ms, from);
	(void)snprintf(target, sizeof(target), "epoch:%" PRId64, r->epoch);
	(void)snprintf(detail, sizeof(detail), "{\"unknown_from\":\"%s\"}", from);
	return rc < 0 ? rc
		      : db_audit_append(conn,
					&(struct db_audit){.at_ms = now_ms,
							   .who = "system",
							   .what = "server.restored",
							   .target = target,
							   .detail = detail},
					err);
}

int db_restore(struct db_conn *conn, int64_t now_ms, struct db_restored *out, struct err *err)
{
	struct db_restored r = {.epoch = 0};
	int rc = newest_time(conn, &r.unknown_from_ms, err);

	if (rc == 0)
		rc = db_restore_epoch(conn, &r.epoch, err);
	r.epoch++;
	if (rc == 0)
		rc = void_all(conn, now_ms, &r, err);
	if (rc == 0)
		rc = machines_mark(conn, &r, err);
	if (rc == 0)
		rc = note(conn, now_ms, &r, err);
	if (rc == 0)
		*out = r;
	return rc;
}
