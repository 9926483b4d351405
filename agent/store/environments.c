#include <string.h>

#include "agent/store/internal.h"

int environment_read(struct db_txn *txn, const struct uuid *id, struct arena *arena,
		     struct environment *out, struct err *err)
{
	struct bytes value;
	int rc = db_get(txn, DB_ENVIRONMENT, key_uuid(id), &value, err);

	if (rc == ERR_NOTFOUND)
		return err_set(err, rc, "store: no such environment");
	if (rc < 0)
		return rc;
	rc = row_get_environment(id, value, arena, out);
	return rc < 0 ? store_damaged(err, rc, "an environment") : 0;
}

static int indexed_id(struct db_txn *txn, enum db_table index, struct bytes key, struct uuid *out,
		      struct err *err)
{
	struct bytes value;
	int rc = db_get(txn, index, key, &value, err);

	if (rc < 0)
		return rc;
	if (value.n != UUID_SIZE)
		return store_damaged(err, ERR_CORRUPT, "an index");
	memcpy(out->b, value.data, UUID_SIZE);
	return 0;
}

int environment_indexed(struct db_txn *txn, enum db_table index, struct bytes key,
			struct arena *arena, struct environment *out, struct err *err)
{
	struct uuid id;
	int rc = indexed_id(txn, index, key, &id, err);

	if (rc < 0)
		return rc;
	rc = environment_read(txn, &id, arena, out, err);
	return rc == ERR_NOTFOUND ? store_damaged(err, ERR_CORRUPT, "an index") : rc;
}

/* --- writing ------------------------------------------------------------------------------ */

/* Takes an entry out of an index, if it is this environment's. */
static int unindex(struct db_txn *txn, enum db_table index, struct bytes key, const struct uuid *id,
		   struct err *err)
{
	struct uuid there;
	int rc = indexed_id(txn, index, key, &there, err);

	if (rc == ERR_NOTFOUND || (rc == 0 && uuid_cmp(&there, id) != 0))
		return 0;
	return rc < 0 ? rc : db_delete(txn, index, key, err);
}

static int unindex_old(struct db_txn *txn, const struct environment *old,
		       const struct environment *now, struct err *err)
{
	struct row_key key;
	int rc = 0;

	if (environment_lives(old) &&
	    (!environment_lives(now) || old->device != now->device || old->inode != now->inode))
		rc = unindex(txn, DB_INODE, key_pair(&key, old->device, old->inode), &old->id, err);
	if (rc == 0 && strcmp(old->prefix, now->prefix) != 0)
		rc = unindex(txn, DB_PATH, key_path(&key, old->prefix), &old->id, err);
	return rc;
}

int environment_write(struct db_txn *txn, const struct environment *old,
		      const struct environment *now, struct err *err)
{
	struct row_key key;
	struct buf row;
	int rc = 0;

	buf_init(&row, ROW_MAX);
	row_put_environment(&row, now);
	if (buf_rc(&row) < 0)
		rc = err_set(err, buf_rc(&row), "store an environment: %s", err_text(buf_rc(&row)));
	if (rc == 0 && old)
		rc = unindex_old(txn, old, now, err);
	if (rc == 0)
		rc = db_put(txn, DB_ENVIRONMENT, key_uuid(&now->id), BYTES_OF_BUF(&row), err);
	if (rc == 0 && now->deleted_ms == 0)
		rc = db_put(txn, DB_PATH, key_path(&key, now->prefix), key_uuid(&now->id), err);
	if (rc == 0 && environment_lives(now) && now->inode != 0)
		rc = db_put(txn, DB_INODE, key_pair(&key, now->device, now->inode),
			    key_uuid(&now->id), err);
	buf_deinit(&row);
	return rc;
}

/* --- reading ------------------------------------------------------------------------------ */

struct walk {
	store_environment_cb cb;
	void *ctx;
	struct arena arena;
};

static int walk_one(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct walk *w = ctx;
	struct environment env;
	struct uuid id;
	int rc;

	if (key.n != UUID_SIZE)
		return store_damaged(err, ERR_CORRUPT, "an environment");
	memcpy(id.b, key.data, UUID_SIZE);
	arena_reset(&w->arena);
	rc = row_get_environment(&id, value, &w->arena, &env);
	if (rc < 0)
		return store_damaged(err, rc, "an environment");
	return w->cb(w->ctx, &env);
}

int store_environments(struct store *s, store_environment_cb cb, void *ctx, struct err *err)
{
	struct walk w = {.cb = cb, .ctx = ctx};
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	arena_init(&w.arena, STORE_ARENA_MAX);
	rc = db_each(txn, DB_ENVIRONMENT, BYTES_NONE, walk_one, &w, err);
	arena_deinit(&w.arena);
	db_end(txn);
	return rc;
}

