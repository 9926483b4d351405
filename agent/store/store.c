#include "agent/store/store.h"

#include <string.h>

#include "agent/store/internal.h"
#include "agent/store/layout.h"
#include "lib/base/mem.h"

#define JOURNAL_DEFAULT_BYTES (UINT64_C(64) << 20)

int store_damaged(struct err *err, int rc, const char *what)
{
	if (rc == ERR_NOMEM)
		return err_nomem(err);
	return err_set(err, rc, "store: %s is damaged", what);
}

/* A new store: its layout and first epoch. */
static int make_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	static const unsigned char version[4] = {0, 0, 0, LAYOUT_VERSION};
	struct store *s = ctx;
	int rc = db_put(txn, DB_META, BYTES_OF_TEXT(LAYOUT_KEY),
			(struct bytes){version, sizeof(version)}, err);

	if (rc < 0)
		return rc;
	return epoch_write(txn, s->epoch_no, &s->epoch, err);
}

static int make(struct store *s, struct err *err)
{
	s->epoch_no = 1;
	uuid_new(&s->epoch.uuid);
	return db_write(s->db, DB_ADD, make_txn, s, err);
}

static int load_txn(struct db_txn *txn, struct store *s, struct err *err)
{
	struct bytes key;
	struct bytes value;
	int rc = migrate_look(txn, s, err);

	if (rc < 0)
		return rc;
	rc = db_last(txn, DB_EPOCH, &key, &value, err);
	if (rc == ERR_NOTFOUND)
		return store_damaged(err, ERR_CORRUPT, "the list of epochs");
	if (rc < 0)
		return rc;
	s->epoch_no = key_read(key, 0);
	rc = row_get_epoch(value, &s->epoch);
	return rc < 0 ? store_damaged(err, rc, "an epoch") : 0;
}

static int load(struct store *s, struct err *err)
{
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	rc = load_txn(txn, s, err);
	db_end(txn);
	return rc == ERR_NOTFOUND ? make(s, err) : rc;
}

int store_write(struct store *s, enum db_purpose purpose, db_write_cb fn, void *ctx,
		struct err *err)
{
	int rc = s->old_layout ? migrate_begin(s, err) : 0;

	return rc < 0 ? rc : db_write(s->db, purpose, fn, ctx, err);
}

int store_open(const char *dir, const struct store_options *options, struct store **out,
	       struct err *err)
{
	struct store *s = mem_calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_nomem(err);
	s->journal_max_bytes =
		options->journal_max_bytes ? options->journal_max_bytes : JOURNAL_DEFAULT_BYTES;
	s->has_folds = true;
	rc = options->n_hide > 0 ? store_hide_paths(s, options->hide_key, options->hide_patterns,
						    options->n_hide, err)
				 : 0;
	if (rc == 0)
		rc = db_open(dir, options->map_max_bytes, false, &s->db, err);
	if (rc == 0)
		rc = load(s, err);
	if (rc == 0 && db_was_short(s->db))
		rc = store_check(s->db, err);
	if (rc == 0)
		rc = migrate_rows(s, err);
	if (rc == 0)
		rc = baseline_finish(s, err);
	/* A full disk is no reason not to read what is there; the next write tries again. */
	if (rc == ERR_FULL || rc == ERR_PERM)
		rc = s->epoch_no ? 0 : rc;
	if (rc < 0) {
		store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	db_close(s->db);
	hiding_deinit(s);
	mem_free(s);
}
