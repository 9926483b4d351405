#include "server/db/db.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"
#include "server/db/driver.h"
#include "server/db/sql.h"

#define CACHE_SIZE 512 /* prepared statements a connection keeps; a power of two */

/* A prepared statement in the cache; while `open` it is somebody's sql_rows. */
struct sql_rows {
	struct db_conn *conn;
	char *text;
	void *stmt;
	bool open;
};

struct db {
	const struct db_driver *driver;
	char *where;
};

struct db_conn {
	const struct db_driver *driver;
	void *native;
	bool writable;
	struct sql_outbox outbox;
	struct sql_rows *cache[CACHE_SIZE]; /* open addressing by a hash of the text */
	size_t n_cached;
};

const struct db_driver *sql_driver(const struct db_conn *conn)
{
	return conn->driver;
}

void *sql_native(struct db_conn *conn)
{
	return conn->native;
}

struct sql_outbox *sql_outbox(struct db_conn *conn)
{
	return &conn->outbox;
}

/* --- statements --- */

static void rows_free(struct sql_rows *rows)
{
	if (!rows)
		return;
	rows->conn->driver->finalize(rows->stmt);
	mem_free(rows->text);
	mem_free(rows);
}

static void cache_drop(struct db_conn *conn)
{
	for (size_t i = 0; i < CACHE_SIZE; i++) {
		CHECK(!conn->cache[i] || !conn->cache[i]->open);
		rows_free(conn->cache[i]);
		conn->cache[i] = NULL;
	}
	conn->n_cached = 0;
}

/* The slot where the text is, or would be. */
static struct sql_rows **cache_slot(struct db_conn *conn, const char *text)
{
	uint32_t hash = 2166136261U;
	size_t i;

	for (const char *p = text; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619U;
	i = hash & (CACHE_SIZE - 1);
	while (conn->cache[i] && strcmp(conn->cache[i]->text, text) != 0)
		i = (i + 1) & (CACHE_SIZE - 1);
	return &conn->cache[i];
}

static int rows_prepare(struct db_conn *conn, const char *sql, struct sql_rows **out,
			struct err *err)
{
	struct sql_rows **slot = cache_slot(conn, sql);
	struct sql_rows *rows = NULL;
	int rc;

	if (*slot) {
		*out = *slot;
		return 0;
	}
	CHECK(conn->n_cached < CACHE_SIZE / 2); /* the texts are ours, and few */
	rows = mem_calloc(1, sizeof(*rows));
	if (!rows)
		return err_nomem(err);
	rows->conn = conn;
	rows->text = mem_strdup(sql);
	rc = rows->text ? conn->driver->prepare(conn->native, sql, &rows->stmt, err)
			: err_nomem(err);
	if (rc < 0) {
		mem_free(rows->text);
		mem_free(rows);
		return rc;
	}
	*slot = rows;
	conn->n_cached++;
	*out = rows;
	return 0;
}

int sql_open(struct db_conn *conn, struct sql_rows **out, struct err *err, const char *sql,
	     const struct sql_arg *args, size_t n)
{
	struct sql_rows *rows = NULL;
	int rc = rows_prepare(conn, sql, &rows, err);

	if (rc < 0)
		return rc;
	CHECK(!rows->open);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = conn->driver->bind(rows->stmt, (int)i + 1, &args[i], err);
	if (rc < 0) {
		conn->driver->reset(rows->stmt);
		return rc;
	}
	rows->open = true;
	*out = rows;
	return 0;
}

int sql_next(struct sql_rows *rows, struct err *err)
{
	return rows->conn->driver->step(rows->conn->native, rows->stmt, err);
}

void sql_close(struct sql_rows *rows)
{
	if (!rows)
		return;
	rows->conn->driver->reset(rows->stmt);
	rows->open = false;
}

int64_t sql_int(struct sql_rows *rows, int column)
{
	return rows->conn->driver->column_int(rows->stmt, column);
}

bool sql_bool(struct sql_rows *rows, int column)
{
	return sql_int(rows, column) != 0;
}

const char *sql_text(struct sql_rows *rows, int column, struct arena *arena)
{
	size_t n;
	const char *text = rows->conn->driver->column_bytes(rows->stmt, column, &n);

	return n ? arena_strndup(arena, text, n) : "";
}

const void *sql_blob(struct sql_rows *rows, int column, struct arena *arena, size_t *n)
{
	const void *data = rows->conn->driver->column_bytes(rows->stmt, column, n);

	return *n ? arena_dup(arena, data, *n) : "";
}

bool sql_fixed(struct sql_rows *rows, int column, void *out, size_t n)
{
	size_t have;
	const void *data = rows->conn->driver->column_bytes(rows->stmt, column, &have);

	memset(out, 0, n);
	if (have == n)
		memcpy(out, data, n);
	return have == n;
}

void sql_uuid(struct sql_rows *rows, int column, struct uuid *out)
{
	(void)sql_fixed(rows, column, out->b, UUID_SIZE);
}

/* --- transactions --- */

int db_begin(struct db_conn *conn, struct err *err)
{
	conn->outbox.n = conn->outbox.mark = 0;
	return sql_run(conn, NULL, err, conn->writable ? conn->driver->begin : "BEGIN", NULL, 0);
}

int db_commit(struct db_conn *conn, struct err *err)
{
	int rc = conn->outbox.n ? outbox_flush(conn, err) : 0;

	if (rc == 0)
		rc = sql_run(conn, NULL, err, "COMMIT", NULL, 0);
	if (rc < 0)
		db_rollback(conn);
	return rc;
}

void db_rollback(struct db_conn *conn)
{
	conn->outbox.n = conn->outbox.mark = 0;
	if (db_in_transaction(conn))
		(void)sql_run(conn, NULL, NULL, "ROLLBACK", NULL, 0);
}

int db_savepoint(struct db_conn *conn, struct err *err)
{
	conn->outbox.mark = conn->outbox.n;
	return sql_run(conn, NULL, err, "SAVEPOINT job", NULL, 0);
}

int db_savepoint_keep(struct db_conn *conn, struct err *err)
{
	return sql_run(conn, NULL, err, "RELEASE SAVEPOINT job", NULL, 0);
}

int db_savepoint_undo(struct db_conn *conn, struct err *err)
{
	int rc = sql_run(conn, NULL, err, "ROLLBACK TO SAVEPOINT job", NULL, 0);

	conn->outbox.n = conn->outbox.mark;
	return rc < 0 ? rc : db_savepoint_keep(conn, err);
}

bool db_in_transaction(const struct db_conn *conn)
{
	return conn->driver->in_transaction(conn->native);
}

int sql_checkpoint(struct db_conn *conn, struct err *err)
{
	return conn->driver->checkpoint(conn->native, err);
}

int db_check(struct db_conn *conn, struct err *err)
{
	return conn->driver->check(conn->native, err);
}

/* --- schema --- */

int db_schema_version(struct db_conn *conn, int64_t *out, struct err *err)
{
	bool found = false;
	int64_t version = 0;
	int rc = sql_get_int(conn, &version, &found, err, "SELECT version FROM schema_version",
			     NULL, 0);

	if (rc == 0 && !found)
		rc = err_set(err, ERR_CORRUPT, "the store has lost its schema number");
	if (rc == 0)
		*out = version;
	return rc;
}

static int migrate_one(struct db_conn *conn, size_t number, struct err *err)
{
	const struct db_migration *m = &conn->driver->migrations[number - 1];
	int rc = 0;

	for (size_t i = 0; m->statements[i] && rc == 0; i++)
		rc = sql_run(conn, NULL, err, m->statements[i], NULL, 0);
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err, "UPDATE schema_version SET version = $1",
			     ARG_INT(number));
	if (rc < 0 && err)
		(void)err_context(err, "schema %zu", number);
	return rc;
}

