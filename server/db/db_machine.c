#include "server/db/db_machine.h"

#include "server/db/sql.h"

#define COLUMNS                                                                                    \
	"m.id, m.uuid, m.hostname, m.platform, m.os, m.agent_version, m.machine_id_hash, "         \
	"m.labels, "                                                                               \
	"m.state, m.ephemeral, m.clone_suspected, m.join_code, m.created_ms, m.last_seen_ms, "     \
	"m.key_hash, m.serial, m.not_after_ms, m.continuity, m.continuity_previous, "              \
	"m.status_version, m.timestamp_version, "                                                  \
	"(SELECT count(*) FROM env e WHERE e.machine_id = m.id AND e.deleted = 0), "               \
	"m.restored, m.wishes"

const char *db_machine_state_name(enum db_machine_state state)
{
	static const char *const names[] = {"active", "retired", "revoked"};

	return (size_t)state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

static int machine_read(struct sql_rows *rows, struct arena *arena, struct db_machine *m)
{
	const char *labels = sql_text(rows, 7, arena);
	const char *wishes = sql_text(rows, 23, arena);

	m->row = sql_int(rows, 0);
	sql_uuid(rows, 1, &m->id);
	m->hostname = sql_text(rows, 2, arena);
	m->platform = sql_text(rows, 3, arena);
	m->os = sql_text(rows, 4, arena);
	m->agent_version = sql_text(rows, 5, arena);
	(void)sql_fixed(rows, 6, m->machine_id_hash, SHA256_SIZE);
	m->state = (enum db_machine_state)sql_int(rows, 8);
	m->ephemeral = sql_bool(rows, 9);
	m->clone_suspected = sql_bool(rows, 10);
	m->join_code = sql_int(rows, 11);
	m->created_ms = sql_int(rows, 12);
	m->last_seen_ms = sql_int(rows, 13);
	(void)sql_fixed(rows, 14, m->key_hash, SHA256_SIZE);
	(void)sql_fixed(rows, 15, m->serial, DB_SERIAL_SIZE);
	m->not_after_ms = sql_int(rows, 16);
	(void)sql_fixed(rows, 17, m->continuity, DB_CONTINUITY_SIZE);
	(void)sql_fixed(rows, 18, m->continuity_previous, DB_CONTINUITY_SIZE);
	m->status_version = (uint64_t)sql_int(rows, 19);
	m->timestamp_version = (uint64_t)sql_int(rows, 20);
	m->environments = sql_int(rows, 21);
	m->restored = sql_bool(rows, 22);
	if (!labels || !wishes || sql_labels_split(wishes, arena, &m->wishes) < 0 || !m->hostname ||
	    !m->platform || !m->os || !m->agent_version)
		return ERR_NOMEM;
	return sql_labels_split(labels, arena, &m->labels);
}

int db_machine_get(struct db_conn *conn, const struct uuid *id, struct arena *arena,
		   struct db_machine *out, struct err *err)
{
	struct db_machine machine = {.row = 0};
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err, "SELECT " COLUMNS " FROM machine m WHERE m.uuid = $1",
			  ARG_UUID(id));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0)
		rc = machine_read(rows, arena, &machine) < 0 ? err_nomem(err) : 0;
	else if (rc == 0)
		rc = err_set(err, ERR_NOTFOUND, "no such machine");
	sql_close(rows);
	if (rc == 0)
		*out = machine;
	return rc;
}

static void filter_where(struct sql_query *q, const struct db_machine_filter *f)
{
	if (sql_given(f->text))
		SQL_WHERE(q, "lower(m.hostname) LIKE ? ESCAPE '\\'",
			  sql_like(q, "%", f->text, "%"));
	if (sql_given(f->platform))
		SQL_WHERE(q, "m.platform = ?", ARG_TEXT(f->platform));
	/* Labels are case-sensitive and LIKE may not be, so LIKE is not the means here. */
	if (sql_given(f->label)) {
		SQL_WHERE(q, "replace(m.labels, ?, '') <> m.labels",
			  sql_pattern(q, "\n", f->label, "\n"));
	}
	if (f->has_state)
		SQL_WHERE(q, "m.state = ?", ARG_INT(f->state));
}

int db_machine_list(struct db_conn *conn, const struct db_machine_filter *filter,
		    const struct db_cursor *after, size_t limit, struct arena *arena,
		    struct db_machine **out, size_t *n, struct err *err)
{
	struct sql_query q;
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc;

	sql_query_init(&q, "SELECT " COLUMNS " FROM machine m");
	filter_where(&q, filter);
	if (after && after->set)
		SQL_WHERE(&q, "m.id < ?", ARG_INT(after->id));
	SQL_END(&q, " ORDER BY m.id DESC LIMIT ?", ARG_INT(sql_limit(limit)));
	sql_list_init(&list, arena, sizeof(**out));
	rc = sql_query_open(conn, &q, &rows, err);
	if (rc < 0)
		goto out;
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_machine *machine = sql_list_add(&list);

		if (!machine || machine_read(rows, arena, machine) < 0) {
			rc = err_nomem(err);
			goto out;
		}
	}
	if (rc == 0) {
		*out = (struct db_machine *)list.items;
		*n = list.n;
	}
out:
	sql_close(rows);
	sql_query_deinit(&q);
	return rc;
}

int db_machine_count(struct db_conn *conn, const struct db_machine_filter *filter, int64_t *out,
		     struct err *err)
{
	struct sql_query q;
	struct sql_rows *rows = NULL;
	int rc;

	sql_query_init(&q, "SELECT count(*) FROM machine m");
	filter_where(&q, filter);
	rc = sql_query_open(conn, &q, &rows, err);
	if (rc == 0)
		rc = sql_next(rows, err);
	if (rc > 0) {
		*out = sql_int(rows, 0);
		rc = 0;
	}
	sql_close(rows);
	sql_query_deinit(&q);
	return rc;
}
