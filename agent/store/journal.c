#include <string.h>

#include "agent/store/internal.h"

int epoch_write(struct db_txn *txn, uint64_t epoch_no, const struct epoch_row *epoch,
		struct err *err)
{
	struct row_key key;
	struct buf row;
	int rc;

	buf_init(&row, ROW_MAX);
	row_put_epoch(&row, epoch);
	rc = buf_rc(&row);
	if (rc < 0)
		err_nomem(err);
	else
		rc = db_put(txn, DB_EPOCH, key_number(&key, epoch_no), BYTES_OF_BUF(&row), err);
	buf_deinit(&row);
	return rc;
}

static int put_change(struct db_txn *txn, const struct journal_end *end, const struct change *c,
		      struct err *err)
{
	struct row_key key;
	struct buf row;
	int rc;

	change_chain(end->epoch->head_hash, c, end->epoch->head_hash);
	end->epoch->head = c->seq;
	buf_init(&row, ROW_MAX);
	row_put_change(&row, c, end->epoch->head_hash);
	rc = buf_rc(&row);
	if (rc < 0)
		err_set(err, rc, "store a change: %s", err_text(rc));
	else
		rc = db_put(txn, DB_JOURNAL, key_pair(&key, end->epoch_no, c->seq),
			    BYTES_OF_BUF(&row), err);
	buf_deinit(&row);
	return rc < 0 ? rc : epoch_write(txn, end->epoch_no, end->epoch, err);
}

int journal_append(struct db_txn *txn, const struct journal_end *end, struct change *c,
		   struct err *err)
{
	struct change told;
	struct arena arena;
	int rc;

	c->epoch = end->epoch->uuid;
	c->seq = end->epoch->head + 1;
	told = *c;
	arena_init(&arena, STORE_ARENA_MAX);
	rc = hiding_change(txn, end->store, &arena, &told, err);
	if (rc == 0)
		rc = put_change(txn, end, &told, err);
	arena_deinit(&arena);
	return rc;
}

/* --- reading ------------------------------------------------------------------------------ */

struct reading {
	const struct store *store;
	struct db_txn *txn;
	int64_t since_ms;
	const struct uuid *environment;
	uint64_t only_epoch; /* 0 = all */
	bool reveal;	     /* hidden paths are turned back */
	size_t max_changes;  /* 0 = no limits */
	size_t max_bytes;
	size_t given;
	uint64_t last;
	size_t given_bytes;
	store_change_cb cb;
	void *ctx;
	struct arena arena;
	bool stopped; /* by a limit, which is no result */
};

static bool wanted(const struct reading *r, const struct change *c)
{
	return c->time_ms >= r->since_ms &&
	       (!r->environment || uuid_cmp(r->environment, &c->environment) == 0);
}

static int spell_out(struct reading *r, const struct change_row *row, struct change *c,
		     struct err *err)
{
	int rc = dictionary_resolve(r->txn, &row->added, &r->arena, &c->added, err);

	if (rc == 0)
		rc = dictionary_resolve(r->txn, &row->removed, &r->arena, &c->removed, err);
	return rc;
}

/* The epochs' names, for changes read from others than the present one. */
static int name_epoch(struct reading *r, uint64_t epoch_no, struct uuid *out, struct err *err)
{
	struct epoch_row epoch;
	struct row_key key;
	struct bytes value;
	int rc = 0;

	if (epoch_no == r->store->epoch_no) {
		*out = r->store->epoch.uuid;
		return 0;
	}
	rc = db_get(r->txn, DB_EPOCH, key_number(&key, epoch_no), &value, err);
	if (rc == 0)
		rc = row_get_epoch(value, &epoch);
	if (rc < 0)
		return store_damaged(err, rc == ERR_NOMEM ? rc : ERR_CORRUPT, "an epoch");
	*out = epoch.uuid;
	return 0;
}

/* The first one always goes, or nothing ever would. */
static bool over_limit(const struct reading *r, size_t bytes)
{
	return r->max_changes != 0 && r->given > 0 &&
	       (r->given == r->max_changes || bytes > r->max_bytes - r->given_bytes);
}

static int read_one(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct reading *r = ctx;
	struct store_change item = {0};
	struct change_row row;
	int rc;

	item.epoch_no = key_read(key, 0);
	if (r->only_epoch != 0 && item.epoch_no != r->only_epoch)
		return 0;
	arena_reset(&r->arena);
	rc = row_get_change(value, &r->arena, &row);
	if (rc < 0)
		return store_damaged(err, rc, "a change");
	if (!wanted(r, &row.change))
		return 0;
	r->stopped = over_limit(r, value.n);
	if (r->stopped)
		return 1;
	r->given++;
	r->last = key_read(key, 8);
	r->given_bytes +=
		value.n < r->max_bytes - r->given_bytes ? value.n : r->max_bytes - r->given_bytes;
	item.change = row.change;
	item.change.seq = key_read(key, 8);
	memcpy(item.hash, row.hash, sizeof(item.hash));
	rc = name_epoch(r, item.epoch_no, &item.change.epoch, err);
	if (rc == 0)
		rc = spell_out(r, &row, &item.change, err);
	if (rc == 0 && r->reveal)
		rc = hiding_reveal(r->txn, &r->arena, &item.change, err);
	if (rc == 0)
		rc = r->cb(r->ctx, &item);
	change_deinit(&item.change);
	return rc;
}

