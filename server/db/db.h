/*
 * The org server's store, the one place with SQL. Which engine is behind it is a run-time choice
 * (driver.h: SQLite now); the statements are portable and written once.
 *
 * Words: a db is an opened store; a db_conn is one connection to it, used by one thread at a time.
 * Everything else is an operation on a connection, grouped by subject: db_org.h, db_machine.h,
 * db_package.h, db_journal.h, db_env.h, db_status.h, db_bundle.h, db_admin.h, db_outbox.h. Servers
 * run them on the threads of db_pool.h; tests and tools call them directly.
 *
 * For every operation:
 *  - it blocks on the disk and belongs on no loop thread;
 *  - those that write want a transaction (db_begin, or a pool's write job) and leave it as broken
 * as it is when they fail: roll back to the savepoint;
 *  - results live in the caller's arena, whose maximum bounds them; strings are never NULL;
 *  - strings and bytes given are borrowed for the call; text must be UTF-8 without NUL
 * (ERR_INVALID);
 *  - times are UTC milliseconds and come from the caller;
 *  - errors beside those named: ERR_NOMEM, ERR_IO, ERR_FULL, ERR_CORRUPT, ERR_BUSY (another process
 *    holds the store for longer than DB_BUSY_MS; nothing happened, try again).
 */
#ifndef ENVWARDEN_SERVER_DB_DB_H
#define ENVWARDEN_SERVER_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define DB_BUSY_MS 5000
#define DB_PAGE_MAX 1000 /* rows a page of any list may have; more is asked as this */
#define DB_LABELS_MAX 32
#define DB_LABEL_MAX 64	 /* bytes: letters, digits and "._:/-" */
#define DB_TEXT_MAX 1024 /* bytes of names, titles and other short text */

struct db;
struct db_conn;

/*
 * Opens the store at `where`, a file path, making it (readable by this account only) when missing,
 * and brings its schema up to this program's. ERR_CORRUPT: no store of ours; ERR_STALE: the schema
 * is newer than this program.
 */
int db_open(const char *where, struct db **out, struct err *err);
void db_close(struct db *db); /* after its connections; NULL is fine */

/* writable = false: operations that write fail with ERR_PERM. */
int db_conn_open(struct db *db, bool writable, struct db_conn **out, struct err *err);
void db_conn_close(struct db_conn *conn); /* an open transaction is rolled back; NULL is fine */

/* The schema number now in the store. */
int db_schema_version(struct db_conn *conn, int64_t *out, struct err *err);

/* Reads the whole store. ERR_CORRUPT: it is damaged. */
int db_check(struct db_conn *conn, struct err *err);

/* One transaction at a time on a connection; writers take the store's write lock at once. */
int db_begin(struct db_conn *conn, struct err *err);
/* Durable when it returns 0. On failure everything is rolled back. */
int db_commit(struct db_conn *conn, struct err *err);
void db_rollback(struct db_conn *conn); /* fine without a transaction */

/*
 * One savepoint inside the transaction, not nested: what happened since is kept or undone. The
 * engine may have to give up the whole transaction on an error (disk full); then
 * db_in_transaction() is false and the work before the savepoint is gone as well.
 */
int db_savepoint(struct db_conn *conn, struct err *err);
int db_savepoint_keep(struct db_conn *conn, struct err *err);
int db_savepoint_undo(struct db_conn *conn, struct err *err);
bool db_in_transaction(const struct db_conn *conn);

/* Where a list goes on: the last row's place in the order. Zeroed = from the beginning. */
struct db_cursor {
	bool set;
	int64_t num;	  /* the ordering number, when the order is by number */
	const char *text; /* the ordering text, when it is by text; NULL else */
	int64_t id;
};

/* Names a fleet manager hangs on machines, for scopes. */
struct db_labels {
	const char *const *items;
	size_t n;
};

#endif
