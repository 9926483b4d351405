/*
 * Signed state by generations: the pieces of a bundle go in under a new random generation, and one
 * small transaction makes it the held one. Pieces of no held generation are what a crash or a newer
 * set left behind, and are removed after the next set went in.
 */
#include <string.h>

#include "agent/store/internal.h"
#include "agent/store/layout.h"

#define SET_MAX 8 /* bundles put at once; there are five roles */

struct held {
	unsigned char generation[LAYOUT_GENERATION];
	uint64_t version;
	uint64_t size;
	unsigned char hash[SHA256_SIZE];
};

static struct bytes role_key(struct row_key *out, const char *role)
{
	size_t n = strlen(role);

	out->b[0] = 'P';
	memcpy(out->b + 1, role, n);
	return (struct bytes){out->b, n + 1};
}

static struct bytes piece_key(struct row_key *out,
			      const unsigned char generation[LAYOUT_GENERATION], uint64_t number)
{
	struct row_key tail;

	key_number(&tail, number);
	out->b[0] = 'C';
	memcpy(out->b + 1, generation, LAYOUT_GENERATION);
	memcpy(out->b + 1 + LAYOUT_GENERATION, tail.b, 8);
	return (struct bytes){out->b, 1 + LAYOUT_GENERATION + 8};
}

static int check_role(const char *role, struct err *err)
{
	size_t n = strlen(role);

	if (n == 0 || n > STORE_ROLE_MAX)
		return err_set(err, ERR_INVALID, "store: no such role");
	return 0;
}

static int get_held(struct bytes value, struct held *out)
{
	struct rd r;
	const void *generation;
	const void *hash;

	rd_init(&r, value.data, value.n);
	generation = rd_bytes(&r, LAYOUT_GENERATION);
	out->version = rd_u64(&r);
	out->size = rd_u64(&r);
	hash = rd_bytes(&r, SHA256_SIZE);
	if (r.rc < 0 || r.left > 0 || out->size > STORE_BUNDLE_MAX)
		return ERR_CORRUPT;
	memcpy(out->generation, generation, LAYOUT_GENERATION);
	memcpy(out->hash, hash, SHA256_SIZE);
	return 0;
}

/* --- putting ------------------------------------------------------------------------------ */

struct piece {
	struct bytes key;
	struct bytes value;
};

static int piece_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	const struct piece *p = ctx;

	return db_put(txn, DB_TRUSTED, p->key, p->value, err);
}

static int put_pieces(struct store *s, const struct store_bundle *b, struct held *held,
		      struct err *err)
{
	struct row_key key;
	uint64_t number = 0;
	int rc = 0;

	crypto_random(held->generation, sizeof(held->generation));
	held->version = b->version;
	held->size = b->n;
	sha256(b->data, b->n, held->hash);
	for (size_t at = 0; rc == 0 && at < b->n; at += LAYOUT_PIECE) {
		struct piece p = {.key = piece_key(&key, held->generation, number++)};

		p.value.data = (const char *)b->data + at;
		p.value.n = b->n - at < LAYOUT_PIECE ? b->n - at : LAYOUT_PIECE;
		rc = store_write(s, DB_ADD, piece_txn, &p, err);
	}
	return rc;
}

struct flip {
	const struct store_bundle *set;
	const struct held *held;
	size_t n;
};

static int flip_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	const struct flip *f = ctx;
	struct row_key key;
	struct buf row;
	int rc = 0;

	buf_init(&row, ROW_MAX);
	for (size_t i = 0; rc == 0 && i < f->n; i++) {
		const struct held *h = &f->held[i];

		buf_clear(&row);
		buf_add(&row, h->generation, LAYOUT_GENERATION);
		buf_add_u64(&row, h->version);
		buf_add_u64(&row, h->size);
		buf_add(&row, h->hash, SHA256_SIZE);
		rc = buf_rc(&row) < 0 ? err_nomem(err)
				      : db_put(txn, DB_TRUSTED, role_key(&key, f->set[i].role),
					       BYTES_OF_BUF(&row), err);
	}
	buf_deinit(&row);
	return rc;
}

/* --- removing what is not held ------------------------------------------------------------ */

#define SWEEP_BATCH 64

struct sweep {
	unsigned char held[SET_MAX][LAYOUT_GENERATION];
	size_t n_held;
	struct row_key stale[SWEEP_BATCH];
	size_t n;
};

static int note_held(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct sweep *w = ctx;
	struct held h;

	if (key.n == 0 || *(const char *)key.data != 'P')
		return 0;
	if (w->n_held == SET_MAX || get_held(value, &h) < 0)
		return store_damaged(err, ERR_CORRUPT, "the list of bundles");
	memcpy(w->held[w->n_held++], h.generation, LAYOUT_GENERATION);
	return 0;
}

static int note_stale(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct sweep *w = ctx;

	(void)value;
	if (key.n == 0 || *(const char *)key.data != 'C')
		return 1;
	if (key.n != 1 + LAYOUT_GENERATION + 8)
		return store_damaged(err, ERR_CORRUPT, "the list of bundles");
	for (size_t i = 0; i < w->n_held; i++) {
		if (memcmp(w->held[i], (const char *)key.data + 1, LAYOUT_GENERATION) == 0)
			return 0;
	}
	memcpy(w->stale[w->n++].b, key.data, key.n);
	return w->n == SWEEP_BATCH;
}

