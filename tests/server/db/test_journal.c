#include "server/db/db_journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/canonical.h"
#include "server/db/db_env.h"
#include "tests/server/db/store.h"

#define BATCH 5

/* A batch of config changes with a right chain. */
struct batch {
	struct change changes[BATCH];
	unsigned char hashes[BATCH][SHA256_SIZE];
	struct db_append append;
};

static void batch_fill(struct batch *b, const struct uuid *machine, uint64_t first,
		       const unsigned char previous[SHA256_SIZE])
{
	unsigned char before[SHA256_SIZE], chain[SHA256_SIZE];

	memcpy(before, previous, sizeof(before)); /* it may be one of those written here */
	memcpy(chain, previous, sizeof(chain));
	for (size_t i = 0; i < BATCH; i++) {
		b->changes[i] = change_of(CHANGE_CONFIG, 1, "/envs/a");
		b->changes[i].epoch = id_of(200);
		b->changes[i].seq = first + i;
		b->changes[i].detail = "pinned";
		change_chain(chain, &b->changes[i], b->hashes[i]);
		memcpy(chain, b->hashes[i], sizeof(chain));
	}
	b->append = (struct db_append){.machine = *machine,
				       .epoch = id_of(200),
				       .changes = b->changes,
				       .hashes = (const unsigned char(*)[SHA256_SIZE])b->hashes,
				       .n = BATCH};
	memcpy(b->append.previous_hash, before, SHA256_SIZE);
}

static const unsigned char zero[SHA256_SIZE];

static size_t history_size(struct store *s)
{
	struct db_change *list;
	size_t n;

	assert_int_equal(db_history(s->conn, &(struct db_history_filter){0}, NULL, 1000, &s->arena,
				    &list, &n, &s->err),
			 0);
	return n;
}

static void test_append_and_again(void **state)
{
	struct store *s = *state;
	struct uuid m = store_machine(s, 1), epoch = id_of(200);
	unsigned char hash[SHA256_SIZE];
	struct batch b;
	uint64_t acked = 0, head = 99;

	assert_int_equal(db_journal_head(s->conn, &m, &epoch, &head, hash, &s->err), 0);
	assert_int_equal(head, 0);
	assert_memory_equal(hash, zero, sizeof(hash));
	batch_fill(&b, &m, 1, zero);
	for (int i = 0; i < 3; i++) { /* redelivery changes nothing */
		assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err), 0);
		assert_int_equal(acked, BATCH);
		assert_int_equal(history_size(s), BATCH);
	}
	assert_int_equal(db_journal_head(s->conn, &m, &epoch, &head, hash, &s->err), 0);
	assert_int_equal(head, BATCH);
	assert_memory_equal(hash, b.hashes[BATCH - 1], sizeof(hash));
	/* Half known, half new. */
	batch_fill(&b, &m, 3, b.hashes[1]);
	assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err), 0);
	assert_int_equal(acked, 7);
	assert_int_equal(history_size(s), 7);
	assert_int_equal(db_journal_hash_at(s->conn, &m, &epoch, 4, hash, &s->err), 0);
	assert_memory_equal(hash, b.hashes[1], sizeof(hash));
	assert_int_equal(db_journal_hash_at(s->conn, &m, &epoch, 8, hash, &s->err), ERR_NOTFOUND);
	b.append.n = 0;
	assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err), 0);
	assert_int_equal(acked, 7);
}

static void spoil_hash(struct batch *b)
{
	b->hashes[2][0] ^= 1;
}
static void spoil_content(struct batch *b)
{
	b->changes[2].command = "rm -rf /";
}
static void spoil_seq(struct batch *b)
{
	b->changes[3].seq = 9;
}
static void spoil_zero_seq(struct batch *b)
{
	b->changes[0].seq = 0;
}
static void spoil_huge_seq(struct batch *b)
{
	b->changes[0].seq = UINT64_MAX;
}
static void spoil_epoch(struct batch *b)
{
	b->changes[1].epoch = id_of(201);
}
static void spoil_gap(struct batch *b)
{
	batch_fill(b, &b->append.machine, 2, b->hashes[0]);
}
static void spoil_previous(struct batch *b)
{
	b->append.previous_hash[0] = 1;
}
static void spoil_machine(struct batch *b)
{
	b->append.machine = id_of(77);
}

