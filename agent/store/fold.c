/*
 * Folding what the server has not got, when nothing it has got is left to drop: older changes of an
 * environment go into its later ones. A row taken out leaves its place to the next one, whose range
 * begins where the other's began; its hash is left as it is, so that what follows goes on in the
 * chain. Rows that were given out to be sent are not touched while they may be under way.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/core/fold.h"
#include "agent/store/internal.h"
#include "agent/store/net.h"
#include "lib/base/mem.h"

#define WINDOW 8192		/* rows looked at in one pass */
#define STEP_BYTES (384u << 10) /* of rows read in one transaction, about */
#define STEP_ROWS 48

struct place {
	struct uuid environment;
	uint64_t seq;
	bool is_void;
};

struct window {
	const struct store *store;
	struct arena arena;
	struct place *places;
	size_t n;
};

static int collect(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct window *w = ctx;
	struct change_row row;
	int rc;

	if (key_read(key, 0) != w->store->epoch_no || w->n == WINDOW)
		return 1;
	arena_reset(&w->arena);
	rc = row_get_change(value, &w->arena, &row);
	if (rc < 0)
		return store_damaged(err, rc, "a change");
	w->places[w->n++] = (struct place){.environment = row.change.environment,
					   .seq = key_read(key, 8),
					   .is_void = fold_is_void(&row.change)};
	return 0;
}

static int look(struct store *s, struct window *w, struct err *err)
{
	uint64_t after = s->epoch.acked > s->given ? s->epoch.acked : s->given;
	struct row_key from;
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	arena_init(&w->arena, STORE_ARENA_MAX);
	rc = db_each(txn, DB_JOURNAL, key_pair(&from, s->epoch_no, after + 1), collect, w, err);
	arena_deinit(&w->arena);
	db_end(txn);
	return rc < 0 ? rc : 0;
}

/* By environment, then by seq. */
static int cmp_place(const void *a, const void *b)
{
	const struct place *x = a;
	const struct place *y = b;
	int c = uuid_cmp(&x->environment, &y->environment);

	return c != 0 ? c : x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* --- one transaction ---------------------------------------------------------------------- */

/* Changes of one environment, each to go into the last of them; or one alone, to be left out. */
struct folding {
	const struct store *store;
	const struct place *places;
	size_t n;
	size_t done; /* of them, by this transaction; the last one counts as done with the rest */
	struct arena arena;
};

static int first_row(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct journal_row *out = ctx;

	(void)err;
	out->epoch_no = key_read(key, 0);
	out->seq = key_read(key, 8);
	out->value = value;
	return 1;
}

/* The row after seq takes over the range that begins at `first`. */
static int extend_next(struct db_txn *txn, uint64_t epoch_no, uint64_t seq, uint64_t first,
		       struct err *err)
{
	struct journal_row next = {.epoch_no = 0};
	struct row_key key;
	struct buf row;
	int rc = db_each(txn, DB_JOURNAL, key_pair(&key, epoch_no, seq + 1), first_row, &next, err);

	if (rc < 0)
		return rc;
	CHECK(next.epoch_no == epoch_no); /* the last row is never taken out */
	buf_init(&row, ROW_MAX + 64);
	rc = row_put_first(&row, next.value, first);
	if (rc < 0)
		rc = rc == ERR_CORRUPT ? store_damaged(err, rc, "a change") : err_nomem(err);
	else
		rc = db_put(txn, DB_JOURNAL, key_pair(&key, epoch_no, next.seq), BYTES_OF_BUF(&row),
			    err);
	buf_deinit(&row);
	return rc;
}

static int read_row(struct db_txn *txn, uint64_t epoch_no, uint64_t seq, struct arena *arena,
		    struct change_row *out, size_t *bytes, struct err *err)
{
	struct row_key key;
	struct bytes value;
	int rc = db_get(txn, DB_JOURNAL, key_pair(&key, epoch_no, seq), &value, err);

	if (rc == ERR_NOTFOUND)
		return store_damaged(err, ERR_CORRUPT, "the journal");
	if (rc == 0 && bytes)
		*bytes += value.n;
	if (rc == 0)
		rc = row_get_change(value, arena, out);
	if (rc < 0)
		return store_damaged(err, rc, "a change");
	out->change.seq = seq;
	return 0;
}

/* Takes a row out; its range goes to the next one. */
static int take_out(struct db_txn *txn, uint64_t epoch_no, uint64_t seq, uint64_t first,
		    struct err *err)
{
	struct row_key key;
	int rc = extend_next(txn, epoch_no, seq, first, err);

	return rc < 0 ? rc : db_delete(txn, DB_JOURNAL, key_pair(&key, epoch_no, seq), err);
}

static int spell(struct db_txn *txn, const struct ref_vec *vec, struct arena *arena,
		 struct package_list *out, struct err *err)
{
	struct ref_list refs;
	struct buf bytes;
	int rc;

	buf_init(&bytes, STORE_ARENA_MAX);
	row_put_vec(&bytes, vec->items, vec->n);
	refs = row_vec_refs((struct bytes){bytes.data, bytes.len});
	rc = buf_rc(&bytes) < 0 ? err_nomem(err) : dictionary_resolve(txn, &refs, arena, out, err);
	if (rc == 0)
		package_list_sort(out);
	buf_deinit(&bytes);
	return rc;
}

/* Stores the last row, which holds them all now; its range and hash are as stored by then. */
static int put_last(struct db_txn *txn, struct folding *f, const struct net *net,
		    const struct change *before, uint64_t oldest, struct err *err)
{
	uint64_t seq = f->places[f->n - 1].seq;
	struct change_row last;
	struct change *c = &last.change;
	struct row_key key;
	struct buf row;
	int rc = read_row(txn, f->store->epoch_no, seq, &f->arena, &last, NULL, err);

	buf_init(&row, ROW_MAX);
	if (rc == 0)
		rc = spell(txn, &net->added, &f->arena, &c->added, err);
	if (rc == 0)
		rc = spell(txn, &net->removed, &f->arena, &c->removed, err);
	if (rc == 0) {
		net_cancel(&c->added, &c->removed);
		fold_changes(before, c->added.n, c->removed.n, c);
		if (fold_is_void(c))
			c->added.n = c->removed.n = 0;
		last.oldest = oldest;
		row_put_folded(&row, &last);
		rc = buf_rc(&row) < 0
			     ? err_set(err, buf_rc(&row), "store a change: %s",
				       err_text(buf_rc(&row)))
			     : db_put(txn, DB_JOURNAL, key_pair(&key, f->store->epoch_no, seq),
				      BYTES_OF_BUF(&row), err);
	}
	change_deinit(&last.change);
	buf_deinit(&row);
	return rc;
}

static int fold_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	struct folding *f = ctx;
	uint64_t epoch_no = f->store->epoch_no;
	struct change_row last = {0};
	struct change so_far;
	struct net net = {0};
	uint64_t oldest = 0;
	size_t bytes = 0;
	int rc = 0;

	arena_reset(&f->arena);
	f->done = 0;
	change_init(&so_far);
	while (rc == 0 && f->done < f->n - 1 && f->done < STEP_ROWS &&
	       (f->done == 0 || bytes < STEP_BYTES)) {
		struct change_row row = {0};

		rc = read_row(txn, epoch_no, f->places[f->done].seq, &f->arena, &row, &bytes, err);
		if (rc == 0 && net_add(&net, &row.added, &row.removed) < 0)
			rc = err_nomem(err);
		if (rc < 0)
			break;
		if (f->done == 0) {
			oldest = row.oldest ? row.oldest : row.change.seq;
			so_far = row.change;
		} else {
			fold_changes(&so_far, net.added.n, net.removed.n, &row.change);
			so_far = row.change;
		}
		rc = take_out(txn, epoch_no, row.change.seq,
			      row.change.first_seq ? row.change.first_seq : row.change.seq, err);
		f->done++;
	}
	if (rc == 0)
		rc = read_row(txn, epoch_no, f->places[f->n - 1].seq, &f->arena, &last, NULL, err);
	if (rc == 0 && net_add(&net, &last.added, &last.removed) < 0)
		rc = err_nomem(err);
	if (rc == 0)
		rc = put_last(txn, f, &net, &so_far, oldest, err);
	net_deinit(&net);
	return rc;
}