int store_environment_get(struct store *s, const struct uuid *id, struct arena *arena,
			  struct environment *out, struct err *err)
{
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	rc = environment_read(txn, id, arena, out, err);
	db_end(txn);
	return rc;
}

int store_environment_at(struct store *s, const char *prefix, struct arena *arena,
			 struct environment *out, struct err *err)
{
	struct row_key key;
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	rc = environment_indexed(txn, DB_PATH, key_path(&key, prefix), arena, out, err);
	if (rc == ERR_NOTFOUND)
		err_set(err, rc, "no environment is known at that path");
	db_end(txn);
	return rc;
}

int environment_packages(struct db_txn *txn, const struct uuid *id, struct arena *arena,
			 struct package_list *out, struct err *err)
{
	struct ref_list refs;
	struct bytes value;
	int rc = db_get(txn, DB_SNAPSHOT, key_uuid(id), &value, err);

	if (rc == ERR_NOTFOUND) {
		*out = (struct package_list){0};
		return 0;
	}
	if (rc < 0)
		return rc;
	rc = row_get_snapshot(value, &refs);
	if (rc < 0)
		return store_damaged(err, rc, "a snapshot");
	return dictionary_resolve(txn, &refs, arena, out, err);
}

int store_packages(struct store *s, const struct uuid *id, struct arena *arena,
		   struct package_list *out, struct err *err)
{
	struct environment env;
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	rc = environment_read(txn, id, arena, &env, err);
	if (rc == 0)
		rc = environment_packages(txn, id, arena, out, err);
	db_end(txn);
	return rc;
}

/* --- ids from the server ------------------------------------------------------------------ */

static int expect_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	const struct environment *env = ctx;
	struct row_key key;
	struct bytes value;
	int rc = db_get(txn, DB_PATH, key_path(&key, env->prefix), &value, err);

	if (rc == 0)
		return err_set(err, ERR_EXISTS, "an environment is known at that path");
	if (rc != ERR_NOTFOUND)
		return rc;
	rc = db_get(txn, DB_ENVIRONMENT, key_uuid(&env->id), &value, err);
	if (rc == 0)
		return err_set(err, ERR_EXISTS, "that environment is known at another path");
	if (rc != ERR_NOTFOUND)
		return rc;
	return environment_write(txn, NULL, env, err);
}

int store_expect(struct store *s, const struct uuid *id, const char *prefix, const char *owner,
		 struct err *err)
{
	struct environment env;

	environment_init(&env);
	env.id = *id;
	env.prefix = prefix;
	env.owner.name = owner;
	env.expected = true;
	return store_write(s, DB_ADD, expect_txn, &env, err);
}

/* --- use ---------------------------------------------------------------------------------- */

#define USE_BATCH 64 /* rows of one transaction */

struct using
{
	const struct store_use *items;
	size_t n;
	struct arena arena;
};

static int64_t newer(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int use_one(struct db_txn *txn, const struct store_use *use, struct arena *arena,
		   struct err *err)
{
	struct environment env;
	struct bytes value;
	int64_t used;
	int64_t run;
	int rc = db_get(txn, DB_ENVIRONMENT, key_uuid(&use->environment), &value, err);

	if (rc < 0)
		return rc == ERR_NOTFOUND ? 0 : rc;
	arena_reset(arena);
	rc = row_get_environment(&use->environment, value, arena, &env);
	if (rc < 0)
		return store_damaged(err, rc, "an environment");
	used = use->forget ? 0 : newer(env.last_used_ms, use->last_used_ms);
	run = use->forget ? 0 : newer(env.last_run_ms, use->last_run_ms);
	if (used == env.last_used_ms && run == env.last_run_ms)
		return 0;
	env.last_used_ms = used;
	env.last_run_ms = run;
	return environment_write(txn, &env, &env, err);
}

static int use_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	struct using *u = ctx;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < u->n; i++)
		rc = use_one(txn, &u->items[i], &u->arena, err);
	return rc;
}

int store_use(struct store *s, const struct store_use *items, size_t n, struct err *err)
{
	struct using u = {0};
	int rc = 0;

	arena_init(&u.arena, STORE_ARENA_MAX);
	for (size_t done = 0; rc == 0 && done < n; done += u.n) {
		u.items = items + done;
		u.n = n - done < USE_BATCH ? n - done : USE_BATCH;
		rc = store_write(s, DB_ADD, use_txn, &u, err);
	}
	arena_deinit(&u.arena);
	return rc;
}