static void test_refused(void **state)
{
	static const struct {
		void (*spoil)(struct batch *b);
		int rc;
	} table[] = {
		{spoil_hash, ERR_VERIFY},      {spoil_content, ERR_VERIFY},
		{spoil_seq, ERR_INVALID},      {spoil_zero_seq, ERR_INVALID},
		{spoil_huge_seq, ERR_INVALID}, {spoil_epoch, ERR_INVALID},
		{spoil_gap, ERR_STALE},	       {spoil_previous, ERR_CONFLICT},
		{spoil_machine, ERR_NOTFOUND},
	};
	struct store *s = *state;
	struct uuid m = store_machine(s, 1);

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct batch b;
		uint64_t acked = 12345;

		batch_fill(&b, &m, 1, zero);
		table[i].spoil(&b);
		assert_int_equal(db_savepoint(s->conn, NULL), 0);
		assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err),
				 table[i].rc);
		assert_int_equal(acked, 12345);
		assert_int_equal(db_savepoint_undo(s->conn, NULL), 0);
		assert_int_equal(history_size(s), 0);
	}
}

/* The chain of a broken change is right: what is wrong is the change. */
static void test_bad_changes(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	static char path[CHANGE_PATH_MAX + 2];
	struct change c = change_of((enum change_kind)42, 1, "/envs/a");

	assert_int_equal(journal_write(s, &w, &c), ERR_INVALID);
	c = change_of(CHANGE_CREATED, 0, "/envs/a");
	assert_int_equal(journal_write(s, &w, &c), ERR_INVALID);
	memset(path, '/', sizeof(path) - 1);
	c = change_of(CHANGE_CREATED, 1, path);
	assert_int_equal(journal_write(s, &w, &c), ERR_LIMIT);
	c = change_of(CHANGE_CREATED, 1, "/envs/\xff");
	assert_int_equal(journal_write(s, &w, &c), ERR_INVALID);
}

static void test_conflict(void **state)
{
	struct store *s = *state;
	struct uuid m = store_machine(s, 1);
	struct batch b;
	uint64_t acked;

	batch_fill(&b, &m, 1, zero);
	assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err), 0);
	/* A restored disk writes other changes under the same numbers. */
	b.changes[BATCH - 1].detail = "frozen";
	change_chain(b.hashes[BATCH - 2], &b.changes[BATCH - 1], b.hashes[BATCH - 1]);
	assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err), ERR_CONFLICT);
	/* And goes on under a new epoch, beginning with a gap. */
	struct journal_writer w = {.machine = m, .epoch = id_of(201)};
	struct change gap = change_of(CHANGE_GAP, 0, "");

	gap.detail = "c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8";
	assert_int_equal(journal_write(s, &w, &gap), 0);
	assert_int_equal(history_size(s), BATCH + 1);
}

/*
 * Of five changes the first three are told as two: one taken out, its seq in the range of the next,
 * and one that holds two. What follows goes on from the hashes as they were.
 */
