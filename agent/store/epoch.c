#include <string.h>

#include "agent/core/step.h"
#include "agent/store/internal.h"

/* --- the baseline ------------------------------------------------------------------------- */

struct next {
	struct uuid after;
	struct environment env;
	struct arena *arena;
};

static int find_next(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct next *n = ctx;
	struct uuid id;
	int rc;

	if (key.n != UUID_SIZE)
		return store_damaged(err, ERR_CORRUPT, "an environment");
	memcpy(id.b, key.data, UUID_SIZE);
	if (uuid_cmp(&id, &n->after) == 0)
		return 0;
	arena_reset(n->arena);
	rc = row_get_environment(&id, value, n->arena, &n->env);
	if (rc < 0)
		return store_damaged(err, rc, "an environment");
	return environment_lives(&n->env);
}

struct telling {
	const struct store *store;
	struct epoch_row next;
	struct change *change; /* NULL = all are told */
};

static int tell_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	struct telling *t = ctx;

	t->next = t->store->epoch;
	if (!t->change) {
		t->next.baseline = false;
		return epoch_write(txn, t->store->epoch_no, &t->next, err);
	}
	t->next.baseline_after = t->change->environment;
	return journal_append(txn, &(struct journal_end){t->store, t->store->epoch_no, &t->next},
			      t->change, err);
}

/* The next environment to tell and its packages; 1 = found, 0 = none is left. */
static int read_next(struct store *s, struct next *n, struct package_list *packages,
		     struct err *err)
{
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	n->after = s->epoch.baseline_after;
	rc = db_each(txn, DB_ENVIRONMENT, key_uuid(&n->after), find_next, n, err);
	if (rc > 0) {
		rc = environment_packages(txn, &n->env.id, n->arena, packages, err);
		if (rc == 0)
			rc = 1;
	}
	db_end(txn);
	return rc;
}

/* Tells one environment, or that all are told. */
static int tell_next(struct store *s, struct err *err)
{
	struct telling t = {.store = s};
	struct package_list packages = {0};
	struct arena arena;
	struct next n = {.arena = &arena};
	struct change c;
	int rc;

	change_init(&c);
	arena_init(&arena, STORE_ARENA_MAX);
	rc = read_next(s, &n, &packages, err);
	if (rc > 0) {
		t.change = &c;
		rc = step_baseline(&n.env, &packages, s->epoch.baseline_ms, &c);
		if (rc < 0)
			err_nomem(err);
	}
	if (rc == 0)
		rc = store_write(s, DB_ADD, tell_txn, &t, err);
	if (rc == 0)
		s->epoch = t.next;
	change_deinit(&c);
	package_list_deinit(&packages);
	arena_deinit(&arena);
	return rc;
}

int baseline_finish(struct store *s, struct err *err)
{
	int rc = 0;

	while (rc == 0 && s->epoch.baseline)
		rc = tell_next(s, err);
	return rc;
}

/* --- a new epoch -------------------------------------------------------------------------- */

struct beginning {
	const struct store *store;
	const struct store_new_epoch *how;
	struct uuid uuid;
	struct epoch_row next;
};

static void gap_change(const struct beginning *b, struct buf *name, struct change *c)
{
	change_init(c);
	c->kind = CHANGE_GAP;
	c->time_ms = b->how->now_ms;
	buf_add_hex(name, uuid_is_zero(&b->how->lost) ? b->store->epoch.uuid.b : b->how->lost.b,
		    UUID_SIZE);
	c->detail = buf_cstr(name);
}

static int begin_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	struct beginning *b = ctx;
	uint64_t epoch_no = b->store->epoch_no + 1;
	struct change c;
	struct buf name;
	int rc;

	b->next = (struct epoch_row){
		.uuid = b->uuid,
		.baseline = b->how->baseline,
		.baseline_ms = b->how->now_ms,
	};
	if (!b->how->gap)
		return epoch_write(txn, epoch_no, &b->next, err);
	buf_init(&name, 2 * UUID_SIZE);
	gap_change(b, &name, &c);
	rc = buf_rc(&name);
	if (rc < 0)
		err_nomem(err);
	else
		rc = journal_append(txn, &(struct journal_end){b->store, epoch_no, &b->next}, &c,
				    err);
	change_deinit(&c);
	buf_deinit(&name);
	return rc;
}

int store_new_epoch(struct store *s, const struct store_new_epoch *how, struct err *err)
{
	struct beginning b = {.store = s, .how = how};
	int rc;

	uuid_new(&b.uuid);
	rc = store_write(s, DB_ADD, begin_txn, &b, err);
	if (rc < 0)
		return rc;
	s->epoch_no++;
	s->epoch = b.next;
	s->given = 0;
	s->has_folds = false;
	return baseline_finish(s, err);
}
