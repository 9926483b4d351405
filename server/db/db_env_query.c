#include "server/db/db_env.h"

#include "server/db/db_env_read.h"

/* The explicit status that counts at a time, as a number; one '?' for the time. */
#define STATUS_NOW                                                                                 \
	"CASE WHEN s.action IS NULL OR (s.until_ms <> 0 AND s.until_ms <= ?) THEN 0"               \
	" ELSE s.action END"

static void shown_where(struct sql_query *q, enum db_env_shown shown)
{
	switch (shown) {
	case DB_ENVS_LIVE:
		sql_query_where(q, "e.deleted = 0 AND e.archived = 0", NULL, 0);
		break;
	case DB_ENVS_DELETED:
		sql_query_where(q, "e.deleted = 1", NULL, 0);
		break;
	case DB_ENVS_ARCHIVED:
		sql_query_where(q, "e.deleted = 0 AND e.archived = 1", NULL, 0);
		break;
	case DB_ENVS_ALL:
		break;
	}
}

static void filter_where(struct sql_query *q, const struct db_env_filter *f)
{
	shown_where(q, f->shown);
	if (sql_given(f->text)) {
		struct sql_arg like = sql_like(q, "%", f->text, "%");

		SQL_WHERE(q,
			  "(lower(e.name) LIKE ? ESCAPE '\\' OR lower(e.path) LIKE ? ESCAPE '\\')",
			  like, like);
	}
	if (sql_given(f->user))
		SQL_WHERE(q, "e.user = ?", ARG_TEXT(f->user));
	if (sql_given(f->platform))
		SQL_WHERE(q, "e.platform = ?", ARG_TEXT(f->platform));
	if (f->machine)
		SQL_WHERE(q, "e.machine_id = (SELECT id FROM machine WHERE uuid = ?)",
			  ARG_UUID(f->machine));
	if (f->has_status)
		SQL_WHERE(q, STATUS_NOW " = ?", ARG_INT(f->now_ms), ARG_INT(f->status));
	if (sql_given(f->package)) {
		SQL_WHERE(q,
			  "e.id IN (SELECT ep.env_id FROM env_pkg ep"
			  " JOIN package p ON p.id = ep.pkg_id"
			  " JOIN package_name pn ON pn.id = p.name_id WHERE pn.name = ?",
			  ARG_TEXT(f->package));
		if (sql_given(f->version))
			SQL_END(q, " AND p.version = ?", ARG_TEXT(f->version));
		sql_query_end(q, ")", NULL, 0);
	}
}

static void order(struct sql_query *q, enum db_env_order order, const struct db_cursor *after,
		  size_t limit)
{
	bool go_on = after && after->set;

	if (order == DB_ENVS_BY_NAME) {
		if (go_on)
			SQL_WHERE(q, "(e.name, e.id) > (?, ?)",
				  ARG_TEXT(after->text ? after->text : ""), ARG_INT(after->id));
		SQL_END(q, " ORDER BY e.name, e.id LIMIT ?", ARG_INT(sql_limit(limit)));
	} else {
		if (go_on)
			SQL_WHERE(q, "(e.last_change_ms, e.id) < (?, ?)", ARG_INT(after->num),
				  ARG_INT(after->id));
		SQL_END(q, " ORDER BY e.last_change_ms DESC, e.id DESC LIMIT ?",
			ARG_INT(sql_limit(limit)));
	}
}

int db_env_list(struct db_conn *conn, const struct db_env_filter *filter, enum db_env_order by,
		const struct db_cursor *after, size_t limit, struct arena *arena,
		struct db_env **out, size_t *n, struct err *err)
{
	struct sql_query q;
	struct sql_rows *rows = NULL;
	int rc;

	sql_query_init(&q, "SELECT " ENV_COLUMNS ENV_FROM);
	filter_where(&q, filter);
	order(&q, by, after, limit);
	rc = sql_query_open(conn, &q, &rows, err);
	if (rc == 0)
		rc = env_read_all(rows, arena, filter->now_ms, out, n, err);
	sql_query_deinit(&q);
	return rc;
}

int db_env_count(struct db_conn *conn, const struct db_env_filter *filter,
		 struct db_env_counts *out, struct err *err)
{
	struct db_env_counts counts = {.total = 0};
	struct sql_query q;
	struct sql_rows *rows = NULL;
	int rc;

	sql_query_init(&q, "SELECT ");
	SQL_END(&q, STATUS_NOW ", count(*)" ENV_FROM, ARG_INT(filter->now_ms));
	filter_where(&q, filter);
	sql_query_end(&q, " GROUP BY 1", NULL, 0);
	rc = sql_query_open(conn, &q, &rows, err);
	while (rc >= 0 && (rc = sql_next(rows, err)) > 0) {
		int64_t count = sql_int(rows, 1);

		counts.total += count;
		switch (sql_int(rows, 0)) {
		case ACTION_WARN:
			counts.warn = count;
			break;
		case ACTION_BLOCK:
			counts.block = count;
			break;
		default:
			counts.ok = count;
			break;
		}
	}
	sql_close(rows);
	sql_query_deinit(&q);
	if (rc == 0)
		*out = counts;
	return rc;
}
