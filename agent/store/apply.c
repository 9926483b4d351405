#include <string.h>

#include "agent/core/step.h"
#include "agent/store/internal.h"
#include "agent/store/layout.h"

/*
 * What has to be done before a change is added; not after it, for a change that is on the disk must
 * not be answered with an error.
 */
static int make_ready(struct store *s, struct err *err)
{
	int rc = baseline_finish(s, err);

	return rc < 0 ? rc : journal_trim(s, err);
}

/* --- ending an environment ---------------------------------------------------------------- */

struct ending {
	const struct store *store;
	const struct environment *env;
	int64_t now_ms;
	struct change *change;
	struct epoch_row next;
};

static int end_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	struct ending *e = ctx;
	struct environment gone = *e->env;
	int rc;

	e->next = e->store->epoch;
	gone.deleted_ms = e->now_ms > 0 ? e->now_ms : 1;
	gone.last_change_ms = e->now_ms;
	rc = environment_write(txn, e->env, &gone, err);
	if (rc == 0)
		rc = db_delete(txn, DB_SNAPSHOT, key_uuid(&gone.id), err);
	if (rc == 0)
		rc = journal_append(txn,
				    &(struct journal_end){e->store, e->store->epoch_no, &e->next},
				    e->change, err);
	return rc;
}

static int read_packages(struct store *s, const struct uuid *id, struct arena *arena,
			 struct package_list *out, struct err *err)
{
	struct db_txn *txn;
	int rc = db_begin(s->db, &txn, err);

	if (rc < 0)
		return rc;
	rc = environment_packages(txn, id, arena, out, err);
	db_end(txn);
	return rc;
}

/* Its packages are read here. */
static int end_environment(struct store *s, const struct step_end *last, struct err *err)
{
	const struct environment *env = last->environment;
	struct ending e = {.store = s, .env = env, .now_ms = last->now_ms};
	struct step_end end = *last;
	struct package_list before = {0};
	struct arena arena;
	struct change c;
	int rc;

	change_init(&c);
	arena_init(&arena, STORE_ARENA_MAX);
	rc = read_packages(s, &env->id, &arena, &before, err);
	if (rc < 0)
		goto out;
	end.before = &before;
	rc = step_deleted(&end, &c);
	if (rc < 0) {
		err_nomem(err);
		goto out;
	}
	e.change = &c;
	rc = store_write(s, DB_ADD, end_txn, &e, err);
	if (rc == 0)
		s->epoch = e.next;
out:
	change_deinit(&c);
	package_list_deinit(&before);
	arena_deinit(&arena);
	return rc;
}

/* --- taking in a snapshot ----------------------------------------------------------------- */

struct applying {
	struct store *store;
	const struct snapshot *snap;
	int64_t now_ms;
	struct arena arena; /* texts of all below */
	struct environment at_path;
	struct environment at_inode;
	struct environment at_source;
	struct candidates candidates;
	struct identity identity;
	struct package_list before;
	struct package_list definitions; /* new ones, to go in with the snapshot */
	struct step step;
	struct environment env; /* as it will be stored */
	struct buf refs;
	struct epoch_row next;
};

static int candidate(struct applying *a, struct db_txn *txn, enum db_table index, struct bytes key,
		     struct environment *room, const struct environment **out, struct err *err)
{
	int rc = environment_indexed(txn, index, key, &a->arena, room, err);

	if (rc == 0)
		*out = room;
	return rc == ERR_NOTFOUND ? 0 : rc;
}

