/* What an environment's packages were at a moment: the present ones without what came after it. */
#include <inttypes.h>
#include <string.h>

#include "agent/store/internal.h"
#include "agent/store/net.h"
#include "lib/base/clock.h"

struct past {
	const struct store *store;
	const struct store_moment *at;
	const struct uuid *environment;
	struct arena arena; /* of the row looked at */
	struct net net;	    /* of what came after the moment */
	bool any;	    /* a change is kept */
	bool begins;	    /* the first of them is the environment's beginning */
	int64_t first_ms;
	bool alive; /* after the changes looked at so far */
	bool before_any;
	bool before_alive; /* at the moment, as far as changes tell */
};

static bool is_after(const struct past *p, uint64_t epoch_no, uint64_t seq, int64_t time_ms)
{
	if (p->at->seq != 0)
		return epoch_no == p->store->epoch_no && seq > p->at->seq;
	return time_ms > p->at->time_ms;
}

static int look(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct past *p = ctx;
	const struct change *c;
	struct change_row row;
	bool again;
	int rc;

	arena_reset(&p->arena);
	rc = row_get_change(value, &p->arena, &row);
	if (rc < 0)
		return store_damaged(err, rc, "a change");
	c = &row.change;
	if (uuid_cmp(&c->environment, p->environment) != 0)
		return 0;
	/* A new epoch tells anew what is there already. */
	again = p->alive && c->kind == CHANGE_CREATED && c->seen_at_start;
	if (!p->any) {
		p->any = true;
		p->first_ms = c->time_ms;
		p->begins = (c->kind == CHANGE_CREATED && !c->seen_at_start) ||
			    c->kind == CHANGE_CLONED;
	}
	p->alive = c->kind != CHANGE_DELETED;
	if (!is_after(p, key_read(key, 0), key_read(key, 8), c->time_ms)) {
		p->before_any = true;
		p->before_alive = p->alive;
		return 0;
	}
	if (again)
		return 0;
	rc = net_add(&p->net, &row.added, &row.removed);
	return rc < 0 ? err_nomem(err) : 0;
}

/* Whether what is kept tells how it was at the moment. */
static int judge(const struct past *p, const struct environment *env, struct err *err)
{
	char text[CLOCK_TEXT_MAX];

	if (p->before_any)
		return p->before_alive
			       ? 0
			       : err_set(err, ERR_NOTFOUND, "the environment did not exist then");
	if (p->any && p->begins)
		return err_set(err, ERR_NOTFOUND, "the environment did not exist then");
	if (!p->any && p->at->seq == 0 && p->at->time_ms >= env->last_change_ms &&
	    environment_lives(env))
		return 0;
	if (!p->any)
		return err_set(err, ERR_NOTFOUND,
			       "the changes of that time are not kept here any more");
	clock_format(p->first_ms, text);
	return err_set(err, ERR_NOTFOUND, "the history kept here begins at %s", text);
}

static int resolve_vec(struct db_txn *txn, const struct ref_vec *vec, struct arena *arena,
		       struct package_list *out, struct err *err)
{
	struct ref_list refs;
	struct buf bytes;
	int rc;

	buf_init(&bytes, STORE_ARENA_MAX);
	row_put_vec(&bytes, vec->items, vec->n);
	rc = buf_rc(&bytes) < 0 ? err_nomem(err) : 0;
	refs = row_vec_refs((struct bytes){bytes.data, bytes.len});
	if (rc == 0)
		rc = dictionary_resolve(txn, &refs, arena, out, err);
	if (rc == 0)
		package_list_sort(out);
	buf_deinit(&bytes);
	return rc;
}

static int undo(struct db_txn *txn, struct past *p, struct arena *arena, struct package_list *out,
		struct err *err)
{
	struct package_list now = {0};
	struct package_list added = {0};
	struct package_list removed = {0};
	int rc = environment_packages(txn, p->environment, arena, &now, err);

	if (rc == 0)
		rc = resolve_vec(txn, &p->net.added, arena, &added, err);
	if (rc == 0)
		rc = resolve_vec(txn, &p->net.removed, arena, &removed, err);
	if (rc == 0) {
		net_cancel(&added, &removed);
		rc = net_undo(&now, &added, &removed, out);
		if (rc < 0)
			err_nomem(err);
	}
	package_list_deinit(&now);
	package_list_deinit(&added);
	package_list_deinit(&removed);
	return rc;
}

static int packages_at(struct db_txn *txn, struct past *p, struct arena *arena,
		       struct package_list *out, struct err *err)
{
	struct environment env;
	int rc = environment_read(txn, p->environment, arena, &env, err);

	if (rc < 0)
		return rc;
	if (p->at->seq == 0 && p->at->time_ms == 0)
		return environment_packages(txn, p->environment, arena, out, err);
	if (p->at->seq > p->store->epoch.head)
		return err_set(err, ERR_NOTFOUND,
			       "there is no change %" PRIu64 ": the journal goes to %" PRIu64,
			       p->at->seq, p->store->epoch.head);
	rc = db_each(txn, DB_JOURNAL, BYTES_NONE, look, p, err);
	if (rc == 0)
		rc = judge(p, &env, err);
	return rc < 0 ? rc : undo(txn, p, arena, out, err);
}

int store_packages_at(struct store *s, const struct uuid *id, const struct store_moment *at,
		      struct arena *arena, struct package_list *out, struct err *err)
{
	struct past p = {.store = s, .at = at, .environment = id};
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	arena_init(&p.arena, STORE_ARENA_MAX);
	rc = packages_at(txn, &p, arena, out, err);
	net_deinit(&p.net);
	arena_deinit(&p.arena);
	db_end(txn);
	return rc;
}
