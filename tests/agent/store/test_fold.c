/* A journal that nobody takes: bounded, and what is left of it tells the same in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/core/fold.h"
#include "agent/store/internal.h"
#include "proto/canonical.h"
#include "tests/agent/samples.h"
#include "tests/agent/store/fixture.h"
#include "tests/support/fault.h"

#define MAX_BYTES 60000
#define SLACK (MAX_BYTES / 8 + 32768)
#define ENVIRONMENTS 8
#define PACKAGES 10
#define MODELS_MAX 512

/* --- a server that replays ---------------------------------------------------------------- */

struct model {
	struct uuid id;
	bool lives;
	unsigned char version[PACKAGES];
};

struct replay {
	struct model models[MODELS_MAX];
	size_t n;
	uint64_t next; /* seq */
	unsigned char chain[SHA256_SIZE];
	uint64_t changes; /* that all of them stand for: at least */
	uint64_t rows;
	uint64_t folds;
};

static struct model *model_of(struct replay *r, const struct uuid *id)
{
	for (size_t i = 0; i < r->n; i++) {
		if (uuid_cmp(&r->models[i].id, id) == 0)
			return &r->models[i];
	}
	assert_true(r->n < MODELS_MAX);
	r->models[r->n] = (struct model){.id = *id};
	return &r->models[r->n++];
}

static unsigned char *slot(struct model *m, const struct package *p)
{
	return &m->version[p->name[1] - '0'];
}

/* As the server does it: ranges must meet, a plain change must fit the chain, a whole one clears.
 */
static int take(void *ctx, const struct store_change *item)
{
	const struct change *c = &item->change;
	struct replay *r = ctx;
	struct model *m;
	bool fold = c->first_seq != 0 || c->folded > 1;
	unsigned char want[SHA256_SIZE];

	assert_int_equal(c->first_seq ? c->first_seq : c->seq, r->next);
	r->next = c->seq + 1;
	if (!fold) {
		change_chain(r->chain, c, want);
		assert_memory_equal(want, item->hash, sizeof(want));
	}
	memcpy(r->chain, item->hash, sizeof(r->chain));
	if (c->kind == CHANGE_GAP)
		return 0;
	r->rows++;
	r->folds += fold;
	m = model_of(r, &c->environment);
	if (c->kind == CHANGE_CREATED || c->kind == CHANGE_CLONED || c->kind == CHANGE_DELETED)
		memset(m->version, 0, sizeof(m->version));
	m->lives = c->kind != CHANGE_DELETED;
	for (size_t i = 0; m->lives && i < c->removed.n; i++)
		*slot(m, &c->removed.items[i]) = 0;
	for (size_t i = 0; m->lives && i < c->added.n; i++)
		*slot(m, &c->added.items[i]) = (unsigned char)c->added.items[i].version[0];
	return 0;
}

static int check_environment(void *ctx, const struct environment *env)
{
	struct replay *r = ctx;
	struct model *m = NULL;

	for (size_t i = 0; i < r->n; i++) {
		if (uuid_cmp(&r->models[i].id, &env->id) == 0)
			m = &r->models[i];
	}
	if (!environment_lives(env)) { /* it may have come and gone unseen */
		assert_true(!m || !m->lives);
		return 0;
	}
	assert_non_null(m);
	assert_true(m->lives);
	return 0;
}

static void check_packages(struct fixture *f, const struct replay *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct model got = {.id = r->models[i].id};
		struct package_list list;

		if (!r->models[i].lives)
			continue;
		assert_int_equal(store_packages(f->store, &got.id, &f->arena, &list, NULL), 0);
		for (size_t p = 0; p < list.n; p++)
			*slot(&got, &list.items[p]) = (unsigned char)list.items[p].version[0];
		assert_memory_equal(got.version, r->models[i].version, PACKAGES);
		package_list_deinit(&list);
	}
}

static void replay_from(struct fixture *f, uint64_t after, struct replay *r)
{
	struct store_journal j;
	int rc = store_unacked(f->store, after, 1000000, SIZE_MAX / 4, take, r, NULL);

	assert_int_equal(rc, 0);
	store_journal(f->store, &j);
	assert_int_equal(r->next, j.head + 1);
	assert_memory_equal(r->chain, j.head_hash, sizeof(j.head_hash));
	assert_int_equal(store_environments(f->store, check_environment, r, NULL), 0);
	check_packages(f, r);
}

/* --- much happens ------------------------------------------------------------------------- */

static uint64_t journal_bytes(struct fixture *f)
{
	struct db_txn *txn;
	uint64_t size;

	assert_int_equal(db_begin(f->store->db, &txn, NULL), 0);
	assert_int_equal(db_table_size(txn, DB_JOURNAL, &size, NULL), 0);
	db_end(txn);
	return size;
}

static void happen(struct fixture *f, int n)
{
	for (int i = 0; i < n; i++) {
		unsigned e = (unsigned)rand() % ENVIRONMENTS;
		char prefix[32];
		char specs[PACKAGES * 8] = "";
		size_t used = 0;

		snprintf(prefix, sizeof(prefix), "/e/%u", e);
		if (rand() % 12 == 0) {
			struct store_gone gone = {.prefix = prefix};
			struct applied out;

			f->now_ms++;
			(void)store_gone(f->store, &gone, f->now_ms, &out, NULL);
		} else {
			if (rand() % 12 == 0) /* another place, the same directory */
				snprintf(prefix, sizeof(prefix), "/m/%u", e);
			for (int p = 0; p < PACKAGES; p++) {
				if (rand() % 3)
					used += (size_t)snprintf(specs + used, sizeof(specs) - used,
								 "p%d=%d ", p, 1 + rand() % 3);
			}
			fixture_see(f, prefix, e + 1, specs);
		}
		arena_reset(&f->arena);
		assert_true(journal_bytes(f) <= MAX_BYTES + SLACK);
	}
}

