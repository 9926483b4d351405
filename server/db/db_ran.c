#include "server/db/db_ran.h"

#include "lib/base/text.h"
#include "lib/policy/decision.h"
#include "proto/limits.h"
#include "server/db/sql.h"

#define TEXT_MAX (4 * LIMIT_WORD) /* of an escaped text */

/* --- taking --- */

struct putting {
	struct db_conn *conn;
	const struct db_ran *ran;
	int64_t machine;
	int64_t last_ms;
	struct buf user;
	struct buf reasons; /* "\n", and a line each */
};

static int add_line(struct buf *out, const char *text)
{
	struct buf line;
	int rc;

	buf_init(&line, TEXT_MAX);
	text_escape(&line, text, strlen(text));
	rc = buf_rc(&line);
	if (rc == 0)
		buf_addf(out, "%s%s\n", out->len == 0 ? "\n" : "", buf_cstr(&line));
	buf_deinit(&line);
	return rc;
}

static int check(struct putting *p, struct err *err)
{
	const struct db_ran *r = p->ran;
	int rc = sql_check_text("case code", r->case_code, CASE_CODE_MAX, err);

	if (rc == 0)
		rc = sql_check_text("user", r->user, LIMIT_WORD, err);
	if (rc < 0)
		return rc;
	if (r->first_ms <= 0 || r->last_ms < r->first_ms || r->uid < 0)
		return err_set(err, ERR_INVALID, "a run after a block that can't be");
	p->last_ms = r->last_ms < r->received_ms ? r->last_ms : r->received_ms;
	text_escape(&p->user, r->user, strlen(r->user));
	for (size_t i = 0; i < r->n_reasons && i < DB_RAN_REASONS_MAX; i++)
		if (add_line(&p->reasons, r->reasons[i]) == ERR_NOMEM)
			return err_nomem(err);
	return buf_rc(&p->user) < 0 || buf_rc(&p->reasons) < 0 ? err_nomem(err) : 0;
}

/* What is told of a row that is there. */
static int row_update(struct putting *p, int64_t *changed, struct err *err)
{
	const struct db_ran *r = p->ran;

	return SQL_RUN(p->conn, changed, err,
		       "UPDATE ran SET last_ms = CASE WHEN last_ms < $1 THEN $1 ELSE last_ms END,"
		       " programs = CASE WHEN programs < $2 THEN $2 ELSE programs END,"
		       " shells = CASE WHEN shells < $3 THEN $3 ELSE shells END,"
		       " repairs = CASE WHEN repairs < $4 THEN $4 ELSE repairs END,"
		       " user = CASE $5 WHEN '' THEN user ELSE $5 END, received_ms = $6"
		       " WHERE machine_id = $7 AND environment = $8 AND uid = $9"
		       " AND case_code = $10 AND first_ms = $11",
		       ARG_INT(p->last_ms), ARG_INT(r->programs), ARG_INT(r->shells),
		       ARG_INT(r->repairs), ARG_TEXT(buf_cstr(&p->user)), ARG_INT(r->received_ms),
		       ARG_INT(p->machine), ARG_UUID(&r->environment), ARG_INT(r->uid),
		       ARG_TEXT(r->case_code), ARG_INT(r->first_ms));
}

static int row_insert(struct putting *p, struct err *err)
{
	const struct db_ran *r = p->ran;

	return SQL_RUN(p->conn, NULL, err,
		       "INSERT INTO ran (machine_id, environment, uid, case_code, first_ms,"
		       " last_ms, user, programs, shells, repairs, reasons, received_ms)"
		       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
		       ARG_INT(p->machine), ARG_UUID(&r->environment), ARG_INT(r->uid),
		       ARG_TEXT(r->case_code), ARG_INT(r->first_ms), ARG_INT(p->last_ms),
		       ARG_TEXT(buf_cstr(&p->user)), ARG_INT(r->programs), ARG_INT(r->shells),
		       ARG_INT(r->repairs), ARG_TEXT(buf_cstr(&p->reasons)),
		       ARG_INT(r->received_ms));
}

/* An account's rows make room for its own alone: nobody drives out what others did. */
static int make_room(const struct putting *p, struct err *err)
{
	const struct db_ran *r = p->ran;
	int64_t n = 0, changed = 0;
	bool found;
	int rc = SQL_GET_INT(p->conn, &n, &found, err,
			     "SELECT count(*) FROM ran"
			     " WHERE machine_id = $1 AND environment = $2 AND uid = $3",
			     ARG_INT(p->machine), ARG_UUID(&r->environment), ARG_INT(r->uid));

	if (rc == 0 && n >= DB_RAN_EACH_MAX)
		return SQL_RUN(p->conn, NULL, err,
			       "DELETE FROM ran WHERE id = (SELECT id FROM ran"
			       " WHERE machine_id = $1 AND environment = $2 AND uid = $3"
			       " ORDER BY last_ms, id LIMIT 1)",
			       ARG_INT(p->machine), ARG_UUID(&r->environment), ARG_INT(r->uid));
	if (rc == 0)
		rc = SQL_GET_INT(p->conn, &n, &found, err,
				 "SELECT count(*) FROM ran WHERE machine_id = $1",
				 ARG_INT(p->machine));
	if (rc < 0 || n < DB_RAN_MACHINE_MAX)
		return rc;
	rc = SQL_RUN(p->conn, &changed, err,
		     "DELETE FROM ran WHERE id = (SELECT id FROM ran"
		     " WHERE machine_id = $1 AND uid = $2 ORDER BY last_ms, id LIMIT 1)",
		     ARG_INT(p->machine), ARG_INT(r->uid));
	return rc == 0 && changed == 0
		       ? err_set(err, ERR_LIMIT, "more than %d runs after blocks of one machine",
				 DB_RAN_MACHINE_MAX)
		       : rc;
}

