#include "server/db/db_request.h"

#include "lib/policy/decision.h"
#include "proto/limits.h"
#include "server/db/db_apply.h"
#include "server/db/sql.h"

static const char *const names[] = {NULL, "open", "approved", "denied"};

const char *db_request_state_name(enum db_request_state state)
{
	return state >= DB_REQUEST_OPEN && state <= DB_REQUEST_DENIED ? names[state] : "unknown";
}

int db_request_state_parse(const char *text, enum db_request_state *out)
{
	for (int i = DB_REQUEST_OPEN; i <= DB_REQUEST_DENIED; i++) {
		if (strcmp(names[i], text) == 0) {
			*out = (enum db_request_state)i;
			return 0;
		}
	}
	return ERR_INVALID;
}

static int check_new(const struct db_request *r, struct err *err)
{
	int rc = sql_check_text("user", r->user, LIMIT_TEXT, err);

	if (rc == 0)
		rc = sql_check_text("reason", r->reason, LIMIT_TEXT, err);
	if (rc == 0)
		rc = sql_check_text("case code", r->case_code, CASE_CODE_MAX, err);
	if (rc == 0 && uuid_is_zero(&r->id))
		rc = err_set(err, ERR_INVALID, "a request without an id");
	return rc;
}

/* Members can't fill the store. */
static int check_open(struct db_conn *conn, int64_t machine, struct err *err)
{
	int64_t n = 0;
	bool found;
	int rc = SQL_GET_INT(conn, &n, &found, err,
			     "SELECT count(*) FROM exception_request"
			     " WHERE machine_id = $1 AND state = $2",
			     ARG_INT(machine), ARG_INT(DB_REQUEST_OPEN));

	return rc == 0 && n >= DB_REQUESTS_OPEN_MAX
		       ? err_set(err, ERR_LIMIT, "%d requests of this machine await an answer",
				 DB_REQUESTS_OPEN_MAX)
		       : rc;
}

/* Asked about again: the machine was away for as long as its answer was told. */
static int tell_again(struct db_conn *conn, int64_t id, const struct db_request *r, struct err *err)
{
	int64_t n = 0;
	int rc = SQL_RUN(conn, &n, err,
			 "UPDATE exception_request SET received_ms = $1 WHERE id = $2"
			 " AND state <> $3 AND answered_ms <= $4 AND received_ms <= $4",
			 ARG_INT(r->received_ms), ARG_INT(id), ARG_INT(DB_REQUEST_OPEN),
			 ARG_INT(r->received_ms - DB_REQUEST_TOLD_MS));

	return rc == 0 && n > 0 ? machine_bump(conn, &r->machine, r->received_ms, err) : rc;
}

int db_request_put(struct db_conn *conn, const struct db_request *r, bool *created, struct err *err)
{
	int64_t machine, known;
	bool found = false;
	int rc = check_new(r, err);

	*created = false;
	if (rc == 0)
		rc = SQL_GET_INT(conn, &machine, &found, err,
				 "SELECT id FROM machine WHERE uuid = $1", ARG_UUID(&r->machine));
	if (rc == 0 && !found)
		rc = err_set(err, ERR_NOTFOUND, "no such machine");
	if (rc == 0)
		rc = SQL_GET_INT(conn, &known, &found, err,
				 "SELECT id FROM exception_request"
				 " WHERE machine_id = $1 AND uuid = $2",
				 ARG_INT(machine), ARG_UUID(&r->id));
	if (rc != 0)
		return rc;
	if (found)
		return tell_again(conn, known, r, err);
	rc = check_open(conn, machine, err);
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "INSERT INTO exception_request (machine_id, uuid, environment, user,"
			     " reason, case_code, made_ms, received_ms, state, answer, answered_by,"
			     " answered_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', '', 0)",
			     ARG_INT(machine), ARG_UUID(&r->id), ARG_UUID(&r->environment),
			     ARG_TEXT(r->user), ARG_TEXT(r->reason), ARG_TEXT(r->case_code),
			     ARG_INT(r->made_ms), ARG_INT(r->received_ms),
			     ARG_INT(DB_REQUEST_OPEN));
	if (rc == 0)
		rc = machine_bump(conn, &r->machine, r->received_ms, err);
	*created = rc == 0;
	return rc;
}

/* --- reading --- */

#define COLUMNS                                                                                    \
	"q.id, q.uuid, m.uuid, q.environment, q.user, q.reason, q.case_code, q.made_ms, "          \
	"q.received_ms, q.state, q.answer, q.answered_by, q.answered_ms, m.hostname, "             \
	"(SELECT e.path FROM env e WHERE e.uuid = q.environment AND e.machine_id = m.id), "        \
	"x.uuid, CASE WHEN x.revoked_ms > 0 AND x.revoked_ms < x.expires_ms"                       \
	" THEN x.revoked_ms ELSE x.expires_ms END"
#define FROM                                                                                       \
	" FROM exception_request q JOIN machine m ON m.id = q.machine_id"                          \
	" LEFT JOIN exception x ON x.environment = q.environment AND x.request = q.uuid"

