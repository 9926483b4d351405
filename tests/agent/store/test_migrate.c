/* A store of layout 1, as programs before layout 2 left it, and what opening it makes of it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/store/internal.h"
#include "agent/store/layout.h"
#include "tests/agent/store/fixture.h"
#include "tests/support/fault.h"

#define MANY 150

/* --- layout 1, written out as it was ------------------------------------------------------ */

static void old_text(struct buf *out, const char *text)
{
	buf_add_lp(out, text, strlen(text));
}

static void old_environment(struct buf *out, const struct environment *e)
{
	buf_add_u8(out, 1);
	old_text(out, e->prefix);
	buf_add_u64(out, e->device);
	buf_add_u64(out, e->inode);
	buf_add_u32(out, e->filesystem);
	old_text(out, e->owner.name);
	buf_add_u64(out, (uint64_t)e->owner.uid);
	old_text(out, e->owner.how);
	old_text(out, e->platform);
	old_text(out, e->tool);
	buf_add_u64(out, (uint64_t)e->created_ms);
	buf_add_u64(out, (uint64_t)e->last_change_ms);
	buf_add_u64(out, (uint64_t)e->deleted_ms);
	buf_add_u8(out, e->expected);
	buf_add(out, e->cloned_from.b, UUID_SIZE);
	buf_add_u64(out, e->sections);
	buf_add_u64(out, e->package_count);
	buf_add(out, e->config_digest, SHA256_SIZE);
	old_text(out, e->config_names);
	buf_add(out, e->digest, SHA256_SIZE);
	buf_add(out, e->attribute_digest, SHA256_SIZE);
	buf_add_lp(out, e->stamp, e->stamp_n);
}

static void old_snapshot(struct buf *out, const struct ref_list *refs)
{
	buf_add_u32(out, (uint32_t)refs->n);
	for (size_t i = 0; i < refs->n; i++) {
		struct package_ref ref = ref_at(refs, i);

		buf_add(out, ref.key, sizeof(ref.key));
		buf_add_u8(out, ref.requested);
	}
}

struct rows {
	struct {
		struct uuid id;
		struct buf row;
	} items[MANY];
	size_t n;
	enum db_table table;
	struct arena arena;
};

static int collect(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct rows *rows = ctx;
	struct buf *row = &rows->items[rows->n].row;
	struct uuid *id = &rows->items[rows->n++].id;
	struct environment env;
	struct ref_list refs;

	(void)err;
	assert_true(rows->n < MANY);
	memcpy(id->b, key.data, UUID_SIZE);
	buf_init(row, 1 << 20);
	if (rows->table == DB_ENVIRONMENT) {
		assert_int_equal(row_get_environment(id, value, &rows->arena, &env), 0);
		old_environment(row, &env);
	} else {
		assert_int_equal(row_get_snapshot(value, &refs), 0);
		old_snapshot(row, &refs);
	}
	assert_int_equal(buf_rc(row), 0);
	return 0;
}

static int put_rows(struct db_txn *txn, void *ctx, struct err *err)
{
	static const unsigned char one[4] = {0, 0, 0, 1};
	struct rows *rows = ctx;

	for (size_t i = 0; i < rows->n; i++)
		assert_int_equal(db_put(txn, rows->table, key_uuid(&rows->items[i].id),
					BYTES_OF_BUF(&rows->items[i].row), err),
				 0);
	return db_put(txn, DB_META, BYTES_OF_TEXT("layout"), (struct bytes){one, 4}, err);
}

static void downgrade_table(struct db *db, enum db_table table)
{
	static struct rows rows;
	struct db_txn *txn;

	rows.n = 0;
	rows.table = table;
	arena_init(&rows.arena, 1 << 24);
	assert_int_equal(db_begin(db, &txn, NULL), 0);
	assert_int_equal(db_each(txn, table, BYTES_NONE, collect, &rows, NULL), 0);
	db_end(txn);
	assert_int_equal(db_write(db, DB_ADD, put_rows, &rows, NULL), 0);
	for (size_t i = 0; i < rows.n; i++)
		buf_deinit(&rows.items[i].row);
	arena_deinit(&rows.arena);
}

/* The closed store of the fixture becomes one of layout 1. */
static void make_old(struct fixture *f)
{
	struct db *db;

	store_close(f->store);
	f->store = NULL;
	assert_int_equal(db_open(f->dir.path, 0, false, &db, NULL), 0);
	downgrade_table(db, DB_ENVIRONMENT);
	downgrade_table(db, DB_SNAPSHOT);
	db_close(db);
}

/* --- what is left of it ------------------------------------------------------------------- */

struct census {
	size_t old;
	size_t n;
};

static int count_environment(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct census *c = ctx;

	(void)key;
	(void)err;
	c->n++;
	c->old += row_is_old_environment(value);
	return 0;
}

static int count_snapshot(void *ctx, struct bytes key, struct bytes value, struct err *err)
{
	struct census *c = ctx;

	(void)key;
	(void)err;
	c->n++;
	c->old += row_is_old_snapshot(value);
	return 0;
}

static struct census count_rows(struct fixture *f)
{
	struct census c = {0};
	struct db_txn *txn;

	assert_int_equal(db_begin(f->store->db, &txn, NULL), 0);
	assert_int_equal(db_each(txn, DB_ENVIRONMENT, BYTES_NONE, count_environment, &c, NULL), 0);
	assert_int_equal(db_each(txn, DB_SNAPSHOT, BYTES_NONE, count_snapshot, &c, NULL), 0);
	db_end(txn);
	return c;
}