static void test_folds(void **state)
{
	struct store *s = *state;
	struct uuid m = store_machine(s, 1);
	struct db_change *list;
	struct batch b;
	uint64_t acked;
	size_t n;

	batch_fill(&b, &m, 1, zero);
	for (size_t i = 0; i + 1 < BATCH; i++) {
		b.changes[i] = b.changes[i + 1];
		memcpy(b.hashes[i], b.hashes[i + 1], SHA256_SIZE);
	}
	b.changes[0].first_seq = 1;
	b.changes[1].folded = 2;
	b.append.n = BATCH - 1;
	assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err), 0);
	assert_int_equal(acked, BATCH);
	/* Again: known by their hashes. */
	assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err), 0);
	assert_int_equal(db_history(s->conn, &(struct db_history_filter){0}, NULL, 1000, &s->arena,
				    &list, &n, &s->err),
			 0);
	assert_int_equal(n, BATCH - 1);
	assert_int_equal(list[n - 1].change.first_seq, 1);
	assert_int_equal(list[n - 2].change.folded, 2);
	/* The next plain one must fit. */
	batch_fill(&b, &m, BATCH + 1, b.hashes[BATCH - 2]);
	assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err), 0);
	/* Ranges must meet, and a fold of what is partly known can't be taken apart. */
	batch_fill(&b, &m, 2 * BATCH + 1, b.hashes[BATCH - 1]);
	b.changes[1].first_seq = b.changes[1].seq - 1;
	assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err), ERR_INVALID);
	b.changes[0] = b.changes[1];
	b.changes[0].first_seq = 2 * BATCH;
	memcpy(b.append.previous_hash, zero, SHA256_SIZE);
	b.append.n = 1;
	assert_int_equal(db_journal_append(s->conn, &b.append, T0, &acked, &s->err), ERR_CONFLICT);
}

static void test_history(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct journal_writer other = {.machine = store_machine(s, 2), .epoch = id_of(201)};
	struct uuid env = id_of(1);
	struct db_history_filter filter = {.environment = &env};
	struct db_cursor cursor = {.set = false};
	struct change c;
	struct package p = package_of("zlib", "1.3"), old = package_of("zlib", "1.2");
	struct db_change *list;
	unsigned char chain[SHA256_SIZE];
	size_t n;

	env_make(s, &w, 1, "/envs/a", (const char *const[]){"zlib=1.2", "bzip2=1.0", NULL});
	env_make(s, &other, 2, "/envs/b", NULL);
	c = change_of(CHANGE_UPDATED, 1, "/envs/a");
	c.command = "conda update zlib";
	c.seen_at_start = true;
	c.has_digest = true;
	c.digest[3] = 4;
	p.requested = true;
	assert_int_equal(package_list_add(&c.added, &p), 0);
	assert_int_equal(package_list_add(&c.removed, &old), 0);
	memcpy(chain, w.hash, sizeof(chain));
	assert_int_equal(journal_write(s, &w, &c), 0);
	assert_int_equal(db_history(s->conn, &filter, NULL, 10, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].hostname, "host-1");
	assert_string_equal(list[0].change.command, "conda update zlib");
	assert_int_equal(list[0].change.added.n, 1);
	assert_true(list[0].change.added.items[0].requested);
	assert_string_equal(list[0].change.removed.items[0].version, "1.2");
	assert_int_equal(list[1].change.added.n, 2);
	/* Nothing was lost on the way: the hash can be computed again from what is stored. */
	change_chain(chain, &list[0].change, chain);
	assert_memory_equal(chain, list[0].hash, sizeof(chain));
	filter = (struct db_history_filter){.machine = &other.machine};
	assert_int_equal(db_history(s->conn, &filter, NULL, 10, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].change.prefix, "/envs/b");
	/* Pages stay put while changes arrive. */
	filter = (struct db_history_filter){.environment = NULL};
	assert_int_equal(db_history(s->conn, &filter, &cursor, 2, &s->arena, &list, &n, &s->err),
			 0);
	assert_int_equal(n, 2);
	cursor = (struct db_cursor){.set = true, .id = list[1].id};
	env_make(s, &w, 3, "/envs/c", NULL);
	assert_int_equal(db_history(s->conn, &filter, &cursor, 2, &s->arena, &list, &n, &s->err),
			 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].change.seq, 1);
	filter = (struct db_history_filter){.since_ms = T0 + 1};
	assert_int_equal(db_history(s->conn, &filter, NULL, 2, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_append_and_again, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_refused, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_bad_changes, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_conflict, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_folds, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_history, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
