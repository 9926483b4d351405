/*
 * What a store's engine must do, as a struct of functions (chosen at run time by db_open). Only the
 * driver knows its library; it translates its errors. Statements name their parameters $1, $2, ...
 * in the order of first use.
 */
#ifndef ENVWARDEN_SERVER_DB_DRIVER_H
#define ENVWARDEN_SERVER_DB_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "server/db/sql.h"

struct db_migration {
	const char *const *statements; /* ended by NULL */
};

struct db_driver {
	/* Schema numbers 1, 2, ... in order: what was released is never changed. */
	const struct db_migration *migrations;
	size_t n_migrations;
	const char *begin; /* takes the write lock at once */

	int (*open)(const char *where, bool writable, void **native, struct err *err);
	void (*close)(void *native);
	bool (*in_transaction)(void *native);
	/* Moves committed work to its final place, on a connection that does nothing else. May make
	 * writers wait when very much has piled up. */
	int (*checkpoint)(void *native, struct err *err);

	/* Reads all of it; ERR_CORRUPT: it is damaged. */
	int (*check)(void *native, struct err *err);

	int (*prepare)(void *native, const char *sql, void **stmt, struct err *err);
	void (*finalize)(void *stmt);
	/* Values are borrowed until reset. */
	int (*bind)(void *stmt, int index, const struct sql_arg *arg, struct err *err);
	int (*step)(void *native, void *stmt, struct err *err); /* 1 a row, 0 done, negative */
	void (*reset)(void *stmt);				/* also forgets what was bound */
	int64_t (*changes)(void *native); /* rows the last statement changed */

	/* The current row; columns from 0. NULL reads as 0 or an empty value. */
	int64_t (*column_int)(void *stmt, int column);
	const void *(*column_bytes)(void *stmt, int column, size_t *n); /* never NULL */
};

extern const struct db_driver db_driver_sqlite;

#endif
