#include "agent/store/db.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lmdb.h>

#include "agent/store/layout.h"
#include "lib/base/crypto.h"
#include "lib/base/mem.h"

#define MAP_FIRST_BYTES (UINT64_C(8) << 20)
#define MAP_DEFAULT_BYTES (UINT64_C(4) << 30)
#define FILE_NAME "data.mdb"

static const char *const table_names[DB_TABLES] = {
	[DB_META] = "meta",	    [DB_ENVIRONMENT] = "environment",
	[DB_PATH] = "path",	    [DB_INODE] = "inode",
	[DB_SNAPSHOT] = "snapshot", [DB_PACKAGE] = "package",
	[DB_JOURNAL] = "journal",   [DB_EPOCH] = "epoch",
	[DB_TRUSTED] = "trusted",   [DB_KV] = "kv",
};

struct db {
	MDB_env *env;
	MDB_dbi dbi[DB_TABLES];
	char *dir;
	uint64_t map_max;
	uint64_t map;
	bool asked_read_only;
	bool read_only;
	bool was_short;
};

struct db_txn {
	struct db *db;
	MDB_txn *txn;
	bool map_full; /* sticky: the map has to grow */
};

static int translate(int code)
{
	switch (code) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return ERR_NOTFOUND;
	case MDB_KEYEXIST:
		return ERR_EXISTS;
	case MDB_MAP_FULL:
		return ERR_FULL;
	case MDB_VERSION_MISMATCH:
		return ERR_UNSUPPORTED;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_VALSIZE:
	/* LMDB passes over what it meets when it looks at a table for the first time, and then
	   calls the transaction bad; ours end at their first error. */
	case MDB_BAD_TXN:
	case MDB_BAD_DBI:
		return ERR_CORRUPT;
	case MDB_TXN_FULL:
	case MDB_READERS_FULL:
		return ERR_LIMIT;
	default:
		return code > 0 ? err_from_errno(code) : ERR_IO;
	}
}

static int fail(struct err *err, int code, const char *what)
{
	int rc = translate(code);

	return err_set(err, rc, "%s: %s", what,
		       code == MDB_MAP_FULL ? "the store's limit is reached" : mdb_strerror(code));
}

/* --- opening ------------------------------------------------------------------------------ */

static int open_tables(struct db *db, unsigned txn_flags, unsigned dbi_flags)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(db->env, NULL, txn_flags, &txn);

	if (rc != 0)
		return rc;
	for (int i = 0; rc == 0 && i < DB_TABLES; i++)
		rc = mdb_dbi_open(txn, table_names[i], dbi_flags, &db->dbi[i]);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int file_path(const struct db *db, char *out, size_t cap, struct err *err)
{
	int n = snprintf(out, cap, "%s/" FILE_NAME, db->dir);

	if (n < 0 || (size_t)n >= cap)
		return err_set(err, ERR_LIMIT, "open store: path is too long");
	return 0;
}

/*
 * Compares the file with what its header says it holds. Touching a mapped page beyond the end of
 * the file would end the process, so the missing part is made, of zeroes.
 */
static int check_size(struct db *db, struct err *err)
{
	char path[4200];
	MDB_envinfo info;
	MDB_stat stat;
	FILE *f = NULL;
	uint64_t want;
	long have;
	int rc = file_path(db, path, sizeof(path), err);

	if (rc < 0)
		return rc;
	mdb_env_info(db->env, &info);
	mdb_env_stat(db->env, &stat);
	want = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
	f = fopen(path, "r+b");
	if (!f || fseek(f, 0, SEEK_END) != 0 || (have = ftell(f)) < 0)
		rc = err_errno(err, errno, "open store: %s", path);
	else if (want > (uint64_t)have) {
		db->was_short = true;
		if (fseek(f, (long)want - 1, SEEK_SET) != 0 || fputc(0, f) == EOF)
			rc = err_errno(err, errno, "open store: %s", path);
	}
	if (f && fclose(f) != 0 && rc == 0)
		rc = err_errno(err, errno, "open store: %s", path);
	return rc;
}