static int machine_find(struct putting *p, struct err *err)
{
	bool found = false;
	int rc = SQL_GET_INT(p->conn, &p->machine, &found, err,
			     "SELECT id FROM machine WHERE uuid = $1", ARG_UUID(&p->ran->machine));

	return rc == 0 && !found ? err_set(err, ERR_NOTFOUND, "no such machine") : rc;
}

int db_ran_put(struct db_conn *conn, const struct db_ran *ran, struct err *err)
{
	struct putting p = {.conn = conn, .ran = ran};
	int64_t changed = 0;
	int rc;

	buf_init(&p.user, TEXT_MAX);
	buf_init(&p.reasons, DB_RAN_REASONS_MAX * (TEXT_MAX + 2));
	rc = check(&p, err);
	if (rc == 0)
		rc = machine_find(&p, err);
	if (rc == 0)
		rc = row_update(&p, &changed, err);
	if (rc == 0 && changed == 0) {
		rc = make_room(&p, err);
		if (rc == 0)
			rc = row_insert(&p, err);
	}
	buf_deinit(&p.user);
	buf_deinit(&p.reasons);
	return rc;
}

/* --- reading --- */

#define COLUMNS                                                                                    \
	"r.id, m.uuid, r.environment, r.uid, r.user, r.case_code, r.reasons, r.first_ms, "         \
	"r.last_ms, r.programs, r.shells, r.repairs, r.received_ms, m.hostname, e.path"
#define FROM                                                                                       \
	" FROM ran r JOIN machine m ON m.id = r.machine_id LEFT JOIN env e"                        \
	" ON e.uuid = r.environment AND e.machine_id = r.machine_id"

static int ran_read(struct sql_rows *rows, struct arena *arena, struct db_ran *out)
{
	const char *reasons = sql_text(rows, 6, arena);
	struct db_labels lines = {.n = 0};

	out->row = sql_int(rows, 0);
	sql_uuid(rows, 1, &out->machine);
	sql_uuid(rows, 2, &out->environment);
	out->uid = sql_int(rows, 3);
	out->user = sql_text(rows, 4, arena);
	out->case_code = sql_text(rows, 5, arena);
	out->first_ms = sql_int(rows, 7);
	out->last_ms = sql_int(rows, 8);
	if (out->first_ms > out->last_ms) /* told by a clock that is ahead */
		out->first_ms = out->last_ms;
	out->programs = sql_int(rows, 9);
	out->shells = sql_int(rows, 10);
	out->repairs = sql_int(rows, 11);
	out->received_ms = sql_int(rows, 12);
	out->hostname = sql_text(rows, 13, arena);
	out->prefix = sql_text(rows, 14, arena);
	if (!reasons || !out->user || !out->case_code || !out->hostname || !out->prefix ||
	    sql_labels_split(reasons, arena, &lines) < 0)
		return ERR_NOMEM;
	out->reasons = lines.items;
	out->n_reasons = lines.n;
	return 0;
}

static void conditions(struct sql_query *q, const struct db_ran_filter *f)
{
	if (f->environment)
		SQL_WHERE(q, "r.environment = ?", ARG_UUID(f->environment));
	if (f->machine)
		SQL_WHERE(q, "m.uuid = ?", ARG_UUID(f->machine));
	if (sql_given(f->hostname))
		SQL_WHERE(q, "m.hostname = ?", ARG_TEXT(f->hostname));
	if (sql_given(f->rule))
		SQL_WHERE(q, "replace(r.reasons, ?, '') <> r.reasons",
			  sql_pattern(q, "\nrule ", f->rule, "\n"));
	if (sql_given(f->user))
		SQL_WHERE(q, "r.user = ?", ARG_TEXT(f->user));
	if (f->since_ms > 0)
		SQL_WHERE(q, "r.last_ms >= ?", ARG_INT(f->since_ms));
}

int db_ran_list(struct db_conn *conn, const struct db_ran_filter *filter,
		const struct db_cursor *after, size_t limit, struct arena *arena,
		struct db_ran **out, size_t *n, struct err *err)
{
	struct sql_query q;
	struct sql_list list;
	struct sql_rows *rows = NULL;
	int rc;

	sql_query_init(&q, "SELECT " COLUMNS FROM);
	conditions(&q, filter);
	if (after && after->set)
		SQL_WHERE(&q, "r.id < ?", ARG_INT(after->id));
	SQL_END(&q, " ORDER BY r.id DESC LIMIT ?", ARG_INT(sql_limit(limit)));
	sql_list_init(&list, arena, sizeof(**out));
	rc = sql_query_open(conn, &q, &rows, err);
	while (rc >= 0 && (rc = sql_next(rows, err)) > 0) {
		struct db_ran *ran = sql_list_add(&list);

		if (!ran || ran_read(rows, arena, ran) < 0)
			rc = err_nomem(err);
	}
	sql_close(rows);
	sql_query_deinit(&q);
	if (rc < 0)
		return rc;
	*out = (struct db_ran *)list.items;
	*n = list.n;
	return 0;
}
