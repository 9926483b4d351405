#include "agent/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/canonical.h"
#include "tests/agent/samples.h"
#include "tests/agent/store/fixture.h"

static struct store_journal head_of(struct fixture *f)
{
	struct store_journal j;

	store_journal(f->store, &j);
	return j;
}

/* --- the chain ---------------------------------------------------------------------------- */

struct chain {
	unsigned char hash[SHA256_SIZE];
	uint64_t seq;
};

static int follow(void *ctx, const struct store_change *item)
{
	struct chain *c = ctx;

	assert_int_equal(item->change.seq, c->seq + 1);
	change_chain(c->hash, &item->change, c->hash);
	assert_memory_equal(c->hash, item->hash, SHA256_SIZE);
	c->seq++;
	return 0;
}

static void the_chain_leads_to_the_head(void **state)
{
	struct fixture *f = *state;
	struct chain c = {0};
	unsigned char hash[SHA256_SIZE];

	fixture_see(f, "/e/a", 7, "a=1 b=1");
	fixture_see(f, "/e/a", 7, "a=2 pypi:b=1");
	fixture_see(f, "/e/b", 8, "a=2");
	fixture_gone(f, "/e/a", 7);
	fixture_reopen(f);
	assert_int_equal(
		store_history(f->store, &(struct store_history_query){0}, follow, &c, NULL), 0);
	assert_int_equal(c.seq, head_of(f).head);
	assert_memory_equal(c.hash, head_of(f).head_hash, SHA256_SIZE);
	assert_int_equal(store_chain_at(f->store, 4, hash, NULL), 0);
	assert_memory_equal(c.hash, hash, SHA256_SIZE);
	assert_int_equal(store_chain_at(f->store, 5, hash, NULL), ERR_NOTFOUND);
	assert_int_equal(store_chain_at(f->store, 0, hash, NULL), 0);
}

static int keep_last(void *ctx, const struct store_change *item)
{
	struct change *c = ctx;

	*c = item->change;
	assert_string_equal(c->command, "conda install b");
	assert_string_equal(c->tool, "conda");
	assert_string_equal(c->actor.name, "root");
	assert_int_equal(c->actor.uid, 0);
	assert_string_equal(c->actor.how, "owner of history");
	assert_string_equal(c->owner.name, "ana");
	assert_string_equal(c->detail, "pinned");
	assert_string_equal(c->platform, "linux-64");
	assert_true(c->self_reported);
	assert_true(c->seen_at_start);
	assert_true(c->has_digest);
	assert_int_equal(c->added.n, 1);
	assert_true(c->added.items[0].requested);
	return 0;
}

static void everything_of_a_change_comes_back(void **state)
{
	struct store_history_query query = {.after_epoch_no = 1, .after_seq = 1};
	struct fixture *f = *state;
	struct change c = {0};
	struct snapshot s;

	fixture_see(f, "/e/a", 7, "a=1");
	sample_snapshot(&s, &f->arena, "/e/a", 7, "a=1 b=1");
	sample_run(&s, 1, "install", "conda install b");
	s.packages.items[1].requested = true;
	s.config_digest[0] = 1;
	s.config_names = "pinned";
	s.self_reported = true;
	s.at_start = true;
	assert_int_equal(snapshot_seal(&s), 0);
	fixture_apply(f, &s);
	assert_int_equal(store_history(f->store, &query, keep_last, &c, NULL), 0);
	assert_int_equal(c.seq, 2);
	assert_int_equal(c.time_ms, f->now_ms);
	assert_memory_equal(c.digest, s.digest, SHA256_SIZE);
}

/* --- reading ------------------------------------------------------------------------------ */

static void history_is_filtered_and_goes_on(void **state)
{
	struct store_history_query query = {0};
	struct fixture *f = *state;
	struct applied a = fixture_see(f, "/e/a", 7, "a=1");
	int64_t then;

	fixture_see(f, "/e/b", 8, "b=1");
	then = f->now_ms;
	fixture_see(f, "/e/a", 7, "a=2");
	query.environment = &a.environment;
	assert_string_equal(fixture_journal_after(f, &query),
			    "1 created a +a=1; 3 updated a -a=1 +a=2");
	query = (struct store_history_query){.since_ms = then};
	assert_string_equal(fixture_journal_after(f, &query),
			    "2 created b +b=1; 3 updated a -a=1 +a=2");
	query = (struct store_history_query){.after_epoch_no = 1, .after_seq = 2};
	assert_string_equal(fixture_journal_after(f, &query), "3 updated a -a=1 +a=2");
	query.after_seq = 3;
	assert_string_equal(fixture_journal_after(f, &query), "");
}

static int stop_at_once(void *ctx, const struct store_change *item)
{
	(void)ctx;
	return (int)item->change.seq + 41;
}