static struct fixture *bounded(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	f->options.journal_max_bytes = MAX_BYTES;
	fixture_reopen(f);
	return f;
}

static void nobody_takes_it(void **state)
{
	static struct replay r;
	struct fixture *f = bounded(state);

	happen(f, 500);
	memset(&r, 0, sizeof(r));
	r.next = 1;
	replay_from(f, 0, &r);
	assert_true(r.folds > 0);
	assert_true(r.rows < 400);
	assert_int_equal(store_probe(f->dir.path, NULL), 0);
	/* The same after a restart, and it goes on. */
	fixture_reopen(f);
	happen(f, 100);
	memset(&r, 0, sizeof(r));
	r.next = 1;
	replay_from(f, 0, &r);
}

/* What the server has is dropped first, and what may be under way is left as it was given out. */
static void a_server_that_had_some(void **state)
{
	static struct replay r;
	static struct replay given;
	struct fixture *f = bounded(state);

	happen(f, 50);
	memset(&r, 0, sizeof(r));
	r.next = 1;
	replay_from(f, 0, &r);
	assert_int_equal(store_set_acked(f->store, r.next - 1, NULL), 0);
	happen(f, 20);
	given = r;
	assert_int_equal(store_unacked(f->store, 0, 10, 1 << 20, take, &given, NULL), 0);
	assert_int_equal(given.next, r.next + 10);
	happen(f, 400);
	/* Those ten arrive, and the rest follows. */
	assert_int_equal(store_set_acked(f->store, given.next - 1, NULL), 0);
	replay_from(f, 0, &given);
	assert_true(given.folds > 0);
}

/* The server's word was lost with the process, and what it has was folded: it must be told so. */
static void cut_where_it_was_folded(void **state)
{
	static struct replay r;
	struct fixture *f = bounded(state);

	happen(f, 30);
	fixture_reopen(f); /* nothing is under way any more */
	happen(f, 500);
	assert_int_equal(store_set_acked(f->store, 20, NULL), ERR_CONFLICT);
	f->now_ms++;
	assert_int_equal(store_new_epoch(f->store,
					 &(struct store_new_epoch){.gap = true,
								   .baseline = true,
								   .now_ms = f->now_ms},
					 NULL),
			 0);
	memset(&r, 0, sizeof(r));
	r.next = 1;
	replay_from(f, 0, &r);
}

/* Environments that come and go leave nothing, however many. */
static void come_and_go(void **state)
{
	struct fixture *f = bounded(state);

	for (unsigned i = 0; i < 300; i++) {
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "/tmp/e%u", i);
		fixture_see(f, prefix, i + 10, "p1=1 p2=1");
		fixture_gone(f, prefix, i + 10);
		arena_reset(&f->arena);
		assert_true(journal_bytes(f) <= MAX_BYTES + SLACK);
	}
}

/* --- kinds -------------------------------------------------------------------------------- */

static void kinds(void **state)
{
	static const struct {
		enum change_kind older;
		enum change_kind later;
		size_t added;
		size_t removed;
		enum change_kind want;
	} rows[] = {
		{CHANGE_CREATED, CHANGE_INSTALLED, 2, 0, CHANGE_CREATED},
		{CHANGE_CLONED, CHANGE_REMOVED, 2, 0, CHANGE_CLONED},
		{CHANGE_CREATED, CHANGE_RENAMED, 2, 0, CHANGE_CREATED},
		{CHANGE_CREATED, CHANGE_DELETED, 0, 0, CHANGE_DELETED},
		{CHANGE_DELETED, CHANGE_RECREATED, 1, 1, CHANGE_RECREATED},
		{CHANGE_INSTALLED, CHANGE_REMOVED, 1, 1, CHANGE_UPDATED},
		{CHANGE_INSTALLED, CHANGE_INSTALLED, 2, 0, CHANGE_INSTALLED},
		{CHANGE_INSTALLED, CHANGE_REMOVED, 0, 0, CHANGE_CONFIG},
		{CHANGE_UPDATED, CHANGE_RENAMED, 1, 1, CHANGE_RENAMED},
		{CHANGE_RENAMED, CHANGE_UPDATED, 1, 1, CHANGE_RENAMED},
		{CHANGE_CONFIG, CHANGE_INSTALLED, 1, 0, CHANGE_INSTALLED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct change older;
		struct change later;

		change_init(&older);
		change_init(&later);
		older.kind = rows[i].older;
		older.from_prefix = "/older";
		later.kind = rows[i].later;
		later.from_prefix = "/later";
		fold_changes(&older, rows[i].added, rows[i].removed, &later);
		assert_int_equal(later.kind, rows[i].want);
		assert_int_equal(later.folded, 2);
	}
}

static int make_room(void *ctx)
{
	struct fixture *f = ctx;
	size_t folded;

	return journal_fold(f->store, &folded, NULL);
}

static void memory_may_run_out(void **state)
{
	static struct replay r;
	struct fixture *f = *state;

	srand(1);
	for (int i = 0; i < 3; i++)
		happen(f, 6);
	fault_each_alloc(make_room, f, 10);
	memset(&r, 0, sizeof(r));
	r.next = 1;
	replay_from(f, 0, &r);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(nobody_takes_it), TEST(a_server_that_had_some), TEST(cut_where_it_was_folded),
		TEST(come_and_go),     cmocka_unit_test(kinds),	     TEST(memory_may_run_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