static int find_candidates(struct applying *a, struct err *err)
{
	const struct snapshot *s = a->snap;
	const char *stand_in = NULL;
	struct row_key key;
	struct db_txn *txn;
	int rc = db_begin(a->store->db, &txn, err);

	if (rc < 0)
		return rc;
	rc = candidate(a, txn, DB_PATH, key_path(&key, s->prefix), &a->at_path,
		       &a->candidates.at_path, err);
	/* The server remembers it by what stands for its path. */
	if (rc == 0 && !a->candidates.at_path)
		rc = hiding_stand_in(a->store, s->prefix, &a->arena, &stand_in, err);
	if (rc == 0 && stand_in)
		rc = candidate(a, txn, DB_PATH, key_path(&key, stand_in), &a->at_path,
			       &a->candidates.at_path, err);
	if (rc == 0 && s->inode != 0)
		rc = candidate(a, txn, DB_INODE, key_pair(&key, s->device, s->inode), &a->at_inode,
			       &a->candidates.at_inode, err);
	if (rc == 0 && s->renamed_from[0] != '\0')
		rc = candidate(a, txn, DB_PATH, key_path(&key, s->renamed_from), &a->at_source,
			       &a->candidates.at_source, err);
	db_end(txn);
	return rc;
}

/* --- the source a clone's command names --- */

struct source {
	const char *name; /* a prefix, or its last part */
	bool is_path;
	const struct snapshot *of;
	struct uuid id;
	bool found;
	bool same_owner;
};

static const char *last_part(const char *path)
{
	const char *at = path;

	for (const char *p = path; *p; p++) {
		if (*p == '/' || *p == '\\')
			at = p + 1;
	}
	return at;
}

/* Of several with the name, one of the same owner; the clone itself is none. */
static int match_source(void *ctx, const struct environment *env)
{
	struct source *src = ctx;
	const char *name = src->is_path ? env->prefix : last_part(env->prefix);
	bool same_owner = env->owner.uid == src->of->owner.uid;

	if (env->expected || strcmp(name, src->name) != 0 ||
	    strcmp(env->prefix, src->of->prefix) == 0 || (src->found && !same_owner))
		return 0;
	src->id = env->id;
	src->found = true;
	return same_owner && environment_lives(env);
}

static bool find_source(void *ctx, const char *source, const struct snapshot *of, struct uuid *id)
{
	struct store *s = ctx;
	struct source src = {.of = of};

	/* A relative path is known by its last part only: where it began is not known. */
	src.is_path = source[0] == '/' || (source[0] != '\0' && source[1] == ':');
	src.name = src.is_path ? source : last_part(source);
	if (store_environments(s, match_source, &src, NULL) < 0 || !src.found)
		return false;
	*id = src.id;
	return true;
}

/* --- */