static void a_walk_can_be_ended(void **state)
{
	struct fixture *f = *state;

	fixture_see(f, "/e/a", 7, "a=1");
	fixture_see(f, "/e/b", 8, "b=1");
	assert_int_equal(
		store_history(f->store, &(struct store_history_query){0}, stop_at_once, NULL, NULL),
		42);
	assert_int_equal(store_unacked(f->store, 0, 10, 10000, stop_at_once, NULL, NULL), 42);
}

struct seqs {
	uint64_t first;
	size_t n;
};

static int count_seqs(void *ctx, const struct store_change *item)
{
	struct seqs *s = ctx;

	if (s->n == 0)
		s->first = item->change.seq;
	assert_int_equal(item->change.seq, s->first + s->n);
	s->n++;
	return 0;
}

static struct seqs unacked(struct fixture *f, uint64_t after, size_t changes, size_t bytes)
{
	struct seqs s = {0};

	assert_int_equal(store_unacked(f->store, after, changes, bytes, count_seqs, &s, NULL), 0);
	return s;
}

static void what_is_unacked_comes_in_batches(void **state)
{
	struct fixture *f = *state;
	struct seqs s;

	assert_int_equal(unacked(f, 0, 10, 10000).n, 0);
	for (uint64_t i = 1; i <= 6; i++) {
		char prefix[] = "/e/0";

		prefix[3] = (char)('0' + i);
		fixture_see(f, prefix, i, "a=1");
	}
	assert_int_equal(unacked(f, 0, 100, 100000).n, 6);
	s = unacked(f, 0, 4, 100000);
	assert_int_equal(s.n, 4);
	s = unacked(f, 4, 4, 100000);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.first, 5);
	/* However small the room, one goes. */
	assert_int_equal(unacked(f, 0, 4, 1).n, 1);
	assert_int_equal(unacked(f, 0, 100, 600).n, 2);
	assert_int_equal(store_set_acked(f->store, 3, NULL), 0);
	assert_int_equal(store_set_acked(f->store, 2, NULL), 0);
	assert_int_equal(store_set_acked(f->store, 7, NULL), ERR_INVALID);
	fixture_reopen(f);
	assert_int_equal(head_of(f).acked, 3);
	s = unacked(f, 0, 100, 100000);
	assert_int_equal(s.first, 4);
	assert_int_equal(s.n, 3);
}

/* --- its size ----------------------------------------------------------------------------- */

static void acked_changes_are_dropped_oldest_first(void **state)
{
	struct fixture *f = *state;
	unsigned char hash[SHA256_SIZE];
	struct seqs s = {0};

	for (int i = 0; i < 200; i++)
		fixture_see(f, "/e/a", 7, i % 2 ? "a=1" : "a=2");
	assert_int_equal(unacked(f, 0, 1000, 1 << 20).n, 200);
	assert_int_equal(store_set_acked(f->store, 190, NULL), 0);
	f->options.journal_max_bytes = 16 * 1024;
	fixture_reopen(f);
	fixture_see(f, "/e/b", 8, "a=1");
	assert_int_equal(
		store_history(f->store, &(struct store_history_query){0}, count_seqs, &s, NULL), 0);
	assert_true(s.first > 1 && s.first <= 191);
	assert_int_equal(s.first + s.n, 202);
	assert_int_equal(store_chain_at(f->store, 1, hash, NULL), ERR_NOTFOUND);
	assert_int_equal(unacked(f, 0, 1000, 1 << 20).n, 11);
}

/* --- a server that went back ------------------------------------------------------------- */

static void what_a_server_lost_is_sent_again(void **state)
{
	static const struct {
		uint64_t acked, to, then;
	} table[] = {{10, 10, 10}, {10, 12, 10}, {10, 7, 7}, {10, 0, 0}, {0, 0, 0}};
	struct fixture *f = *state;
	unsigned char hash[SHA256_SIZE];

	for (int i = 0; i < 10; i++)
		fixture_see(f, "/e/a", 7, i % 2 ? "a=1" : "a=2");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_int_equal(store_set_acked(f->store, table[i].acked, NULL), 0);
		assert_int_equal(store_rewind(f->store, table[i].to, NULL), 0);
		assert_int_equal(head_of(f).acked, table[i].then);
		/* Once is as good as twice, and it holds. */
		assert_int_equal(store_rewind(f->store, table[i].to, NULL), 0);
		fixture_reopen(f);
		assert_int_equal(head_of(f).acked, table[i].then);
		assert_int_equal(unacked(f, table[i].then, 100, 1 << 20).n, 10 - table[i].then);
		assert_int_equal(store_chain_at(f->store, table[i].then, hash, NULL), 0);
	}
}