static int read_from(struct store *s, struct reading *r, uint64_t epoch_no, uint64_t seq,
		     struct err *err)
{
	struct row_key from;
	int rc = db_begin(s->db, &r->txn, err);

	if (rc < 0)
		return rc;
	r->store = s;
	arena_init(&r->arena, STORE_ARENA_MAX);
	rc = db_each(r->txn, DB_JOURNAL, key_pair(&from, epoch_no, seq), read_one, r, err);
	arena_deinit(&r->arena);
	db_end(r->txn);
	return r->stopped ? 0 : rc;
}

int store_history(struct store *s, const struct store_history_query *query, store_change_cb cb,
		  void *ctx, struct err *err)
{
	struct reading r = {
		.since_ms = query->since_ms,
		.environment = query->environment,
		.reveal = true,
		.cb = cb,
		.ctx = ctx,
	};

	return read_from(s, &r, query->after_epoch_no, query->after_seq + 1, err);
}

struct epoch_search {
	const struct uuid *epoch;
	uint64_t found;
};

static int match_epoch(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct epoch_search *search = ctx;
	struct epoch_row row;
	int rc = row_get_epoch(value, &row);

	if (rc < 0)
		return store_damaged(err, rc, "an epoch");
	if (uuid_cmp(&row.uuid, search->epoch) != 0)
		return 0;
	search->found = key_read(key, 0);
	return 1;
}

int store_epoch_no(struct store *s, const struct uuid *epoch, uint64_t *out, struct err *err)
{
	struct epoch_search search = {.epoch = epoch};
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	rc = db_each(txn, DB_EPOCH, BYTES_NONE, match_epoch, &search, err);
	db_end(txn);
	if (rc == 0)
		return err_set(err, ERR_NOTFOUND, "store: that epoch is not of this journal");
	if (rc < 0)
		return rc;
	*out = search.found;
	return 0;
}

int store_unacked(struct store *s, uint64_t after, size_t max_changes, size_t max_bytes,
		  store_change_cb cb, void *ctx, struct err *err)
{
	struct reading r = {
		.since_ms = INT64_MIN,
		.only_epoch = s->epoch_no,
		.max_changes = max_changes,
		.max_bytes = max_bytes,
		.cb = cb,
		.ctx = ctx,
	};

	int rc;

	if (after < s->epoch.acked)
		after = s->epoch.acked;
	rc = read_from(s, &r, s->epoch_no, after + 1, err);
	if (r.last > s->given)
		s->given = r.last;
	return rc;
}

void store_journal(const struct store *s, struct store_journal *out)
{
	out->epoch_no = s->epoch_no;
	out->epoch = s->epoch.uuid;
	out->head = s->epoch.head;
	out->acked = s->epoch.acked;
	memcpy(out->head_hash, s->epoch.head_hash, sizeof(out->head_hash));
}

int store_chain_at(struct store *s, uint64_t seq, unsigned char hash[SHA256_SIZE], struct err *err)
{
	struct row_key key;
	struct bytes value;
	struct db_txn *txn;
	int rc;

	if (seq == 0) {
		memset(hash, 0, SHA256_SIZE);
		return 0;
	}
	rc = db_begin(s->db, &txn, err);
	if (rc < 0)
		return rc;
	rc = db_get(txn, DB_JOURNAL, key_pair(&key, s->epoch_no, seq), &value, err);
	if (rc == ERR_NOTFOUND)
		err_set(err, rc, "store: that change is not kept");
	else if (rc == 0 && row_get_hash(value, hash) < 0)
		rc = store_damaged(err, ERR_CORRUPT, "a change");
	db_end(txn);
	return rc;
}

/* --- acknowledging and dropping ----------------------------------------------------------- */

struct acking {
	uint64_t epoch_no;
	struct epoch_row next;
};

static int ack_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	struct acking *a = ctx;

	return epoch_write(txn, a->epoch_no, &a->next, err);
}

/*
 * Whether the journal can be cut behind a seq: not inside a range, and not if a later change holds
 * one from before it, whose effect the server has already.
 */
struct cut {
	const struct store *store;
	uint64_t seq;
	struct arena arena;
};

static int look_at_cut(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct cut *c = ctx;
	struct change_row row;
	int rc;

	if (key_read(key, 0) != c->store->epoch_no)
		return 1;
	arena_reset(&c->arena);
	rc = row_get_change(value, &c->arena, &row);
	if (rc < 0)
		return store_damaged(err, rc, "a change");
	if ((row.change.first_seq && row.change.first_seq <= c->seq) ||
	    (row.oldest && row.oldest <= c->seq))
		return err_set(err, ERR_CONFLICT,
			       "store: changes the server has were folded into others");
	return 0;
}

