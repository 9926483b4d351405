#include "server/db/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <sqlite3.h>
#include <uv.h>

#include "lib/base/compiler.h"
#include "server/db/driver.h"

#define WAL_PAGES_MAX 16384 /* 128 MiB */

static int from_sqlite(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_FULL:
		return ERR_FULL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_CONSTRAINT:
		return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
				       code == SQLITE_CONSTRAINT_ROWID
			       ? ERR_EXISTS
			       : ERR_INVALID;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return ERR_PERM;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return ERR_IO;
	default:
		return ERR_INTERNAL;
	}
}

/* Of the file it shares with other connections the library only says that it failed. */
static bool no_space(sqlite3 *native)
{
	return (sqlite3_errcode(native) & 0xff) == SQLITE_IOERR &&
	       sqlite3_system_errno(native) == ENOSPC;
}

static int failed(sqlite3 *native, struct err *err)
{
	if (no_space(native))
		return err_set(err, ERR_FULL, "store: %s", sqlite3_errstr(SQLITE_FULL));
	return err_set(err, from_sqlite(sqlite3_extended_errcode(native)), "store: %s",
		       sqlite3_errmsg(native));
}

/*
 * Made before the library would make it, so that only this account can read it from the start. A
 * file that is there is not even opened: closing it again would end the locks that this process's
 * other connections hold on it.
 */
static int make_file(const char *where, struct err *err)
{
	uv_fs_t req;
	int fd = uv_fs_open(NULL, &req, where, O_CREAT | O_EXCL | O_RDWR, 0600, NULL);

	uv_fs_req_cleanup(&req);
	if (fd == UV_EEXIST)
		return 0;
	if (fd < 0)
		return err_set(err, fd == UV_ENOENT ? ERR_NOTFOUND : ERR_IO, "%s", uv_strerror(fd));
	(void)uv_fs_close(NULL, &req, fd, NULL);
	uv_fs_req_cleanup(&req);
	return 0;
}

/*
 * The page size takes effect in a new file only. Nothing is checkpointed on commit: that is the
 * pool's own thread's work.
 */
static const char setup[] = "PRAGMA page_size = 8192;"
			    "PRAGMA journal_mode = WAL;"
			    "PRAGMA synchronous = FULL;"
			    "PRAGMA wal_autocheckpoint = 0;"
			    "PRAGMA foreign_keys = ON;"
			    "PRAGMA trusted_schema = OFF;"
			    "PRAGMA cache_size = -32768;";

static int native_open(const char *where, bool writable, void **out, struct err *err)
{
	sqlite3 *native = NULL;
	int rc = make_file(where, err);

	if (rc < 0)
		return rc;
	if (sqlite3_open_v2(where, &native,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
			    NULL) != SQLITE_OK) {
		rc = native ? failed(native, err) : err_nomem(err);
		goto fail;
	}
	(void)sqlite3_extended_result_codes(native, 1);
	if (sqlite3_busy_timeout(native, DB_BUSY_MS) != SQLITE_OK ||
	    sqlite3_db_config(native, SQLITE_DBCONFIG_DQS_DML, 0, NULL) != SQLITE_OK ||
	    sqlite3_exec(native, setup, NULL, NULL, NULL) != SQLITE_OK ||
	    (!writable &&
	     sqlite3_exec(native, "PRAGMA query_only = ON", NULL, NULL, NULL) != SQLITE_OK)) {
		rc = failed(native, err);
		goto fail;
	}
	*out = native;
	return 0;
fail:
	(void)sqlite3_close(native);
	return rc;
}

static void native_close(void *native)
{
	CHECK(sqlite3_close(native) == SQLITE_OK);
}

static bool native_in_transaction(void *native)
{
	return !sqlite3_get_autocommit(native);
}