/* All steps in one transaction: a store has one of the released schemas, never half of one. */
static int migrate(struct db_conn *conn, struct err *err)
{
	int64_t version = 0;
	int rc = db_begin(conn, err);

	if (rc < 0)
		return rc;
	rc = sql_run(conn, NULL, err,
		     "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)", NULL,
		     0);
	if (rc == 0)
		rc = sql_run(conn, NULL, err,
			     "INSERT INTO schema_version (version) SELECT 0 "
			     "WHERE NOT EXISTS (SELECT 1 FROM schema_version)",
			     NULL, 0);
	if (rc == 0)
		rc = db_schema_version(conn, &version, err);
	if (rc == 0 && (version < 0 || (uint64_t)version > conn->driver->n_migrations))
		rc = err_set(err, ERR_STALE,
			     "the store has schema %" PRId64 ", this program knows up to %zu",
			     version, conn->driver->n_migrations);
	for (size_t i = (size_t)version + 1; rc == 0 && i <= conn->driver->n_migrations; i++)
		rc = migrate_one(conn, i, err);
	if (rc == 0)
		rc = db_commit(conn, err);
	else
		db_rollback(conn);
	return rc;
}

/* --- opening --- */

/* Prepared at once, so that the way back from running out of memory needs none. */
static int transactions_prepare(struct db_conn *conn, struct err *err)
{
	const char *const texts[] = {
		conn->writable ? conn->driver->begin : "BEGIN",
		"COMMIT",
		"ROLLBACK",
		"SAVEPOINT job",
		"RELEASE SAVEPOINT job",
		"ROLLBACK TO SAVEPOINT job",
	};
	struct sql_rows *rows;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts) && rc == 0; i++)
		rc = rows_prepare(conn, texts[i], &rows, err);
	return rc;
}

int db_conn_open(struct db *db, bool writable, struct db_conn **out, struct err *err)
{
	struct db_conn *conn = mem_calloc(1, sizeof(*conn));
	int rc;

	if (!conn)
		return err_nomem(err);
	conn->driver = db->driver;
	conn->writable = writable;
	rc = db->driver->open(db->where, writable, &conn->native, err);
	if (rc < 0) {
		mem_free(conn);
		return rc;
	}
	rc = transactions_prepare(conn, err);
	if (rc < 0) {
		db_conn_close(conn);
		return rc;
	}
	*out = conn;
	return 0;
}

void db_conn_close(struct db_conn *conn)
{
	if (!conn)
		return;
	db_rollback(conn);
	cache_drop(conn);
	mem_free(conn->outbox.rows);
	conn->driver->close(conn->native);
	mem_free(conn);
}

int db_open(const char *where, struct db **out, struct err *err)
{
	struct db *db = mem_calloc(1, sizeof(*db));
	struct db_conn *conn = NULL;
	int rc;

	if (!db)
		return err_nomem(err);
	db->driver = &db_driver_sqlite;
	db->where = mem_strdup(where);
	rc = db->where ? db_conn_open(db, true, &conn, err) : err_nomem(err);
	if (rc == 0)
		rc = migrate(conn, err);
	db_conn_close(conn);
	if (rc < 0) {
		if (err)
			(void)err_context(err, "open store %s", where);
		db_close(db);
		return rc;
	}
	*out = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	mem_free(db->where);
	mem_free(db);
}