/* Opens the file; a code of LMDB's. */
static int open_file(struct db *db, bool read_only)
{
	int dead;
	int rc = mdb_env_create(&db->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(db->env, DB_TABLES);
	if (rc == 0 && !read_only)
		rc = mdb_env_set_mapsize(db->env, (size_t)db->map);
	if (rc == 0)
		rc = mdb_env_open(db->env, db->dir, read_only ? MDB_RDONLY | MDB_NOLOCK : 0, 0600);
	if (rc == 0 && !read_only)
		rc = mdb_reader_check(db->env, &dead);
	db->read_only = read_only;
	return rc;
}

static void close_env(struct db *db)
{
	if (db->env)
		mdb_env_close(db->env);
	db->env = NULL;
}

/* Of the errors of opening, those that only somebody's hand mends say where and how. */
static int fail_open(const struct db *db, int code, struct err *err)
{
	const char *remedy = "";

	if (code == EISDIR || code == ENOTDIR)
		remedy = "; it must be a file of the agent's own: move that away and start it "
			 "again, then it makes a new one";
	else if (code == EACCES || code == EPERM)
		remedy = "; give it back to the agent's account, with mode 0600";
	return err_set(err, translate(code), "open store: %s/" FILE_NAME ": %s%s", db->dir,
		       mdb_strerror(code), remedy);
}

static int open_env(struct db *db, struct err *err)
{
	MDB_envinfo info;
	int rc = 0;
	int code = open_file(db, db->asked_read_only);

	if (!db->asked_read_only && (code == EROFS || code == EACCES || code == EPERM)) {
		close_env(db);
		code = open_file(db, true);
	}
	if (code == 0 && !db->read_only)
		rc = check_size(db, err);
	if (code == 0 && rc == 0) {
		code = open_tables(db, MDB_RDONLY, 0);
		if (code == MDB_NOTFOUND && !db->read_only)
			code = open_tables(db, 0, MDB_CREATE);
	}
	if (code != 0)
		rc = fail_open(db, code, err);
	if (rc < 0) {
		close_env(db);
		return rc;
	}
	mdb_env_info(db->env, &info);
	db->map = info.me_mapsize;
	return 0;
}

int db_open(const char *dir, uint64_t map_max_bytes, bool read_only, struct db **out,
	    struct err *err)
{
	struct db *db = mem_calloc(1, sizeof(*db));
	int rc;

	if (!db)
		return err_nomem(err);
	db->asked_read_only = read_only;
	db->map_max = map_max_bytes ? map_max_bytes : MAP_DEFAULT_BYTES;
	if (db->map_max > SIZE_MAX / 2)
		db->map_max = SIZE_MAX / 2;
	db->map = MAP_FIRST_BYTES < db->map_max ? MAP_FIRST_BYTES : db->map_max;
	db->dir = mem_strdup(dir);
	rc = db->dir ? open_env(db, err) : err_nomem(err);
	if (rc < 0) {
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
	close_env(db);
	mem_free(db->dir);
	mem_free(db);
}

bool db_was_short(const struct db *db)
{
	return db->was_short;
}

static int reopen(struct db *db, struct err *err)
{
	close_env(db);
	return open_env(db, err);
}

/* --- transactions ------------------------------------------------------------------------- */

static int begin(struct db *db, unsigned flags, struct db_txn **out, struct err *err)
{
	struct db_txn *txn = mem_calloc(1, sizeof(*txn));
	int rc = 0;

	if (!txn)
		return err_nomem(err);
	txn->db = db;
	if (!db->env)
		rc = reopen(db, err);
	if (rc == 0) {
		int code = mdb_txn_begin(db->env, NULL, flags, &txn->txn);

		if (code == MDB_PANIC) { /* a write of the header failed: only opening anew helps */
			rc = reopen(db, err);
			code = rc == 0 ? mdb_txn_begin(db->env, NULL, flags, &txn->txn) : 0;
		}
		if (code != 0)
			rc = fail(err, code, "store");
	}
	if (rc < 0) {
		mem_free(txn);
		return rc;
	}
	*out = txn;
	return 0;
}

int db_begin(struct db *db, struct db_txn **out, struct err *err)
{
	return begin(db, MDB_RDONLY, out, err);
}

void db_end(struct db_txn *txn)
{
	if (!txn)
		return;
	if (txn->txn)
		mdb_txn_abort(txn->txn);
	mem_free(txn);
}

static uint64_t map_limit(const struct db *db, enum db_purpose purpose)
{
	return purpose == DB_DELETE ? db->map_max : db->map_max / 10 * 9;
}

/* No transaction is open. LMDB never goes below what is in use. */
static int set_map(struct db *db, uint64_t bytes, struct err *err)
{
	MDB_envinfo info;
	int rc = mdb_env_set_mapsize(db->env, (size_t)bytes);

	if (rc != 0)
		return fail(err, rc, "grow store");
	mdb_env_info(db->env, &info);
	db->map = info.me_mapsize;
	return 0;
}

/* True when the map was made larger. */
static bool grow(struct db *db, enum db_purpose purpose, struct err *err)
{
	uint64_t limit = map_limit(db, purpose);
	uint64_t before = db->map;
	uint64_t bytes = before < limit / 2 ? before * 2 : limit;

	return bytes > before && set_map(db, bytes, err) == 0 && db->map > before;
}

static int prepare(struct db *db, enum db_purpose purpose, struct err *err)
{
	uint64_t limit = map_limit(db, purpose);
	int rc = 0;

	if (!db->env || db->read_only)
		rc = reopen(db, err);
	if (rc == 0 && db->read_only)
		return err_set(err, ERR_PERM, "store: the file system or the file is read-only");
	/* What a deletion borrowed from the last tenth is given back. */
	if (rc == 0 && db->map > limit)
		rc = set_map(db, limit, err);
	return rc;
}

static int write_once(struct db *db, db_write_cb fn, void *ctx, bool *map_full, struct err *err)
{
	struct db_txn *txn;
	int rc = begin(db, 0, &txn, err);

	if (rc < 0)
		return rc;
	rc = fn(txn, ctx, err);
	if (rc == 0) {
		int code = mdb_txn_commit(txn->txn);

		txn->txn = NULL;
		if (code == MDB_MAP_FULL)
			txn->map_full = true;
		if (code != 0)
			rc = fail(err, code, "write to store");
	}
	*map_full = txn->map_full;
	db_end(txn);
	return rc;
}

/*
 * Less than a quarter of the map is free: it grows now, when nothing is under way, and no later
 * transaction has to be done over for want of room. Costs addresses only; no page is written.
 */
static void grow_ahead(struct db *db)
{
	MDB_envinfo info;
	MDB_stat st;

	if (mdb_env_info(db->env, &info) == 0 && mdb_env_stat(db->env, &st) == 0 &&
	    ((uint64_t)info.me_last_pgno + 1) * st.ms_psize > db->map / 4 * 3)
		(void)grow(db, DB_ADD, NULL);
}

int db_write(struct db *db, enum db_purpose purpose, db_write_cb fn, void *ctx, struct err *err)
{
	bool map_full;
	int rc = prepare(db, purpose, err);

	if (rc < 0)
		return rc;
	do {
		map_full = false;
		rc = write_once(db, fn, ctx, &map_full, err);
	} while (rc < 0 && map_full && grow(db, purpose, err));
	if (rc == 0)
		grow_ahead(db);
	return rc;
}

/* --- values ------------------------------------------------------------------------------- */

static MDB_val to_val(struct bytes b)
{
	MDB_val v;

	v.mv_size = b.n;
	memcpy(&v.mv_data, &b.data, sizeof(v.mv_data)); /* LMDB does not write through it */
	return v;
}

static void checksum(enum db_table table, struct bytes key, struct bytes value,
		     unsigned char out[LAYOUT_CHECKSUM])
{
	unsigned char digest[SHA256_SIZE];
	unsigned char head[2] = {(unsigned char)table, (unsigned char)key.n};
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, head, sizeof(head));
	sha256_update(&h, key.data, key.n);
	sha256_update(&h, value.data, value.n);
	sha256_final(&h, digest);
	memcpy(out, digest, LAYOUT_CHECKSUM);
}

static int checked(enum db_table table, struct bytes key, const MDB_val *stored,
		   struct bytes *value, struct err *err)
{
	unsigned char sum[LAYOUT_CHECKSUM];
	struct bytes v = {stored->mv_data, 0};

	if (stored->mv_size < LAYOUT_CHECKSUM)
		return err_set(err, ERR_CORRUPT, "store: a value of table %s is too short",
			       table_names[table]);
	v.n = stored->mv_size - LAYOUT_CHECKSUM;
	checksum(table, key, v, sum);
	if (memcmp(sum, (const char *)v.data + v.n, LAYOUT_CHECKSUM) != 0)
		return err_set(err, ERR_CORRUPT, "store: a value of table %s is damaged",
			       table_names[table]);
	*value = v;
	return 0;
}

int db_get(struct db_txn *txn, enum db_table table, struct bytes key, struct bytes *value,
	   struct err *err)
{
	MDB_val k = to_val(key);
	MDB_val v;
	int code = mdb_get(txn->txn, txn->db->dbi[table], &k, &v);

	if (code == MDB_NOTFOUND)
		return ERR_NOTFOUND;
	if (code != 0)
		return fail(err, code, "read store");
	return checked(table, key, &v, value, err);
}

static int wrote(struct db_txn *txn, int code, struct err *err)
{
	if (code == MDB_MAP_FULL)
		txn->map_full = true;
	return fail(err, code, "write to store");
}

int db_put(struct db_txn *txn, enum db_table table, struct bytes key, struct bytes value,
	   struct err *err)
{
	MDB_val k = to_val(key);
	MDB_val v = {.mv_size = value.n + LAYOUT_CHECKSUM};
	int code = mdb_put(txn->txn, txn->db->dbi[table], &k, &v, MDB_RESERVE);

	if (code != 0)
		return wrote(txn, code, err);
	if (value.n > 0)
		memcpy(v.mv_data, value.data, value.n);
	checksum(table, key, value, (unsigned char *)v.mv_data + value.n);
	return 0;
}

int db_delete(struct db_txn *txn, enum db_table table, struct bytes key, struct err *err)
{
	MDB_val k = to_val(key);
	int code = mdb_del(txn->txn, txn->db->dbi[table], &k, NULL);

	if (code == 0 || code == MDB_NOTFOUND)
		return 0;
	return wrote(txn, code, err);
}

int db_each(struct db_txn *txn, enum db_table table, struct bytes from, db_each_cb fn, void *ctx,
	    struct err *err)
{
	MDB_cursor_op op = from.n > 0 ? MDB_SET_RANGE : MDB_FIRST;
	MDB_val k = to_val(from);
	MDB_cursor *cursor;
	MDB_val v;
	int rc = 0;
	int code = mdb_cursor_open(txn->txn, txn->db->dbi[table], &cursor);

	if (code != 0)
		return fail(err, code, "read store");
	while (rc == 0 && (code = mdb_cursor_get(cursor, &k, &v, op)) == 0) {
		struct bytes key = {k.mv_data, k.mv_size};
		struct bytes value;

		rc = checked(table, key, &v, &value, err);
		if (rc == 0)
			rc = fn(ctx, key, value, err);
		op = MDB_NEXT;
	}
	if (code != 0 && code != MDB_NOTFOUND)
		rc = fail(err, code, "read store");
	mdb_cursor_close(cursor);
	return rc;
}

int db_last(struct db_txn *txn, enum db_table table, struct bytes *key, struct bytes *value,
	    struct err *err)
{
	MDB_cursor *cursor;
	MDB_val k;
	MDB_val v;
	int rc = 0;
	int code = mdb_cursor_open(txn->txn, txn->db->dbi[table], &cursor);

	if (code != 0)
		return fail(err, code, "read store");
	code = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
	if (code == MDB_NOTFOUND) {
		rc = ERR_NOTFOUND;
	} else if (code != 0) {
		rc = fail(err, code, "read store");
	} else {
		*key = (struct bytes){k.mv_data, k.mv_size};
		rc = checked(table, *key, &v, value, err);
	}
	mdb_cursor_close(cursor);
	return rc;
}

int db_table_size(struct db_txn *txn, enum db_table table, uint64_t *bytes, struct err *err)
{
	MDB_stat st;
	int code = mdb_stat(txn->txn, txn->db->dbi[table], &st);

	if (code != 0)
		return fail(err, code, "read store");
	*bytes = (uint64_t)st.ms_psize *
		 ((uint64_t)st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages);
	return 0;
}
