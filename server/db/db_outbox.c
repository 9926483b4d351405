#include "server/db/db_outbox.h"

#include "lib/base/mem.h"
#include "server/db/sql.h"

#define REPEAT_WINDOW 64 /* rows looked back for a repetition */

int db_outbox_add(struct db_conn *conn, enum db_outbox_kind kind, const struct uuid *machine,
		  int64_t now_ms, struct err *err)
{
	static const struct uuid all;
	struct sql_outbox *box = sql_outbox(conn);

	if (!machine)
		machine = &all;
	for (size_t i = box->n; i > 0 && box->n - i < REPEAT_WINDOW; i--) {
		if (box->rows[i - 1].kind == (int)kind &&
		    uuid_cmp(&box->rows[i - 1].machine, machine) == 0)
			return 0;
	}
	if (box->n == box->cap) {
		size_t cap = box->cap ? box->cap * 2 : 64;
		struct sql_outbox_row *rows = mem_realloc(box->rows, cap * sizeof(*rows));

		if (!rows)
			return err_nomem(err);
		box->rows = rows;
		box->cap = cap;
	}
	box->rows[box->n++] = (struct sql_outbox_row){(int)kind, *machine, now_ms};
	return 0;
}

int outbox_flush(struct db_conn *conn, struct err *err)
{
	struct sql_outbox *box = sql_outbox(conn);
	int64_t last = 0;
	bool found;
	int rc =
		SQL_GET_INT(conn, &last, &found, err,
			    "UPDATE outbox_head SET seq = seq + $1 RETURNING seq", ARG_INT(box->n));

	for (size_t i = 0; i < box->n && rc == 0; i++) {
		const struct sql_outbox_row *row = &box->rows[i];

		rc = SQL_RUN(conn, NULL, err,
			     "INSERT INTO outbox (seq, kind, machine, at_ms) "
			     "VALUES ($1, $2, $3, $4)",
			     ARG_INT(last - (int64_t)(box->n - 1 - i)), ARG_INT(row->kind),
			     ARG_UUID(&row->machine), ARG_INT(row->at_ms));
	}
	return rc;
}

int db_outbox_poll(struct db_conn *conn, uint64_t after, size_t limit, struct arena *arena,
		   struct db_outbox **out, size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT seq, kind, machine, at_ms FROM outbox WHERE seq > $1 "
			  "ORDER BY seq LIMIT $2",
			  ARG_INT(after), ARG_INT(sql_limit(limit)));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_outbox *row = sql_list_add(&list);

		if (!row) {
			rc = err_nomem(err);
			break;
		}
		row->seq = (uint64_t)sql_int(rows, 0);
		row->kind = (enum db_outbox_kind)sql_int(rows, 1);
		sql_uuid(rows, 2, &row->machine);
		row->at_ms = sql_int(rows, 3);
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_outbox *)list.items;
	*n = list.n;
	return 0;
}

int db_outbox_head(struct db_conn *conn, uint64_t *seq, struct err *err)
{
	int64_t head = 0;
	bool found;
	int rc = sql_get_int(conn, &head, &found, err, "SELECT seq FROM outbox_head", NULL, 0);

	if (rc == 0)
		*seq = (uint64_t)head;
	return rc;
}

int db_outbox_prune(struct db_conn *conn, int64_t before_ms, struct err *err)
{
	return SQL_RUN(conn, NULL, err, "DELETE FROM outbox WHERE at_ms < $1", ARG_INT(before_ms));
}
