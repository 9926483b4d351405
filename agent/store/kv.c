#include <string.h>

#include "agent/store/internal.h"

struct put {
	struct bytes key;
	struct bytes value;
};

static int check_key(const char *key, struct err *err)
{
	size_t n = strlen(key);

	if (n == 0 || n > STORE_KEY_MAX)
		return err_set(err, ERR_LIMIT, "store: a setting's name is too long");
	return 0;
}

static int put_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	const struct put *put = ctx;

	return db_put(txn, DB_KV, put->key, put->value, err);
}

int store_kv_put(struct store *s, const char *key, const void *data, size_t n, struct err *err)
{
	struct put put = {BYTES_OF_TEXT(key), {data, n}};
	int rc = check_key(key, err);

	if (rc < 0)
		return rc;
	if (n > STORE_VALUE_MAX)
		return err_set(err, ERR_LIMIT, "store: setting %s is too long", key);
	return store_write(s, DB_ADD, put_txn, &put, err);
}

int store_kv_get(struct store *s, const char *key, struct buf *out, struct err *err)
{
	struct bytes value;
	struct db_txn *txn;
	int rc = check_key(key, err);

	if (rc == 0)
		rc = db_begin(s->db, &txn, err);
	if (rc < 0)
		return rc;
	rc = db_get(txn, DB_KV, BYTES_OF_TEXT(key), &value, err);
	if (rc == 0) {
		buf_add(out, value.data, value.n);
		rc = buf_rc(out);
	} else if (rc == ERR_NOTFOUND) {
		err_set(err, rc, "store: no setting %s", key);
	}
	db_end(txn);
	return rc;
}

struct walk {
	const char *prefix;
	store_kv_cb cb;
	void *ctx;
	bool over; /* a name behind those that begin so has come */
};

static int walk_one(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct walk *walk = ctx;
	size_t n = strlen(walk->prefix);

	(void)err;
	walk->over = key.n < n || memcmp(key.data, walk->prefix, n) != 0;
	return walk->over ? 1 : walk->cb(walk->ctx, key.data, key.n, value.data, value.n);
}

int store_kv_each(struct store *s, const char *prefix, store_kv_cb cb, void *ctx, struct err *err)
{
	struct walk walk = {.prefix = prefix, .cb = cb, .ctx = ctx};
	struct db_txn *txn;
	int rc = check_key(prefix, err);

	if (rc == 0)
		rc = db_begin(s->db, &txn, err);
	if (rc < 0)
		return rc;
	rc = db_each(txn, DB_KV, BYTES_OF_TEXT(prefix), walk_one, &walk, err);
	db_end(txn);
	return walk.over ? 0 : rc;
}

static int delete_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	return db_delete(txn, DB_KV, BYTES_OF_TEXT((const char *)ctx), err);
}

int store_kv_delete(struct store *s, const char *key, struct err *err)
{
	char name[STORE_KEY_MAX + 1] = {0};
	int rc = check_key(key, err);

	if (rc < 0)
		return rc;
	memcpy(name, key, strlen(key));
	return store_write(s, DB_DELETE, delete_txn, name, err);
}

/* Few enough for one small transaction. */
#define CLEAR_BATCH 64

struct clearing {
	char keys[CLEAR_BATCH][STORE_KEY_MAX + 1];
	size_t n;
};

static int find_key(void *ctx, const char *key, size_t key_n, const void *data, size_t n)
{
	struct clearing *c = ctx;

	(void)data;
	(void)n;
	memcpy(c->keys[c->n], key, key_n);
	c->keys[c->n][key_n] = '\0';
	c->n++;
	return c->n == CLEAR_BATCH;
}

static int clear_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	const struct clearing *c = ctx;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->n; i++)
		rc = db_delete(txn, DB_KV, BYTES_OF_TEXT(c->keys[i]), err);
	return rc;
}

int store_kv_clear(struct store *s, const char *prefix, struct err *err)
{
	struct clearing c;
	int rc;

	do {
		c.n = 0;
		rc = store_kv_each(s, prefix, find_key, &c, err);
		if (rc >= 0 && c.n > 0)
			rc = store_write(s, DB_DELETE, clear_txn, &c, err);
	} while (rc >= 0 && c.n == CLEAR_BATCH);
	return rc < 0 ? rc : 0;
}
