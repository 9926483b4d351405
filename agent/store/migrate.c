#include <string.h>

#include "agent/store/internal.h"
#include "agent/store/layout.h"

#define LAYOUT_OLDEST 1 /* packages, never removed, stay as any layout wrote them */
#define BATCH_ROWS 32
#define BATCH_BYTES (256u << 10) /* of rows, in one transaction */

int migrate_look(struct db_txn *txn, struct store *s, struct err *err)
{
	struct bytes value;
	struct rd r;
	uint32_t version;
	int rc = db_get(txn, DB_META, BYTES_OF_TEXT(LAYOUT_KEY), &value, err);

	if (rc < 0)
		return rc;
	rd_init(&r, value.data, value.n);
	version = rd_u32(&r);
	if (version < LAYOUT_OLDEST || version > LAYOUT_VERSION)
		return err_set(err, ERR_UNSUPPORTED,
			       "store: it was written by a %s version of this program (layout %u; "
			       "this one knows %d)",
			       version > LAYOUT_VERSION ? "newer" : "much older", (unsigned)version,
			       LAYOUT_VERSION);
	s->old_layout = version < LAYOUT_VERSION;
	rc = db_get(txn, DB_META, BYTES_OF_TEXT(LAYOUT_REWRITE_KEY), &value, err);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	s->rewrite = s->old_layout || rc == 0;
	return 0;
}

static int begin_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	static const unsigned char version[4] = {0, 0, 0, LAYOUT_VERSION};
	int rc = db_put(txn, DB_META, BYTES_OF_TEXT(LAYOUT_KEY),
			(struct bytes){version, sizeof(version)}, err);

	(void)ctx;
	return rc < 0 ? rc
		      : db_put(txn, DB_META, BYTES_OF_TEXT(LAYOUT_REWRITE_KEY), BYTES_NONE, err);
}

int migrate_begin(struct store *s, struct err *err)
{
	int rc = db_write(s->db, DB_DELETE, begin_txn, NULL, err);

	if (rc == 0)
		s->old_layout = false;
	return rc;
}

/* --- rows --------------------------------------------------------------------------------- */

struct batch {
	enum db_table table;
	unsigned char keys[BATCH_ROWS][UUID_SIZE];
	size_t n;
	size_t bytes;
	unsigned char last[UUID_SIZE]; /* the walk goes on from here */
};

static int find_old(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct batch *b = ctx;

	if (key.n != UUID_SIZE)
		return store_damaged(err, ERR_CORRUPT, "a key");
	if (b->table == DB_ENVIRONMENT ? !row_is_old_environment(value)
				       : !row_is_old_snapshot(value))
		return 0;
	memcpy(b->keys[b->n++], key.data, UUID_SIZE);
	memcpy(b->last, key.data, UUID_SIZE);
	b->bytes += value.n;
	return b->n == BATCH_ROWS || b->bytes >= BATCH_BYTES;
}

static int make_new(const struct batch *b, struct bytes key, struct bytes value,
		    struct arena *arena, struct buf *out)
{
	struct environment env;
	struct ref_list refs;
	struct uuid id;
	int rc;

	if (b->table == DB_ENVIRONMENT) {
		memcpy(id.b, key.data, UUID_SIZE);
		rc = row_get_environment(&id, value, arena, &env);
		if (rc == 0)
			row_put_environment(out, &env);
	} else {
		rc = row_get_snapshot(value, &refs);
		if (rc == 0)
			row_put_snapshot_refs(out, &refs);
	}
	return rc < 0 ? rc : buf_rc(out);
}

static int rewrite_one(struct db_txn *txn, const struct batch *b, size_t i, struct arena *arena,
		       struct buf *row, struct err *err)
{
	struct bytes key = {b->keys[i], UUID_SIZE};
	struct bytes value;
	int rc = db_get(txn, b->table, key, &value, err);

	if (rc < 0)
		return rc;
	arena_reset(arena);
	buf_clear(row);
	rc = make_new(b, key, value, arena, row);
	if (rc < 0)
		return store_damaged(err, rc, "a row of the layout before");
	return db_put(txn, b->table, key, BYTES_OF_BUF(row), err);
}

static int rewrite_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	const struct batch *b = ctx;
	struct arena arena;
	struct buf row;
	int rc = 0;

	arena_init(&arena, STORE_ARENA_MAX);
	buf_init(&row, ROW_MAX);
	for (size_t i = 0; rc == 0 && i < b->n; i++)
		rc = rewrite_one(txn, b, i, &arena, &row, err);
	buf_deinit(&row);
	arena_deinit(&arena);
	return rc;
}

static int find_batch(struct store *s, struct batch *b, struct err *err)
{
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	b->n = 0;
	b->bytes = 0;
	rc = db_each(txn, b->table, (struct bytes){b->last, UUID_SIZE}, find_old, b, err);
	db_end(txn);
	return rc < 0 ? rc : 0;
}

static int rewrite_table(struct store *s, enum db_table table, struct err *err)
{
	struct batch b = {.table = table};
	int rc;

	do {
		rc = find_batch(s, &b, err);
		if (rc == 0 && b.n > 0)
			rc = store_write(s, DB_ADD, rewrite_txn, &b, err);
	} while (rc == 0 && b.n > 0);
	return rc;
}

static int done_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	(void)ctx;
	return db_delete(txn, DB_META, BYTES_OF_TEXT(LAYOUT_REWRITE_KEY), err);
}

int migrate_rows(struct store *s, struct err *err)
{
	int rc;

	if (!s->rewrite)
		return 0;
	rc = rewrite_table(s, DB_ENVIRONMENT, err);
	if (rc == 0)
		rc = rewrite_table(s, DB_SNAPSHOT, err);
	if (rc == 0)
		rc = store_write(s, DB_DELETE, done_txn, NULL, err);
	if (rc == 0)
		s->rewrite = false;
	return rc;
}