static int native_checkpoint(void *native, struct err *err)
{
	int pages = 0;
	int rc = sqlite3_wal_checkpoint_v2(native, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, NULL);

	/* A log that is never quite empty is never begun anew: wait for that when it is long. */
	if (rc == SQLITE_OK && pages > WAL_PAGES_MAX)
		rc = sqlite3_wal_checkpoint_v2(native, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
	/* Somebody reading or writing just now only means that the rest is for the next time. */
	return rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY ? 0 : failed(native, err);
}

/* The library tells of damage in rows; a failure is one too. */
static int native_check(void *native, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	const char *told;
	int rc = 0;

	if (sqlite3_prepare_v2(native, "PRAGMA quick_check(1)", -1, &stmt, NULL) != SQLITE_OK ||
	    sqlite3_step(stmt) != SQLITE_ROW ||
	    !(told = (const char *)sqlite3_column_text(stmt, 0))) /* no memory */
		rc = failed(native, err);
	else if (strcmp(told, "ok") != 0)
		rc = err_set(err, ERR_CORRUPT, "store: damaged: %s", told);
	(void)sqlite3_finalize(stmt);
	return rc;
}

static int stmt_prepare(void *native, const char *sql, void **out, struct err *err)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v3(native, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) !=
	    SQLITE_OK)
		return failed(native, err);
	/* Parameters are numbered by first use: their names must say the same. */
	for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); i++) {
		char name[16];

		(void)sqlite3_snprintf(sizeof(name), name, "$%d", i);
		CHECK(strcmp(sqlite3_bind_parameter_name(stmt, i), name) == 0);
	}
	*out = stmt;
	return 0;
}

static void stmt_finalize(void *stmt)
{
	(void)sqlite3_finalize(stmt);
}

static int stmt_bind(void *stmt, int index, const struct sql_arg *arg, struct err *err)
{
	int rc = SQLITE_OK;

	switch (arg->type) {
	case SQL_NULL:
		rc = sqlite3_bind_null(stmt, index);
		break;
	case SQL_INT:
		rc = sqlite3_bind_int64(stmt, index, arg->num);
		break;
	case SQL_TEXT:
		rc = sqlite3_bind_text64(stmt, index, arg->data, arg->n, SQLITE_STATIC,
					 SQLITE_UTF8);
		break;
	case SQL_BLOB:
		rc = sqlite3_bind_blob64(stmt, index, arg->n ? arg->data : "", arg->n,
					 SQLITE_STATIC);
		break;
	}
	CHECK(rc != SQLITE_RANGE && rc != SQLITE_MISUSE);
	return rc == SQLITE_OK ? 0 : failed(sqlite3_db_handle(stmt), err);
}

static int stmt_step(void *native, void *stmt, struct err *err)
{
	int rc = sqlite3_step(stmt);

	CHECK(rc != SQLITE_MISUSE);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : failed(native, err);
}

static void stmt_reset(void *stmt)
{
	(void)sqlite3_reset(stmt); /* repeats the failure of the last step, which was told */
	(void)sqlite3_clear_bindings(stmt);
}

static int64_t native_changes(void *native)
{
	return sqlite3_changes64(native);
}

static int64_t stmt_column_int(void *stmt, int column)
{
	return sqlite3_column_int64(stmt, column);
}

static const void *stmt_column_bytes(void *stmt, int column, size_t *n)
{
	const void *data = sqlite3_column_blob(stmt, column);

	*n = data ? (size_t)sqlite3_column_bytes(stmt, column) : 0;
	return data ? data : "";
}

static const struct db_migration migrations[] = {
	{sqlite_001}, {sqlite_002}, {sqlite_003}, {sqlite_004}, {sqlite_005},
	{sqlite_006}, {sqlite_007}, {sqlite_008}, {sqlite_009},
};

const struct db_driver db_driver_sqlite = {
	.migrations = migrations,
	.n_migrations = ARRAY_SIZE(migrations),
	.begin = "BEGIN IMMEDIATE",
	.open = native_open,
	.close = native_close,
	.in_transaction = native_in_transaction,
	.checkpoint = native_checkpoint,
	.check = native_check,
	.prepare = stmt_prepare,
	.finalize = stmt_finalize,
	.bind = stmt_bind,
	.step = stmt_step,
	.reset = stmt_reset,
	.changes = native_changes,
	.column_int = stmt_column_int,
	.column_bytes = stmt_column_bytes,
};