static int sweep_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	const struct sweep *w = ctx;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < w->n; i++)
		rc = db_delete(txn, DB_TRUSTED,
			       (struct bytes){w->stale[i].b, 1 + LAYOUT_GENERATION + 8}, err);
	return rc;
}

static int find_stale(struct store *s, struct sweep *w, struct err *err)
{
	static const struct bytes roles = {"P", 1};
	static const struct bytes pieces = {"C", 1};
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	*w = (struct sweep){0};
	rc = db_each(txn, DB_TRUSTED, roles, note_held, w, err);
	if (rc == 0)
		rc = db_each(txn, DB_TRUSTED, pieces, note_stale, w, err);
	db_end(txn);
	return rc < 0 ? rc : 0;
}

static int sweep(struct store *s, struct err *err)
{
	struct sweep w;
	int rc;

	do {
		rc = find_stale(s, &w, err);
		if (rc == 0 && w.n > 0)
			rc = store_write(s, DB_DELETE, sweep_txn, &w, err);
	} while (rc == 0 && w.n > 0);
	return rc;
}

int store_trusted_put(struct store *s, const struct store_bundle *set, size_t n, struct err *err)
{
	struct held held[SET_MAX];
	struct flip flip = {.set = set, .held = held, .n = n};
	int rc = n > SET_MAX ? err_set(err, ERR_LIMIT, "store: too many bundles") : 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = check_role(set[i].role, err);
		if (rc == 0 && set[i].n > STORE_BUNDLE_MAX)
			rc = err_set(err, ERR_LIMIT, "store: bundle %s is too big", set[i].role);
	}
	/* What an earlier attempt left would only take room. */
	if (rc == 0)
		rc = sweep(s, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = put_pieces(s, &set[i], &held[i], err);
	return rc < 0 ? rc : store_write(s, DB_ADD, flip_txn, &flip, err);
}

static int clear_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	static const char *const roles[] = {"root", "policy", "advisories", "status", "timestamp"};
	struct row_key key;
	int rc = 0;

	(void)ctx;
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(roles); i++)
		rc = db_delete(txn, DB_TRUSTED, role_key(&key, roles[i]), err);
	return rc;
}

int store_trusted_clear(struct store *s, struct err *err)
{
	int rc = store_write(s, DB_DELETE, clear_txn, NULL, err);

	return rc < 0 ? rc : sweep(s, err);
}

/* --- getting ------------------------------------------------------------------------------ */

static int read_pieces(struct db_txn *txn, const struct held *h, struct buf *out, struct err *err)
{
	unsigned char hash[SHA256_SIZE];
	struct row_key key;
	uint64_t number = 0;
	uint64_t left = h->size;
	struct sha256 sum;
	int rc;

	sha256_init(&sum);
	while (left > 0) {
		struct bytes piece;

		rc = db_get(txn, DB_TRUSTED, piece_key(&key, h->generation, number++), &piece, err);
		if (rc == ERR_NOTFOUND || (rc == 0 && (piece.n == 0 || piece.n > left)))
			return store_damaged(err, ERR_CORRUPT, "a bundle");
		if (rc < 0)
			return rc;
		sha256_update(&sum, piece.data, piece.n);
		if (out)
			buf_add(out, piece.data, piece.n);
		left -= piece.n;
	}
	sha256_final(&sum, hash);
	if (memcmp(hash, h->hash, sizeof(hash)) != 0)
		return store_damaged(err, ERR_CORRUPT, "a bundle");
	rc = out ? buf_rc(out) : 0;
	return rc < 0 ? err_set(err, rc, "read a bundle: %s", err_text(rc)) : 0;
}

int store_trusted_get(struct store *s, const char *role, uint64_t *version, struct buf *out,
		      struct err *err)
{
	struct row_key key;
	struct bytes value;
	struct db_txn *txn;
	struct held h;
	int rc = check_role(role, err);

	if (rc == 0)
		rc = db_begin(s->db, &txn, err);
	if (rc < 0)
		return rc;
	rc = db_get(txn, DB_TRUSTED, role_key(&key, role), &value, err);
	if (rc == ERR_NOTFOUND)
		err_set(err, rc, "store: no %s is held", role);
	else if (rc == 0 && get_held(value, &h) < 0)
		rc = store_damaged(err, ERR_CORRUPT, "the list of bundles");
	else if (rc == 0)
		rc = read_pieces(txn, &h, out, err);
	if (rc == 0)
		*version = h.version;
	db_end(txn);
	return rc;
}

struct checking {
	struct db_txn *txn;
};

static int check_held(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	const struct checking *c = ctx;
	struct held h;

	if (key.n == 0 || *(const char *)key.data != 'P')
		return 0;
	if (get_held(value, &h) < 0)
		return store_damaged(err, ERR_CORRUPT, "the list of bundles");
	return read_pieces(c->txn, &h, NULL, err);
}

int trusted_check(struct db_txn *txn, struct err *err)
{
	struct checking c = {txn};

	return db_each(txn, DB_TRUSTED, BYTES_NONE, check_held, &c, err);
}
