#include <string.h>

#include "agent/store/internal.h"
#include "agent/store/layout.h"

/* Definitions left to the transaction that refers to them. */
#define REST_BYTES (LAYOUT_DEFINITIONS / 6)

static struct bytes key_of(const unsigned char key[PACKAGE_KEY_SIZE])
{
	return (struct bytes){key, PACKAGE_KEY_SIZE};
}

static int read_package(struct db_txn *txn, const unsigned char key[PACKAGE_KEY_SIZE],
			struct arena *arena, struct package *out, bool *sent, struct err *err)
{
	struct bytes value;
	int rc = db_get(txn, DB_PACKAGE, key_of(key), &value, err);

	if (rc < 0)
		return rc;
	rc = row_get_package(value, arena, out, sent);
	return rc < 0 ? store_damaged(err, rc, "a package definition") : 0;
}

int dictionary_resolve(struct db_txn *txn, const struct ref_list *refs, struct arena *arena,
		       struct package_list *out, struct err *err)
{
	struct package_list list = {0};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < refs->n; i++) {
		struct package_ref ref = ref_at(refs, i);
		struct package p;
		bool sent;

		rc = read_package(txn, ref.key, arena, &p, &sent, err);
		if (rc == ERR_NOTFOUND)
			rc = store_damaged(err, ERR_CORRUPT, "the dictionary");
		if (rc < 0)
			break;
		p.requested = ref.requested;
		p.installer = ref.installer;
		p.stamp = ref.stamp;
		p.claim = ref.claim;
		rc = package_list_add(&list, &p);
		if (rc < 0)
			err_nomem(err);
	}
	if (rc < 0) {
		package_list_deinit(&list);
		return rc;
	}
	*out = list;
	return 0;
}

/* --- adding ------------------------------------------------------------------------------- */

static int put_package(struct db_txn *txn, const struct package *p, bool sent, struct buf *room,
		       struct err *err)
{
	unsigned char key[PACKAGE_KEY_SIZE];

	buf_clear(room);
	row_put_package(room, p, sent);
	if (buf_rc(room) < 0)
		return err_set(err, buf_rc(room), "store a package: %s", err_text(buf_rc(room)));
	package_def_key(p, key);
	return db_put(txn, DB_PACKAGE, key_of(key), BYTES_OF_BUF(room), err);
}

int dictionary_write(struct db_txn *txn, const struct package *items, size_t n, struct err *err)
{
	struct buf room;
	int rc = 0;

	buf_init(&room, ROW_MAX);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = put_package(txn, &items[i], false, &room, err);
	buf_deinit(&room);
	return rc;
}

struct batch {
	const struct package *items;
	size_t n;
};

static int batch_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	const struct batch *b = ctx;

	return dictionary_write(txn, b->items, b->n, err);
}

static int find_missing(struct store *s, const struct package_list *packages,
			struct package_list *missing, struct err *err)
{
	unsigned char key[PACKAGE_KEY_SIZE];
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < packages->n; i++) {
		struct bytes value;

		package_def_key(&packages->items[i], key);
		rc = db_get(txn, DB_PACKAGE, key_of(key), &value, err);
		if (rc == ERR_NOTFOUND) {
			rc = package_list_add(missing, &packages->items[i]);
			if (rc < 0)
				err_nomem(err);
		}
	}
	db_end(txn);
	return rc;
}

/* What writing a definition takes, about: keys are scattered, so each costs a page of its own. */
static size_t size_of(const struct package *p)
{
	const char *const texts[] = {p->manager, p->name,   p->version, p->build,
				     p->channel, p->subdir, p->license, p->url};
	size_t n = 4096 + 160;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		n += strlen(texts[i]);
	return n;
}

/* How many of the items fit in so many bytes; at least one. */
static size_t fitting(const struct package *items, size_t n, size_t bytes)
{
	size_t used = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		used += size_of(&items[i]);
		if (used > bytes && i > 0)
			break;
	}
	return i;
}

int dictionary_prepare(struct store *s, const struct package_list *packages,
		       struct package_list *rest, struct err *err)
{
	struct package_list missing = {0};
	size_t done = 0;
	int rc = find_missing(s, packages, &missing, err);