/* A derived id is taken when an environment that is gone had the same inode and birth. */
static int find_fresh_id(struct applying *a, struct uuid *out, struct err *err)
{
	struct environment taken;
	int rc;

	if (!identity_fresh(a->snap, out))
		return 0;
	rc = store_environment_get(a->store, out, &a->arena, &taken, err);
	if (rc == 0)
		uuid_new(out);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

/* --- whether it is a copy of another, with that one's time of creation --- */

struct twin {
	int64_t created_ms;
	const char *prefix;
	bool *found;
};

static int match_twin(void *ctx, const struct environment *env)
{
	struct twin *twin = ctx;

	if (env->created_ms != twin->created_ms || strcmp(env->prefix, twin->prefix) == 0)
		return 0;
	*twin->found = true;
	return 1;
}

static int find_twin(struct store *s, const struct snapshot *snap, bool *found, struct err *err)
{
	struct twin twin = {snap->created_ms, snap->prefix, found};
	int rc = store_environments(s, match_twin, &twin, err);

	return rc < 0 ? rc : 0;
}

/* At start many come at once, and what a copy's command says matters only where it clones. */
static bool may_be_copy(const struct applying *a)
{
	const struct snapshot *s = a->snap;

	return (a->identity.kind == IDENTITY_NEW || a->identity.kind == IDENTITY_RECREATED) &&
	       s->created_ms != 0 && (!s->at_start || s->history.source[0] != '\0');
}

/* --- */

static int make_step(struct applying *a, struct err *err)
{
	struct step_input in = {
		.identity = &a->identity,
		.before = &a->before,
		.snapshot = a->snap,
		.now_ms = a->now_ms,
		.find_source = find_source,
		.ctx = a->store,
	};
	int rc = 0;

	rc = find_fresh_id(a, &in.fresh_id, err);
	if (rc == 0 && may_be_copy(a))
		rc = find_twin(a->store, a->snap, &in.copied, err);
	if (rc == 0 && a->identity.known)
		rc = read_packages(a->store, &a->identity.known->id, &a->arena, &a->before, err);
	if (rc < 0)
		return rc;
	rc = step_make(&in, &a->step);
	return rc < 0 ? err_nomem(err) : 0;
}

static void fill_row(struct applying *a)
{
	const struct environment *known = a->identity.known;
	const struct snapshot *s = a->snap;
	struct environment *e = &a->env;

	environment_init(e);
	if (known) {
		e->id = known->id;
		e->cloned_from = known->cloned_from;
		e->last_change_ms = known->last_change_ms;
		e->last_used_ms = known->last_used_ms;
		e->last_run_ms = known->last_run_ms;
	}
	if (a->step.changed) {
		e->id = a->step.change.environment;
		e->last_change_ms = a->now_ms;
		if (a->step.change.kind == CHANGE_CLONED)
			e->cloned_from = a->step.change.cloned_from;
	}
	e->prefix = s->prefix;
	e->device = s->device;
	e->inode = s->inode;
	memcpy(e->volume, s->volume, sizeof(e->volume));
	e->filesystem = s->filesystem;
	e->owner = s->owner;
	/* A name that can't be told now is as it was. */
	if (s->owner.name[0] == '\0' && known && known->owner.uid == s->owner.uid)
		e->owner.name = known->owner.name;
	e->platform = s->platform;
	e->tool = s->tool;
	e->created_ms = s->created_ms;
	e->sections = s->history.sections;
	e->self_reported = s->self_reported;
	e->package_count = s->packages.n;
	e->config_names = s->config_names;
	e->stamp = s->stamp;
	e->stamp_n = s->stamp_n;
	memcpy(e->config_digest, s->config_digest, sizeof(e->config_digest));
	memcpy(e->digest, s->digest, sizeof(e->digest));
	memcpy(e->attribute_digest, s->attribute_digest, sizeof(e->attribute_digest));
}

/* The last, small transaction: from here on the snapshot is the last one and the change is told. */
static int save_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	struct applying *a = ctx;
	int rc = dictionary_write(txn, a->definitions.items, a->definitions.n, err);

	a->next = a->store->epoch;
	if (rc == 0 && (a->step.packages_differ || a->step.marks_differ))
		rc = db_put(txn, DB_SNAPSHOT, key_uuid(&a->env.id), BYTES_OF_BUF(&a->refs), err);
	if (rc == 0)
		rc = environment_write(txn, a->identity.known, &a->env, err);
	if (rc == 0 && a->step.changed)
		rc = journal_append(txn,
				    &(struct journal_end){a->store, a->store->epoch_no, &a->next},
				    &a->step.change, err);
	return rc;
}

static int save(struct applying *a, struct err *err)
{
	int rc = 0;

	fill_row(a);
	if (a->step.packages_differ) {
		rc = dictionary_prepare(a->store, &a->snap->packages, &a->definitions, err);
		if (rc < 0)
			return rc;
	}
	if (a->step.packages_differ || a->step.marks_differ) {
		/* Beside the change of a huge one the marks have no room; the next reading brings
		   them again, and then they go alone. */
		row_put_snapshot(&a->refs, &a->snap->packages,
				 !a->step.changed || a->snap->packages.n <= LAYOUT_MARKED_MAX);
		if (buf_rc(&a->refs) < 0)
			return err_nomem(err);
	}
	rc = store_write(a->store, DB_ADD, save_txn, a, err);
	if (rc == 0)
		a->store->epoch = a->next;
	return rc;
}

