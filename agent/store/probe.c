#include <stdio.h>
#include <string.h>

#include "agent/store/internal.h"
#include "lib/base/clock.h"

struct checking {
	struct db_txn *txn;
	struct arena arena;
	/* journal: the change before */
	uint64_t epoch_no;
	uint64_t seq;
	struct epoch_row epoch;
	unsigned char hash[SHA256_SIZE];
};

static int bad(struct err *err, const char *what)
{
	return store_damaged(err, ERR_CORRUPT, what);
}

static int check_environment(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct checking *c = ctx;
	struct environment env;
	struct uuid id;
	int rc;

	if (key.n != UUID_SIZE)
		return bad(err, "an environment");
	memcpy(id.b, key.data, UUID_SIZE);
	arena_reset(&c->arena);
	rc = row_get_environment(&id, value, &c->arena, &env);
	return rc < 0 ? store_damaged(err, rc, "an environment") : 0;
}

static int check_index(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct checking *c = ctx;
	struct bytes env;
	int rc;

	(void)key;
	if (value.n != UUID_SIZE)
		return bad(err, "an index");
	rc = db_get(c->txn, DB_ENVIRONMENT, value, &env, err);
	return rc == ERR_NOTFOUND ? bad(err, "an index") : rc;
}

static int check_refs(struct checking *c, const struct ref_list *refs, struct err *err)
{
	for (size_t i = 0; i < refs->n; i++) {
		struct package_ref ref = ref_at(refs, i);
		struct bytes value;
		int rc = db_get(c->txn, DB_PACKAGE, (struct bytes){ref.key, sizeof(ref.key)},
				&value, err);

		if (rc == ERR_NOTFOUND)
			return bad(err, "the dictionary");
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_snapshot(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct ref_list refs;

	(void)key;
	if (row_get_snapshot(value, &refs) < 0)
		return bad(err, "a snapshot");
	return check_refs(ctx, &refs, err);
}

static int check_package(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct checking *c = ctx;
	unsigned char want[PACKAGE_KEY_SIZE];
	struct package p;
	bool sent;
	int rc;

	arena_reset(&c->arena);
	rc = row_get_package(value, &c->arena, &p, &sent);
	if (rc < 0)
		return store_damaged(err, rc, "a package definition");
	package_def_key(&p, want);
	if (key.n != sizeof(want) || memcmp(key.data, want, sizeof(want)) != 0)
		return bad(err, "a package definition");
	return 0;
}

static int load_epoch(struct checking *c, uint64_t epoch_no, struct err *err)
{
	struct row_key key;
	struct bytes value;
	int rc = db_get(c->txn, DB_EPOCH, key_number(&key, epoch_no), &value, err);

	if (rc == ERR_NOTFOUND || (rc == 0 && row_get_epoch(value, &c->epoch) < 0))
		return bad(err, "an epoch");
	return rc;
}

/* The chain, as far as it is kept: from one change to the next, and to the epoch's head. */
static int check_link(struct checking *c, struct change *change, uint64_t epoch_no, uint64_t seq,
		      const unsigned char hash[SHA256_SIZE], struct err *err)
{
	unsigned char prev[SHA256_SIZE] = {0};
	unsigned char want[SHA256_SIZE];
	bool range = change->first_seq != 0 || change->folded > 1;
	uint64_t first = change->first_seq ? change->first_seq : seq;
	bool follows = epoch_no == c->epoch_no && first == c->seq + 1;
	int rc = epoch_no == c->epoch_no ? 0 : load_epoch(c, epoch_no, err);

	if (rc < 0)
		return rc;
	if ((epoch_no == c->epoch_no && !follows) || seq > c->epoch.head)
		return bad(err, "the journal");
	change->epoch = c->epoch.uuid;
	change->seq = seq;
	if (follows)
		memcpy(prev, c->hash, sizeof(prev));
	change_chain(prev, change, want);
	if (!range && (follows || seq == 1) && memcmp(want, hash, sizeof(want)) != 0)
		return bad(err, "the journal's chain");
	if (seq == c->epoch.head && memcmp(c->epoch.head_hash, hash, SHA256_SIZE) != 0)
		return bad(err, "the journal's head");
	c->epoch_no = epoch_no;
	c->seq = seq;
	memcpy(c->hash, hash, SHA256_SIZE);
	return 0;
}

static int check_change(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct checking *c = ctx;
	struct change_row row;
	struct change change;
	int rc;

	arena_reset(&c->arena);
	rc = row_get_change(value, &c->arena, &row);
	if (rc < 0 || key.n != 16)
		return store_damaged(err, rc < 0 ? rc : ERR_CORRUPT, "a change");
	change = row.change;
	rc = dictionary_resolve(c->txn, &row.added, &c->arena, &change.added, err);
	if (rc == 0)
		rc = dictionary_resolve(c->txn, &row.removed, &c->arena, &change.removed, err);
	if (rc == 0)
		rc = check_link(c, &change, key_read(key, 0), key_read(key, 8), row.hash, err);
	change_deinit(&change);
	return rc;
}

/* The present epoch's newest change is there, unless all of them were dropped. */
static int check_head(struct checking *c, struct err *err)
{
	struct bytes key;
	struct bytes value;
	uint64_t last;
	int rc = db_last(c->txn, DB_EPOCH, &key, &value, err);

	if (rc < 0)
		return rc == ERR_NOTFOUND ? bad(err, "the list of epochs") : rc;
	last = key_read(key, 0);
	rc = load_epoch(c, last, err);
	if (rc < 0)
		return rc;
	if (c->epoch_no == last ? c->seq != c->epoch.head : c->epoch.head > c->epoch.acked)
		return bad(err, "the journal");
	return 0;
}

static int check_value(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	(void)ctx;
	(void)key;
	(void)value;
	(void)err;
	return 0; /* its checksum was looked at */
}

static int check_all(struct checking *c, struct err *err)
{
	static const struct {
		enum db_table table;
		db_each_cb fn;
	} checks[] = {
		{DB_META, check_value},	       {DB_EPOCH, check_value},
		{DB_KV, check_value},	       {DB_TRUSTED, check_value},
		{DB_PACKAGE, check_package},   {DB_ENVIRONMENT, check_environment},
		{DB_PATH, check_index},	       {DB_INODE, check_index},
		{DB_SNAPSHOT, check_snapshot}, {DB_JOURNAL, check_change},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(checks); i++)
		rc = db_each(c->txn, checks[i].table, BYTES_NONE, checks[i].fn, c, err);
	if (rc == 0)
		rc = check_head(c, err);
	return rc == 0 ? trusted_check(c->txn, err) : rc;
}

int store_check(struct db *db, struct err *err)
{
	struct checking c = {0};
	int rc = db_begin(db, &c.txn, err);

	if (rc < 0)
		return rc;
	arena_init(&c.arena, STORE_ARENA_MAX);
	rc = check_all(&c, err);
	arena_deinit(&c.arena);
	db_end(c.txn);
	return rc;
}

int store_probe(const char *dir, struct err *err)
{
	struct db *db;
	int rc = db_open(dir, 0, true, &db, err);

	if (rc < 0)
		return rc;
	rc = store_check(db, err);
	db_close(db);
	return rc;
}

#define NAMES_MAX 100 /* stores set aside within one second */

int store_set_aside(const char *dir, int64_t now_ms, char *name, size_t cap, struct err *err)
{
	char stamp[CLOCK_TEXT_MAX];
	char to[STORE_PATH_MAX];
	FILE *there;

	clock_format(now_ms, stamp);
	for (int i = 0; i < NAMES_MAX; i++) {
		/* 2026-11-22T17:17:42.123Z without what file names do not take everywhere */
		int n = snprintf(to, sizeof(to), "%s.damaged-%.10s-%.2s%.2s%.2s", dir, stamp,
				 stamp + 11, stamp + 14, stamp + 17);

		if (n > 0 && i > 0 && (size_t)n < sizeof(to))
			n += snprintf(to + n, sizeof(to) - (size_t)n, "-%d", i);
		if (n < 0 || (size_t)n >= sizeof(to) || (size_t)n >= cap)
			return err_set(err, ERR_LIMIT, "set store aside: path is too long");
		there = fopen(to, "r");
		if (there) {
			fclose(there);
			continue;
		}
		if (rename(dir, to) != 0)
			return err_set(err, ERR_IO, "set store aside: cannot rename %s", dir);
		memcpy(name, to, (size_t)n + 1);
		return 0;
	}
	return err_set(err, ERR_EXISTS, "set store aside: every name is taken");
}