	while (rc == 0 &&
	       fitting(missing.items + done, missing.n - done, REST_BYTES) < missing.n - done) {
		struct batch b = {.items = missing.items + done};

		b.n = fitting(b.items, missing.n - done, LAYOUT_DEFINITIONS);
		rc = store_write(s, DB_ADD, batch_txn, &b, err);
		done += b.n;
	}
	if (rc < 0) {
		package_list_deinit(&missing);
		return rc;
	}
	if (missing.n > done)
		memmove(missing.items, missing.items + done,
			(missing.n - done) * sizeof(*missing.items));
	missing.n -= done;
	*rest = missing;
	return 0;
}

/* --- what the server has ------------------------------------------------------------------ */

static int read_one(struct store *s, const unsigned char key[PACKAGE_KEY_SIZE], struct arena *arena,
		    struct package *out, bool *sent, struct err *err)
{
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	rc = read_package(txn, key, arena, out, sent, err);
	db_end(txn);
	return rc;
}

int store_package_is_sent(struct store *s, const unsigned char key[16], bool *sent, struct err *err)
{
	struct package p;
	struct arena arena;
	bool was_sent;
	int rc;

	arena_init(&arena, STORE_ARENA_MAX);
	rc = read_one(s, key, &arena, &p, &was_sent, err);
	arena_deinit(&arena);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	*sent = rc == 0 && was_sent;
	return 0;
}

int store_package_get(struct store *s, const unsigned char key[16], struct arena *arena,
		      struct package *out, struct err *err)
{
	bool sent;
	int rc = read_one(s, key, arena, out, &sent, err);

	return rc == ERR_NOTFOUND ? err_set(err, rc, "store: no such package") : rc;
}

struct marking {
	const unsigned char *keys;
	size_t n;
	bool sent;
	struct arena arena;
	struct buf room;
};

static int mark_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	struct marking *m = ctx;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->n; i++) {
		struct package p;
		bool sent;

		arena_reset(&m->arena);
		rc = read_package(txn, m->keys + i * PACKAGE_KEY_SIZE, &m->arena, &p, &sent, err);
		if (rc == 0 && sent != m->sent)
			rc = put_package(txn, &p, m->sent, &m->room, err);
		else if (rc == ERR_NOTFOUND)
			rc = 0;
	}
	return rc;
}

/* Definitions marked in one transaction, each of which costs a page or two. */
#define MARK_BATCH 120

static int mark(struct store *s, const unsigned char *keys, size_t n, bool sent, struct err *err)
{
	struct marking m = {.sent = sent};
	int rc = 0;

	arena_init(&m.arena, STORE_ARENA_MAX);
	buf_init(&m.room, ROW_MAX);
	for (size_t done = 0; rc == 0 && done < n; done += m.n) {
		m.keys = keys + done * PACKAGE_KEY_SIZE;
		m.n = n - done < MARK_BATCH ? n - done : MARK_BATCH;
		rc = store_write(s, DB_ADD, mark_txn, &m, err);
	}
	buf_deinit(&m.room);
	arena_deinit(&m.arena);
	return rc;
}

int store_packages_sent(struct store *s, const unsigned char *keys, size_t n, struct err *err)
{
	return mark(s, keys, n, true, err);
}

static int add_key(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct buf *keys = ctx;

	(void)value;
	if (key.n != PACKAGE_KEY_SIZE)
		return store_damaged(err, ERR_CORRUPT, "the dictionary");
	buf_add(keys, key.data, key.n);
	return buf_rc(keys) < 0 ? err_nomem(err) : 0;
}

int store_packages_unsent(struct store *s, struct err *err)
{
	struct db_txn *txn;
	struct buf keys;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	buf_init(&keys, STORE_ARENA_MAX);
	rc = db_each(txn, DB_PACKAGE, BYTES_NONE, add_key, &keys, err);
	db_end(txn);
	if (rc == 0)
		rc = mark(s, (const unsigned char *)keys.data, keys.len / PACKAGE_KEY_SIZE, false,
			  err);
	buf_deinit(&keys);
	return rc;
}
