#include "server/db/db_admin.h"
#include "server/db/sql.h"

int db_audit_append(struct db_conn *conn, const struct db_audit *a, struct err *err)
{
	int rc = sql_check_text("who", a->who, DB_TEXT_MAX, err);

	if (rc == 0)
		rc = sql_check_text("what", a->what, DB_TEXT_MAX, err);
	if (rc == 0)
		rc = sql_check_text("target", a->target, DB_AUDIT_DETAIL_MAX, err);
	if (rc == 0)
		rc = sql_check_text("detail", a->detail, DB_AUDIT_DETAIL_MAX, err);
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "INSERT INTO audit (at_ms, who, what, target, detail)"
			     " VALUES ($1, $2, $3, $4, $5)",
			     ARG_INT(a->at_ms), ARG_TEXT(a->who), ARG_TEXT(a->what),
			     ARG_TEXT(a->target), ARG_TEXT(a->detail));
	return rc;
}

static int audit_read(struct sql_rows *rows, struct arena *arena, struct db_audit *out)
{
	out->id = sql_int(rows, 0);
	out->at_ms = sql_int(rows, 1);
	out->who = sql_text(rows, 2, arena);
	out->what = sql_text(rows, 3, arena);
	out->target = sql_text(rows, 4, arena);
	out->detail = sql_text(rows, 5, arena);
	return out->who && out->what && out->target && out->detail ? 0 : ERR_NOMEM;
}

int db_audit_list(struct db_conn *conn, const struct db_audit_filter *filter,
		  const struct db_cursor *after, size_t limit, struct arena *arena,
		  struct db_audit **out, size_t *n, struct err *err)
{
	struct sql_query q;
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc;

	sql_query_init(&q, "SELECT id, at_ms, who, what, target, detail FROM audit");
	if (sql_given(filter->who))
		SQL_WHERE(&q, "who = ?", ARG_TEXT(filter->who));
	if (sql_given(filter->what))
		SQL_WHERE(&q, "lower(what) LIKE ? ESCAPE '\\'",
			  sql_like(&q, "", filter->what, "%"));
	if (sql_given(filter->target))
		SQL_WHERE(&q, "target = ?", ARG_TEXT(filter->target));
	if (after && after->set)
		SQL_WHERE(&q, "id < ?", ARG_INT(after->id));
	SQL_END(&q, " ORDER BY id DESC LIMIT ?", ARG_INT(sql_limit(limit)));
	sql_list_init(&list, arena, sizeof(**out));
	rc = sql_query_open(conn, &q, &rows, err);
	while (rc >= 0 && (rc = sql_next(rows, err)) > 0) {
		struct db_audit *audit = sql_list_add(&list);

		if (!audit || audit_read(rows, arena, audit) < 0)
			rc = err_nomem(err);
	}
	sql_close(rows);
	sql_query_deinit(&q);
	if (rc < 0)
		return rc;
	*out = (struct db_audit *)list.items;
	*n = list.n;
	return 0;
}