static int apply(struct applying *a, struct applied *out, struct err *err)
{
	int rc = find_candidates(a, err);

	if (rc < 0)
		return rc;
	a->identity = identity_resolve(&a->candidates, a->snap, a->now_ms);
	if (a->identity.displaced) {
		rc = end_environment(a->store,
				     &(struct step_end){.environment = a->identity.displaced,
							.now_ms = a->now_ms,
							.seen_at_start = a->snap->at_start},
				     err);
		if (rc < 0)
			return rc;
		out->displaced = true;
		out->displaced_environment = a->identity.displaced->id;
	}
	rc = make_step(a, err);
	if (rc == 0 && a->step.store)
		rc = save(a, err);
	if (rc < 0)
		return rc;
	if (a->step.store)
		out->environment = a->env.id;
	else if (a->identity.known && environment_lives(a->identity.known))
		out->environment = a->identity.known->id;
	out->packages_differ = a->step.packages_differ;
	out->changed = a->step.changed;
	out->kind = a->step.change.kind;
	out->seq = a->step.change.seq;
	return 0;
}

int store_apply(struct store *s, const struct snapshot *snap, int64_t now_ms, struct applied *out,
		struct err *err)
{
	struct applying a = {.store = s, .snap = snap, .now_ms = now_ms};
	int rc;

	*out = (struct applied){0};
	rc = make_ready(s, err);
	if (rc < 0)
		return rc;
	arena_init(&a.arena, STORE_ARENA_MAX);
	buf_init(&a.refs, ROW_MAX);
	change_init(&a.step.change);
	rc = apply(&a, out, err);
	step_deinit(&a.step);
	package_list_deinit(&a.before);
	package_list_deinit(&a.definitions);
	buf_deinit(&a.refs);
	arena_deinit(&a.arena);
	return rc;
}

/* --- a prefix that is gone ---------------------------------------------------------------- */

static int forget_txn(struct db_txn *txn, void *ctx, struct err *err)
{
	const struct environment *env = ctx;
	struct row_key key;
	int rc = db_delete(txn, DB_PATH, key_path(&key, env->prefix), err);

	return rc < 0 ? rc : db_delete(txn, DB_ENVIRONMENT, key_uuid(&env->id), err);
}

static bool is_it(const struct environment *env, const struct store_gone *gone)
{
	return gone->inode == 0 || (env->inode == gone->inode && env->device == gone->device);
}

static int end_at(struct store *s, const struct store_gone *gone, int64_t now_ms,
		  struct arena *arena, struct applied *out, struct err *err)
{
	struct environment env;
	int rc = store_environment_at(s, gone->prefix, arena, &env, err);

	if (rc < 0)
		return rc;
	if (env.expected) /* what the server remembers went before it was seen here */
		return store_write(s, DB_DELETE, forget_txn, &env, err);
	if (!environment_lives(&env) || !is_it(&env, gone))
		return 0;
	rc = end_environment(s,
			     &(struct step_end){.environment = &env,
						.last = gone->last,
						.now_ms = now_ms,
						.seen_at_start = gone->seen_at_start},
			     err);
	if (rc < 0)
		return rc;
	*out = (struct applied){
		.environment = env.id,
		.packages_differ = true,
		.changed = true,
		.kind = CHANGE_DELETED,
		.seq = s->epoch.head,
	};
	return 0;
}

int store_gone(struct store *s, const struct store_gone *gone, int64_t now_ms, struct applied *out,
	       struct err *err)
{
	struct arena arena;
	int rc;

	*out = (struct applied){0};
	rc = make_ready(s, err);
	if (rc < 0)
		return rc;
	arena_init(&arena, STORE_ARENA_MAX);
	rc = end_at(s, gone, now_ms, &arena, out, err);
	arena_deinit(&arena);
	return rc;
}
