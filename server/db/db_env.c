#include "server/db/db_env.h"

#include <string.h>

#include "lib/base/text.h"
#include "server/db/db_apply.h"
#include "server/db/db_env_read.h"
#include "server/db/db_package_read.h"

static int lines_split(const char *text, struct arena *arena, const char *const **out, size_t *n)
{
	struct db_labels lines;
	int rc = sql_labels_split(text, arena, &lines);

	if (rc < 0)
		return rc;
	*out = lines.items;
	*n = lines.n;
	return 0;
}

int env_read(struct sql_rows *rows, struct arena *arena, int64_t now_ms, struct db_env *out)
{
	int64_t until_ms = sql_int(rows, 19);
	bool over = until_ms != 0 && until_ms <= now_ms;
	const char *specs = over ? "" : sql_text(rows, 23, arena);
	const char *notes = sql_text(rows, 26, arena);

	out->row = sql_int(rows, 0);
	sql_uuid(rows, 1, &out->id);
	sql_uuid(rows, 2, &out->machine);
	out->hostname = sql_text(rows, 3, arena);
	out->path = sql_text(rows, 4, arena);
	out->name = sql_text(rows, 5, arena);
	out->user = sql_text(rows, 6, arena);
	out->uid = sql_int(rows, 7);
	out->platform = sql_text(rows, 8, arena);
	out->tool = sql_text(rows, 9, arena);
	out->deleted = sql_bool(rows, 10);
	out->archived = sql_bool(rows, 11);
	out->package_count = sql_int(rows, 12);
	out->created_ms = sql_int(rows, 13);
	out->last_change_ms = sql_int(rows, 14);
	sql_uuid(rows, 15, &out->cloned_from);
	out->has_digest = sql_fixed(rows, 16, out->digest, SHA256_SIZE);
	out->status = over ? ACTION_ALLOW : (enum action)sql_int(rows, 17);
	out->message = over ? "" : sql_text(rows, 18, arena);
	out->status_until_ms = over ? 0 : until_ms;
	out->status_until_fixed = !over && sql_bool(rows, 20);
	out->status_by = over ? "" : sql_text(rows, 21, arena);
	out->status_at_ms = over ? 0 : sql_int(rows, 22);
	out->status_delivered = sql_bool(rows, 24);
	out->last_used_ms = sql_int(rows, 25);
	out->excluded = sql_bool(rows, 27);
	if (!notes || lines_split(notes, arena, &out->notes, &out->n_notes) < 0)
		return ERR_NOMEM;
	if (!specs ||
	    status_specs_split(specs, arena, &out->status_specs, &out->n_status_specs) < 0)
		return ERR_NOMEM;
	return out->hostname && out->path && out->name && out->user && out->platform && out->tool &&
			       out->message && out->status_by
		       ? 0
		       : ERR_NOMEM;
}

int env_read_all(struct sql_rows *rows, struct arena *arena, int64_t now_ms, struct db_env **out,
		 size_t *n, struct err *err)
{
	struct sql_list list;
	int rc;

	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_env *env = sql_list_add(&list);

		if (!env || env_read(rows, arena, now_ms, env) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_env *)list.items;
	*n = list.n;
	return 0;
}

/* The first row of an open statement, which is closed in any case; ERR_NOTFOUND. */
static int read_one(struct sql_rows *rows, struct arena *arena, int64_t now_ms, struct db_env *out,
		    struct err *err)
{
	struct db_env env = {.row = 0};
	int rc = sql_next(rows, err);

	if (rc > 0)
		rc = env_read(rows, arena, now_ms, &env) < 0 ? err_nomem(err) : 0;
	else if (rc == 0)
		rc = err_set(err, ERR_NOTFOUND, "no such environment");
	sql_close(rows);
	if (rc == 0)
		*out = env;
	return rc;
}

int db_env_get(struct db_conn *conn, const struct uuid *id, const struct uuid *machine,
	       int64_t now_ms, struct arena *arena, struct db_env *out, struct err *err)
{
	struct sql_rows *rows = NULL;
	int rc;

	if (machine)
		rc = SQL_OPEN(conn, &rows, err,
			      "SELECT " ENV_COLUMNS ENV_FROM " WHERE e.uuid = $1 AND m.uuid = $2",
			      ARG_UUID(id), ARG_UUID(machine));
	else
		rc = SQL_OPEN(conn, &rows, err,
			      "SELECT " ENV_COLUMNS ENV_FROM " WHERE e.uuid = $1"
			      " ORDER BY e.last_change_ms DESC, e.id DESC LIMIT 1",
			      ARG_UUID(id));
	return rc < 0 ? rc : read_one(rows, arena, now_ms, out, err);
}