static int drop_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	struct folding *f = ctx;
	struct change_row row = {0};
	int rc;

	arena_reset(&f->arena);
	rc = read_row(txn, f->store->epoch_no, f->places->seq, &f->arena, &row, NULL, err);
	return rc < 0 ? rc
		      : take_out(txn, f->store->epoch_no, f->places->seq,
				 row.change.first_seq ? row.change.first_seq : row.change.seq, err);
}

/* --- a pass ------------------------------------------------------------------------------- */

/* All of one environment go into its last one, a few at a time. */
static int fold_group(struct store *s, const struct place *places, size_t n, size_t *folded,
		      struct err *err)
{
	struct folding f = {.store = s, .places = places, .n = n};
	int rc = 0;

	arena_init(&f.arena, STORE_ARENA_MAX);
	while (rc == 0 && f.n > 1) {
		rc = store_write(s, DB_DELETE, fold_txn, &f, err);
		f.places += f.done;
		f.n -= f.done;
		*folded += f.done;
	}
	arena_deinit(&f.arena);
	return rc;
}

static int drop_void(struct store *s, const struct place *place, size_t *folded, struct err *err)
{
	struct folding f = {.store = s, .places = place, .n = 1};
	int rc;

	if (place->seq == s->epoch.head)
		return 0;
	arena_init(&f.arena, STORE_ARENA_MAX);
	rc = store_write(s, DB_DELETE, drop_txn, &f, err);
	arena_deinit(&f.arena);
	*folded += rc == 0;
	return rc;
}

static int fold_window(struct store *s, struct window *w, size_t *folded, struct err *err)
{
	size_t from = 0;
	int rc = 0;

	if (w->n > 1)
		qsort(w->places, w->n, sizeof(*w->places), cmp_place);
	while (rc == 0 && from < w->n) {
		size_t to = from + 1;

		while (to < w->n &&
		       uuid_cmp(&w->places[to].environment, &w->places[from].environment) == 0)
			to++;
		if (to - from > 1)
			rc = fold_group(s, w->places + from, to - from, folded, err);
		else if (w->places[from].is_void)
			rc = drop_void(s, &w->places[from], folded, err);
		from = to;
	}
	return rc;
}

int journal_fold(struct store *s, size_t *folded, struct err *err)
{
	struct window w = {.store = s};
	int rc;

	*folded = 0;
	s->has_folds = true;
	w.places = mem_calloc(WINDOW, sizeof(*w.places));
	if (!w.places)
		return err_nomem(err);
	rc = look(s, &w, err);
	if (rc == 0)
		rc = fold_window(s, &w, folded, err);
	mem_free(w.places);
	return rc;
}