static int request_read(struct sql_rows *rows, struct arena *arena, struct db_request *out)
{
	out->row = sql_int(rows, 0);
	sql_uuid(rows, 1, &out->id);
	sql_uuid(rows, 2, &out->machine);
	sql_uuid(rows, 3, &out->environment);
	out->user = sql_text(rows, 4, arena);
	out->reason = sql_text(rows, 5, arena);
	out->case_code = sql_text(rows, 6, arena);
	out->made_ms = sql_int(rows, 7);
	out->received_ms = sql_int(rows, 8);
	out->state = (enum db_request_state)sql_int(rows, 9);
	out->answer = sql_text(rows, 10, arena);
	out->answered_by = sql_text(rows, 11, arena);
	out->answered_ms = sql_int(rows, 12);
	out->hostname = sql_text(rows, 13, arena);
	out->prefix = sql_text(rows, 14, arena);
	sql_uuid(rows, 15, &out->exception);
	out->until_ms = sql_int(rows, 16);
	return out->user && out->reason && out->case_code && out->answer && out->answered_by &&
			       out->hostname && out->prefix
		       ? 0
		       : ERR_NOMEM;
}

/* All rows of an open statement, which is closed in any case. */
static int read_all(struct sql_rows *rows, struct arena *arena, struct db_request **out, size_t *n,
		    struct err *err)
{
	struct sql_list list;
	int rc;

	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_request *request = sql_list_add(&list);

		if (!request || request_read(rows, arena, request) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_request *)list.items;
	*n = list.n;
	return 0;
}

int db_request_list(struct db_conn *conn, const struct db_request_filter *f,
		    const struct db_cursor *after, size_t limit, struct arena *arena,
		    struct db_request **out, size_t *n, struct err *err)
{
	struct sql_query q;
	struct sql_rows *rows = NULL;
	int rc;

	sql_query_init(&q, "SELECT " COLUMNS FROM);
	if (f->has_state)
		SQL_WHERE(&q, "q.state = ?", ARG_INT(f->state));
	if (f->environment)
		SQL_WHERE(&q, "q.environment = ?", ARG_UUID(f->environment));
	if (sql_given(f->case_code))
		SQL_WHERE(&q, "q.case_code = ?", ARG_TEXT(f->case_code));
	if (after && after->set)
		SQL_WHERE(&q, "q.id < ?", ARG_INT(after->id));
	SQL_END(&q, " ORDER BY q.id DESC LIMIT ?", ARG_INT(sql_limit(limit)));
	rc = sql_query_open(conn, &q, &rows, err);
	if (rc == 0)
		rc = read_all(rows, arena, out, n, err);
	sql_query_deinit(&q);
	return rc;
}

int db_request_get(struct db_conn *conn, const struct uuid *id, struct arena *arena,
		   struct db_request *out, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct db_request *list;
	size_t n = 0;
	int rc = SQL_OPEN(conn, &rows, err, "SELECT " COLUMNS FROM " WHERE q.uuid = $1",
			  ARG_UUID(id));

	if (rc == 0)
		rc = read_all(rows, arena, &list, &n, err);
	if (rc < 0)
		return rc;
	if (n == 0)
		return err_set(err, ERR_NOTFOUND, "no such request");
	/* Ids are random: only a hostile agent could make another's. */
	if (n > 1)
		return err_set(err, ERR_CONFLICT,
			       "several machines have sent a request of this id");
	*out = list[0];
	return 0;
}

int db_request_answer(struct db_conn *conn, const struct uuid *id, enum db_request_state state,
		      const char *answer, const char *by, int64_t now_ms, struct err *err)
{
	struct db_request request;
	struct arena arena;
	int rc = sql_check_text("answer", answer, DECISION_MESSAGE_MAX, err);

	arena_init(&arena, SIZE_MAX);
	if (rc == 0)
		rc = db_request_get(conn, id, &arena, &request, err);
	if (rc == 0 && request.state != DB_REQUEST_OPEN)
		rc = err_set(err, ERR_CONFLICT, "it was %s before",
			     db_request_state_name(request.state));
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "UPDATE exception_request SET state = $1, answer = $2,"
			     " answered_by = $3, answered_ms = $4 WHERE id = $5",
			     ARG_INT(state), ARG_TEXT(answer), ARG_TEXT(by), ARG_INT(now_ms),
			     ARG_INT(request.row));
	if (rc == 0)
		rc = machine_bump(conn, &request.machine, now_ms, err);
	arena_deinit(&arena);
	return rc;
}

int db_request_of_machine(struct db_conn *conn, const struct uuid *machine, int64_t now_ms,
			  struct arena *arena, struct db_request **out, size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " COLUMNS FROM " WHERE m.uuid = $1"
			  " AND (q.state = $2 OR q.answered_ms > $3 OR q.received_ms > $3) ORDER "
			  "BY q.id DESC LIMIT $4",
			  ARG_UUID(machine), ARG_INT(DB_REQUEST_OPEN),
			  ARG_INT(now_ms - DB_REQUEST_TOLD_MS), ARG_INT(LIMIT_REQUESTS));

	return rc < 0 ? rc : read_all(rows, arena, out, n, err);
}