static void what_is_not_kept_is_not_sent_again(void **state)
{
	struct fixture *f = *state;
	struct store_journal before;
	uint64_t first = 1;
	unsigned char hash[SHA256_SIZE];
	struct err err = ERR_INIT;

	for (int i = 0; i < 200; i++)
		fixture_see(f, "/e/a", 7, i % 2 ? "a=1" : "a=2");
	assert_int_equal(store_set_acked(f->store, 190, NULL), 0);
	f->options.journal_max_bytes = 24 * 1024;
	fixture_reopen(f);
	fixture_see(f, "/e/b", 8, "a=1");
	while (store_chain_at(f->store, first, hash, NULL) == ERR_NOTFOUND)
		first++;
	assert_true(first > 1 && first <= 190);
	before = head_of(f);
	for (uint64_t to = 0; to < first; to++)
		assert_int_equal(store_rewind(f->store, to, &err), ERR_CONFLICT);
	assert_true(err.text[0] != '\0');
	assert_int_equal(head_of(f).acked, before.acked);
	assert_int_equal(store_rewind(f->store, first, NULL), 0);
	assert_int_equal(unacked(f, first, 1000, 1 << 20).n, before.head - first);
}

/* --- epochs ------------------------------------------------------------------------------- */

static void a_new_epoch_names_the_one_before(void **state)
{
	struct store_new_epoch how = {.gap = true, .now_ms = FIXTURE_NOW};
	struct fixture *f = *state;
	struct store_journal old;
	struct store_journal now;
	uint64_t number;

	fixture_see(f, "/e/a", 7, "a=1");
	old = head_of(f);
	assert_int_equal(store_new_epoch(f->store, &how, NULL), 0);
	now = head_of(f);
	assert_int_equal(now.head, 1);
	assert_int_equal(now.acked, 0);
	assert_int_not_equal(uuid_cmp(&old.epoch, &now.epoch), 0);
	fixture_see(f, "/e/a", 7, "a=2");
	fixture_reopen(f);
	assert_int_equal(head_of(f).head, 2);
	assert_string_equal(fixture_journal(f), "1 created a +a=1; 1 gap; 2 updated a -a=1 +a=2");
	assert_int_equal(store_epoch_no(f->store, &old.epoch, &number, NULL), 0);
	assert_int_equal(number, 1);
	assert_int_equal(store_epoch_no(f->store, &now.epoch, &number, NULL), 0);
	assert_int_equal(number, 2);
	old.epoch.b[0] ^= 1;
	assert_int_equal(store_epoch_no(f->store, &old.epoch, &number, NULL), ERR_NOTFOUND);
	/* What the old epoch holds is never sent. */
	assert_int_equal(unacked(f, 0, 100, 100000).n, 2);
}

static int check_gap(void *ctx, const struct store_change *item)
{
	const struct store_journal *old = ctx;
	struct buf name;

	if (item->change.kind != CHANGE_GAP)
		return 0;
	buf_init(&name, 64);
	buf_add_hex(&name, old->epoch.b, UUID_SIZE);
	assert_string_equal(item->change.detail, buf_cstr(&name));
	assert_true(uuid_is_zero(&item->change.environment));
	buf_deinit(&name);
	return 1;
}

static void the_gap_is_a_record(void **state)
{
	struct store_new_epoch how = {.gap = true, .now_ms = FIXTURE_NOW};
	struct fixture *f = *state;
	struct store_journal old = head_of(f);

	assert_int_equal(store_new_epoch(f->store, &how, NULL), 0);
	assert_int_equal(store_unacked(f->store, 0, 10, 1000, check_gap, &old, NULL), 1);
}

static void a_baseline_tells_what_lives(void **state)
{
	struct store_new_epoch how = {.baseline = true, .now_ms = FIXTURE_NOW};
	struct store_history_query query = {.after_epoch_no = 1, .after_seq = 1000};
	struct fixture *f = *state;
	const char *text;
	struct uuid id;

	fixture_see(f, "/e/a", 7, "a=1");
	fixture_see(f, "/e/a", 7, "a=2");
	fixture_see(f, "/e/b", 8, "b=1");
	fixture_see(f, "/e/c", 9, "c=1");
	fixture_gone(f, "/e/c", 9);
	uuid_new(&id);
	assert_int_equal(store_expect(f->store, &id, "/e/d", "ana", NULL), 0);
	assert_int_equal(store_new_epoch(f->store, &how, NULL), 0);
	text = fixture_journal_after(f, &query);
	/* In the order of their random ids. */
	if (strncmp(text, "1 created a", 11) == 0)
		assert_string_equal(text, "1 created a +a=2; 2 created b +b=1");
	else
		assert_string_equal(text, "1 created b +b=1; 2 created a +a=2");
	fixture_see(f, "/e/a", 7, "a=3");
	assert_int_equal(head_of(f).head, 3);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_chain_leads_to_the_head),
		TEST(everything_of_a_change_comes_back),
		TEST(history_is_filtered_and_goes_on),
		TEST(a_walk_can_be_ended),
		TEST(what_is_unacked_comes_in_batches),
		TEST(acked_changes_are_dropped_oldest_first),
		TEST(what_a_server_lost_is_sent_again),
		TEST(what_is_not_kept_is_not_sent_again),
		TEST(a_new_epoch_names_the_one_before),
		TEST(the_gap_is_a_record),
		TEST(a_baseline_tells_what_lives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