static int check_cut(struct store *s, uint64_t seq, struct err *err)
{
	struct cut c = {.store = s, .seq = seq};
	struct row_key from;
	struct db_txn *txn;
	int rc;

	if (!s->has_folds)
		return 0;
	rc = db_begin(s->db, &txn, err);
	if (rc < 0)
		return rc;
	arena_init(&c.arena, STORE_ARENA_MAX);
	rc = db_each(txn, DB_JOURNAL, key_pair(&from, s->epoch_no, seq + 1), look_at_cut, &c, err);
	arena_deinit(&c.arena);
	db_end(txn);
	return rc < 0 ? rc : 0;
}

int store_set_acked(struct store *s, uint64_t seq, struct err *err)
{
	struct acking a = {.epoch_no = s->epoch_no, .next = s->epoch};
	int rc;

	if (seq > s->epoch.head)
		return err_set(err, ERR_INVALID,
			       "store: a change was acknowledged that is not there");
	if (seq <= s->epoch.acked)
		return 0;
	rc = check_cut(s, seq, err);
	if (rc < 0)
		return rc;
	a.next.acked = seq;
	rc = store_write(s, DB_DELETE, ack_txn, &a, err);
	if (rc == 0)
		s->epoch = a.next;
	return rc;
}

int store_rewind(struct store *s, uint64_t seq, struct err *err)
{
	struct acking a = {.epoch_no = s->epoch_no, .next = s->epoch};
	unsigned char hash[SHA256_SIZE];
	int rc;

	if (seq >= s->epoch.acked)
		return 0;
	/* The oldest go first: if the one at the cut is there, so is what follows. */
	rc = store_chain_at(s, seq > 0 ? seq : 1, hash, err);
	if (rc == 0)
		rc = check_cut(s, seq, err);
	if (rc == ERR_NOTFOUND)
		rc = err_set(err, ERR_CONFLICT, "store: changes the server lacks are not kept");
	if (rc < 0)
		return rc;
	a.next.acked = seq;
	rc = store_write(s, DB_ADD, ack_txn, &a, err);
	if (rc == 0)
		s->epoch = a.next;
	return rc;
}

#define TRIM_BATCH 64

struct trimming {
	const struct store *store;
	struct row_key keys[TRIM_BATCH];
	size_t n;
};

/* Oldest first: the first one not acked ends it. */
static int find_acked(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct trimming *t = ctx;
	uint64_t epoch_no = key_read(key, 0);
	uint64_t seq = key_read(key, 8);

	(void)value;
	(void)err;
	/* The last one the server has stays: the next batch goes on from its hash. */
	if (epoch_no == t->store->epoch_no && seq >= t->store->epoch.acked)
		return 1;
	key_pair(&t->keys[t->n++], epoch_no, seq);
	return t->n == TRIM_BATCH;
}

static int trim_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	const struct trimming *t = ctx;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->n; i++)
		rc = db_delete(txn, DB_JOURNAL, (struct bytes){t->keys[i].b, 16}, err);
	return rc;
}

static int journal_size(struct store *s, uint64_t *size, struct err *err)
{
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	rc = db_table_size(txn, DB_JOURNAL, size, err);
	db_end(txn);
	return rc;
}

/* Finds what to drop next; nothing while the journal is within its size. */
static int find_trim(struct store *s, struct trimming *t, struct err *err)
{
	struct db_txn *txn;
	uint64_t size;
	int rc = journal_size(s, &size, err);

	*t = (struct trimming){.store = s};
	if (rc < 0 || size <= s->journal_max_bytes)
		return rc;
	rc = db_begin(s->db, &txn, err);
	if (rc < 0)
		return rc;
	rc = db_each(txn, DB_JOURNAL, BYTES_NONE, find_acked, t, err);
	db_end(txn);
	return rc < 0 ? rc : 0;
}

/*
 * A pass costs as much as the journal is long, so the next one waits until it has grown by an
 * eighth of its size again.
 */
static int fold_if_full(struct store *s, struct err *err)
{
	uint64_t size;
	size_t folded = 1;
	int rc = journal_size(s, &size, err);

	while (rc == 0 && folded > 0 && size > s->journal_max_bytes && size > s->fold_beyond) {
		rc = journal_fold(s, &folded, err);
		if (rc == 0)
			rc = journal_size(s, &size, err);
		s->fold_beyond = folded > 0 ? 0 : size + s->journal_max_bytes / 8;
	}
	return rc;
}

int journal_trim(struct store *s, struct err *err)
{
	struct trimming t;
	int rc;

	do {
		rc = find_trim(s, &t, err);
		if (rc == 0 && t.n > 0)
			rc = store_write(s, DB_DELETE, trim_txn, &t, err);
	} while (rc == 0 && t.n > 0);
	return rc < 0 ? rc : fold_if_full(s, err);
}