static uint32_t layout_of(struct fixture *f)
{
	struct bytes value;
	struct db_txn *txn;
	uint32_t version;
	struct rd r;

	assert_int_equal(db_begin(f->store->db, &txn, NULL), 0);
	assert_int_equal(db_get(txn, DB_META, BYTES_OF_TEXT("layout"), &value, NULL), 0);
	rd_init(&r, value.data, value.n);
	version = rd_u32(&r);
	assert_int_equal(db_get(txn, DB_META, BYTES_OF_TEXT("rewrite"), &value, NULL),
			 ERR_NOTFOUND);
	db_end(txn);
	return version;
}

static void see_many(struct fixture *f)
{
	for (unsigned i = 1; i < 60; i++) {
		char prefix[32];
		char specs[32];

		snprintf(prefix, sizeof(prefix), "/e/%u", i);
		snprintf(specs, sizeof(specs), "a=1 b=%u", i);
		fixture_see(f, prefix, i, specs);
		if (i % 10 == 0)
			fixture_gone(f, prefix, i);
	}
}

static void all_there(struct fixture *f)
{
	for (unsigned i = 1; i < 60; i++) {
		struct environment env;
		char prefix[32];
		char specs[32];

		snprintf(prefix, sizeof(prefix), "/e/%u", i);
		snprintf(specs, sizeof(specs), "a=1 b=%u", i);
		assert_int_equal(store_environment_at(f->store, prefix, &f->arena, &env, NULL), 0);
		assert_int_equal(env.inode, i);
		assert_int_equal(env.deleted_ms != 0, i % 10 == 0);
		assert_int_equal(env.last_used_ms, 0);
		assert_string_equal(fixture_packages(f, &env.id), i % 10 == 0 ? "" : specs);
	}
}

/* --- tests -------------------------------------------------------------------------------- */

static void everything_is_taken_over(void **state)
{
	struct fixture *f = *state;
	const char *journal;
	struct census c;

	see_many(f);
	journal = fixture_journal(f);
	make_old(f);
	assert_int_equal(store_probe(f->dir.path, NULL), 0);
	fixture_reopen(f);
	assert_int_equal(layout_of(f), LAYOUT_VERSION);
	c = count_rows(f);
	assert_int_equal(c.old, 0);
	assert_int_equal(c.n, 59 + 54);
	all_there(f);
	assert_string_equal(fixture_journal(f), journal);
	/* And it goes on. */
	assert_true(fixture_see(f, "/e/1", 1, "a=2 b=1").changed);
	assert_false(fixture_see(f, "/e/2", 2, "a=1 b=2").changed);
}

static void killed_while_it_is_taken_over(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	see_many(f);
	for (int round = 0; round < 12; round++) {
		struct timespec wait = {0, rand() % 4000000};
		int status;
		pid_t pid;

		make_old(f);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct store *s;

			_exit(store_open(f->dir.path, &f->options, &s, NULL) < 0);
		}
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		assert_int_equal(store_probe(f->dir.path, NULL), 0);
		fixture_reopen(f);
		assert_int_equal(layout_of(f), LAYOUT_VERSION);
		assert_int_equal(count_rows(f).old, 0);
		all_there(f);
		arena_reset(&f->arena);
	}
}

static int open_it(void *ctx)
{
	struct fixture *f = ctx;

	store_close(f->store);
	f->store = NULL;
	return store_open(f->dir.path, &f->options, &f->store, NULL);
}

/* Each allocation that fails stops it at another point, and the next open goes on from there. */
static void stopped_anywhere(void **state)
{
	struct fixture *f = *state;

	see_many(f);
	make_old(f);
	fault_each_alloc(open_it, f, 10);
	assert_int_equal(count_rows(f).old, 0);
	all_there(f);
}

static int put_layout(struct db_txn *txn, void *ctx, struct err *err)
{
	unsigned char version[4] = {0, 0, 0, *(const unsigned char *)ctx};

	return db_put(txn, DB_META, BYTES_OF_TEXT("layout"), (struct bytes){version, 4}, err);
}

/* Only packages have changed since, and those that were there are as they were. */
static void layout_2_goes_on(void **state)
{
	struct fixture *f = *state;
	unsigned char two = 2;

	see_many(f);
	assert_int_equal(db_write(f->store->db, DB_ADD, put_layout, &two, NULL), 0);
	assert_int_equal(store_probe(f->dir.path, NULL), 0);
	fixture_reopen(f);
	assert_int_equal(layout_of(f), LAYOUT_VERSION);
	assert_int_equal(count_rows(f).old, 0);
	all_there(f);
}

static void a_newer_layout_is_refused(void **state)
{
	struct fixture *f = *state;
	unsigned char newer = LAYOUT_VERSION + 1;
	unsigned char present = LAYOUT_VERSION;
	struct err err = ERR_INIT;
	struct store *s;
	struct db *db;

	fixture_see(f, "/e/1", 1, "a=1");
	assert_int_equal(db_write(f->store->db, DB_ADD, put_layout, &newer, NULL), 0);
	store_close(f->store);
	f->store = NULL;
	assert_int_equal(store_open(f->dir.path, &f->options, &s, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err.text, "newer version"));
	/* Nothing was done to it. */
	assert_int_equal(db_open(f->dir.path, 0, false, &db, NULL), 0);
	assert_int_equal(db_write(db, DB_ADD, put_layout, &present, NULL), 0);
	db_close(db);
	fixture_reopen(f);
	assert_int_equal(layout_of(f), LAYOUT_VERSION);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(everything_is_taken_over),	 TEST(killed_while_it_is_taken_over),
		TEST(stopped_anywhere),		 TEST(layout_2_goes_on),
		TEST(a_newer_layout_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
