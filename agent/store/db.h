/*
 * The one place that knows LMDB: tables of checked values, read in transactions and written in
 * durable ones. The thread that owns the store makes all calls; at most one transaction is open.
 *
 * LMDB's codes end here: ERR_FULL (disk, quota, the map's limit), ERR_CORRUPT, ERR_NOTFOUND,
 * ERR_PERM (read-only), ERR_UNSUPPORTED, ERR_NOMEM, ERR_IO.
 */
#ifndef ENVWARDEN_AGENT_STORE_DB_H
#define ENVWARDEN_AGENT_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum db_table {
	DB_META,
	DB_ENVIRONMENT,
	DB_PATH,
	DB_INODE,
	DB_SNAPSHOT,
	DB_PACKAGE,
	DB_JOURNAL,
	DB_EPOCH,
	DB_TRUSTED,
	DB_KV,
};
#define DB_TABLES 10

struct bytes {
	const void *data;
	size_t n;
};

struct db;
struct db_txn;

/*
 * Opens the file in dir, making it (unless read_only). If only reading is possible, it opens so,
 * and tries again at every write. ERR_NOTFOUND: read_only, and there is none.
 */
int db_open(const char *dir, uint64_t map_max_bytes, bool read_only, struct db **out,
	    struct err *err);
void db_close(struct db *db); /* NULL is fine */

/*
 * The file is shorter than its header says. Pages never written may explain it, damage as well: it
 * was filled up with zeroes, so that reading is safe, and has to be checked as a whole.
 */
bool db_was_short(const struct db *db);

/* Reading: db_end follows. */
int db_begin(struct db *db, struct db_txn **out, struct err *err);
void db_end(struct db_txn *txn); /* NULL is fine */

/*
 * Writing: runs fn in a transaction and commits what it did if it returns 0. fn may run several
 * times (the map had to grow), so it changes nothing outside the transaction that it does not
 * overwrite the next time.
 */
typedef int (*db_write_cb)(struct db_txn *txn, void *ctx, struct err *err);
enum db_purpose {
	DB_ADD,
	DB_DELETE, /* may use the last tenth of the map */
};
int db_write(struct db *db, enum db_purpose purpose, db_write_cb fn, void *ctx, struct err *err);

/* The value, borrowed until the next write or the end of the transaction. ERR_NOTFOUND leaves err.
 */
int db_get(struct db_txn *txn, enum db_table table, struct bytes key, struct bytes *value,
	   struct err *err);
int db_put(struct db_txn *txn, enum db_table table, struct bytes key, struct bytes value,
	   struct err *err);
/* Fine if there is none. */
int db_delete(struct db_txn *txn, enum db_table table, struct bytes key, struct err *err);

/* Values in key order from the first key >= from on. A non-zero result of fn ends the walk and is
 * its result. */
typedef int (*db_each_cb)(void *ctx, struct bytes key, struct bytes value, struct err *err);
int db_each(struct db_txn *txn, enum db_table table, struct bytes from, db_each_cb fn, void *ctx,
	    struct err *err);

/* The last key and value of a table; ERR_NOTFOUND leaves err. */
int db_last(struct db_txn *txn, enum db_table table, struct bytes *key, struct bytes *value,
	    struct err *err);

/* Bytes of the pages a table takes. */
int db_table_size(struct db_txn *txn, enum db_table table, uint64_t *bytes, struct err *err);

#endif