int db_env_find(struct db_conn *conn, const struct uuid *machine, const char *path_or_name,
		int64_t now_ms, struct arena *arena, struct db_env *out, struct err *err)
{
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " ENV_COLUMNS ENV_FROM
			  " WHERE m.uuid = $1 AND (e.path = $2 OR e.name = $2)"
			  " ORDER BY CASE WHEN e.path = $2 THEN 0 ELSE 1 END, e.deleted,"
			  " e.last_change_ms DESC, e.id DESC LIMIT 1",
			  ARG_UUID(machine), ARG_TEXT(path_or_name));

	return rc < 0 ? rc : read_one(rows, arena, now_ms, out, err);
}

int db_env_known(struct db_conn *conn, const struct uuid *machine, size_t limit,
		 struct arena *arena, struct db_env **out, size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " ENV_COLUMNS ENV_FROM " WHERE m.uuid = $1 AND e.deleted = 0"
			  " ORDER BY e.last_change_ms DESC, e.id DESC LIMIT $2",
			  ARG_UUID(machine), ARG_INT(limit));

	return rc < 0 ? rc : env_read_all(rows, arena, 0, out, n, err);
}

int db_env_packages(struct db_conn *conn, int64_t row, struct arena *arena, struct db_package **out,
		    size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " PACKAGE_ROW_COLUMNS ", ep.requested" PACKAGE_FROM
			  " JOIN env_pkg ep ON ep.pkg_id = p.id WHERE ep.env_id = $1"
			  " ORDER BY pn.name, p.id",
			  ARG_INT(row));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_package *package = sql_list_add(&list);

		if (!package || package_row_read(rows, arena, package) < 0) {
			rc = err_nomem(err);
			break;
		}
		package->package.requested = sql_bool(rows, PACKAGE_ROW_COLUMNS_N);
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_package *)list.items;
	*n = list.n;
	return 0;
}

int db_env_used(struct db_conn *conn, const struct uuid *machine, const struct uuid *id,
		int64_t used_ms, struct err *err)
{
	return SQL_RUN(conn, NULL, err,
		       "UPDATE env SET last_used_ms = $1 WHERE uuid = $2 AND last_used_ms < $1"
		       " AND machine_id = (SELECT id FROM machine WHERE uuid = $3)",
		       ARG_INT(used_ms), ARG_UUID(id), ARG_UUID(machine));
}

int db_env_made(struct db_conn *conn, const struct uuid *machine, const struct uuid *id,
		int64_t made_ms, struct err *err)
{
	return SQL_RUN(conn, NULL, err,
		       "UPDATE env SET made_ms = $1 WHERE uuid = $2"
		       " AND machine_id = (SELECT id FROM machine WHERE uuid = $3)",
		       ARG_INT(made_ms), ARG_UUID(id), ARG_UUID(machine));
}

int db_env_note(struct db_conn *conn, const struct uuid *machine, const struct db_env_notes *notes,
		struct err *err)
{
	struct buf text, line;
	int rc;

	buf_init(&text, DB_NOTES_MAX);
	for (size_t i = 0; i < notes->n; i++) {
		buf_init(&line, DB_NOTES_MAX);
		text_escape(&line, notes->texts[i], strlen(notes->texts[i]));
		if (buf_rc(&line) < 0 || text.len + line.len + sizeof("\n\n...\n") > DB_NOTES_MAX) {
			buf_adds(&text, text.len == 0 ? "\n...\n" : "...\n");
			i = notes->n;
		} else {
			buf_addf(&text, "%s%s\n", text.len == 0 ? "\n" : "", buf_cstr(&line));
		}
		buf_deinit(&line);
	}
	rc = buf_rc(&text) < 0
		     ? err_nomem(err)
		     : SQL_RUN(conn, NULL, err,
			       "UPDATE env SET notes = $1, excluded = $2 WHERE uuid = $3"
			       " AND machine_id = (SELECT id FROM machine WHERE uuid = $4)",
			       ARG_TEXT(text.len > 0 ? buf_cstr(&text) : ""),
			       ARG_INT(notes->excluded), ARG_UUID(&notes->environment),
			       ARG_UUID(machine));
	buf_deinit(&text);
	return rc;
}

int db_env_archive(struct db_conn *conn, const struct uuid *id, bool archived, struct err *err)
{
	return SQL_MUST(conn, "environment", err, "UPDATE env SET archived = $1 WHERE uuid = $2",
			ARG_INT(archived), ARG_UUID(id));
}
