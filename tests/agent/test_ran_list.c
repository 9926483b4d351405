#include "agent/ran_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "tests/support/fault.h"

#define T0 INT64_C(1700000000000)

static struct reason reasons[] = {
	{.kind = "rule", .id = "old", .message = "", .fix = "", .action = ACTION_BLOCK},
	{.kind = "status", .id = "", .message = "", .fix = "", .action = ACTION_BLOCK},
	{.kind = "rule", .id = "mild", .message = "", .fix = "", .action = ACTION_WARN},
};
static struct kept_decision decision = {
	.action = ACTION_BLOCK, .case_code = "EW-AAAA", .reasons = reasons, .n_reasons = 3};

static struct ran_use use_of(unsigned char env, uint32_t uid, enum ran_how how, int64_t now_ms)
{
	return (struct ran_use){.environment = {{env}},
				.uid = uid,
				.how = how,
				.decision = &decision,
				.now_ms = now_ms};
}

static bool note(struct ran_list *list, unsigned char env, uint32_t uid, enum ran_how how,
		 int64_t now_ms)
{
	const struct ran_use use = use_of(env, uid, how, now_ms);

	return ran_list_note(list, &use);
}

/* What counts of uses one after the other, of one environment. */
static const struct {
	uint32_t uid;
	enum ran_how how;
	int64_t at_ms;
	bool counts;
} steps[] = {
	{1, RAN_PROGRAM, 0, true},
	{1, RAN_PROGRAM, 1, false},
	{1, RAN_PROGRAM, RAN_AGAIN_MS - 1, false},
	{1, RAN_SHELL, RAN_AGAIN_MS - 1, true}, /* seen in another way */
	{1, RAN_PROGRAM, RAN_AGAIN_MS, true},
	{2, RAN_PROGRAM, RAN_AGAIN_MS, true}, /* somebody else */
	{1, RAN_REPAIR, RAN_AGAIN_MS + 1, true},
	{1, RAN_PROGRAM, RAN_AGAIN_MS + 1, false}, /* a repair hides no run, and counts for none */
	{1, RAN_PROGRAM, 5, true},		   /* the clock went back */
};

static void test_what_counts(void **state)
{
	struct ran_list list = {.n = 0};
	const struct ran *of[4];

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (note(&list, 7, steps[i].uid, steps[i].how, T0 + steps[i].at_ms) !=
		    steps[i].counts)
			fail_msg("step %zu", i);
	assert_int_equal(list.n, 2);
	assert_int_equal(ran_list_of(&list, &(struct uuid){{7}}, of, 4), 2);
	assert_int_equal(of[0]->uid, 1); /* used last */
	assert_int_equal(of[0]->times[RAN_PROGRAM], 3);
	assert_int_equal(of[0]->times[RAN_SHELL], 1);
	assert_int_equal(of[0]->times[RAN_REPAIR], 1);
	assert_int_equal(of[0]->first_ms, T0);
	assert_int_equal(of[0]->last_ms, T0 + RAN_AGAIN_MS + 1);
	assert_string_equal(of[0]->reasons, "rule old\nstatus\n");
	assert_int_equal(ran_list_of(&list, &(struct uuid){{7}}, of, 1), 1);
	assert_int_equal(of[0]->uid, 1);
	assert_int_equal(ran_list_of(&list, &(struct uuid){{8}}, of, 4), 0);
	ran_list_deinit(&list);
	ran_list_deinit(&list);
}

/* Another decision is another series; one under way that changes is to be told again. */
static void test_by_decision(void **state)
{
	struct ran_list list = {.n = 0};
	struct kept_decision other = decision;
	struct ran_use use = use_of(1, 1, RAN_PROGRAM, T0);

	(void)state;
	(void)snprintf(other.case_code, sizeof other.case_code, "EW-BBBB");
	assert_true(ran_list_note(&list, &use));
	use.decision = &other;
	assert_true(ran_list_note(&list, &use));
	assert_int_equal(list.n, 2);
	list.items[1].untold = false;
	list.items[1].telling = true;
	use.now_ms += RAN_AGAIN_MS;
	assert_true(ran_list_note(&list, &use));
	assert_true(list.items[1].untold);
	assert_false(list.items[1].telling);
	ran_list_deinit(&list);
}

static void told(struct ran_list *list, uint32_t uid)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].uid == uid)
			list->items[i].untold = false;
}

/*
 * However much one account does, others have room; what was not told is not lost for it, and what
 * was told makes room, the account's own first.
 */
static void test_bounds(void **state)
{
	struct ran_list list = {.n = 0};
	struct kept_decision many = decision;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		struct ran_use use = use_of((unsigned char)(i % 250), 1, RAN_PROGRAM, T0 + i);

		(void)snprintf(many.case_code, sizeof many.case_code, "EW-%u", i);
		use.decision = &many;
		assert_int_equal(ran_list_note(&list, &use), i < RAN_ACCOUNT_MAX);
	}
	assert_int_equal(list.n, RAN_ACCOUNT_MAX);
	assert_true(note(&list, 1, 2, RAN_PROGRAM, T0));
	told(&list, 1);
	told(&list, 2);
	assert_true(note(&list, 251, 1, RAN_PROGRAM, T0 + 1000));
	assert_int_equal(list.n, RAN_ACCOUNT_MAX + 1);
	for (size_t i = 0; i < list.n; i++) /* the oldest of its own is the one that is gone */
		assert_false(list.items[i].uid == 1 && list.items[i].first_ms == T0);
	/* All accounts together. */
	for (uint32_t uid = 3; uid < 1000; uid++)
		(void)note(&list, (unsigned char)(uid % 200), uid, RAN_SHELL, T0);
	assert_int_equal(list.n, RAN_MAX);
	assert_false(note(&list, 9, 5000, RAN_SHELL, T0) && list.n > RAN_MAX);
	ran_list_deinit(&list);
}

static void test_of_one_place(void **state)
{
	struct ran_list list = {.n = 0};
	struct kept_decision many = decision;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct ran_use use = use_of(1, 1, RAN_PROGRAM, T0 + i);

		(void)snprintf(many.case_code, sizeof many.case_code, "EW-%u", i);
		use.decision = &many;
		assert_int_equal(ran_list_note(&list, &use), i < RAN_EACH_MAX);
	}
	assert_int_equal(list.n, RAN_EACH_MAX);
	ran_list_deinit(&list);
}

/* The longest there can be fit a setting of the store (STORE_VALUE_MAX). */
static void fill(struct ran_list *list)
{
	static char id[RAN_REASONS_MAX - 7];
	struct reason reason = {.kind = "rule", .message = "", .fix = "", .action = ACTION_BLOCK};
	struct kept_decision full = {.action = ACTION_BLOCK, .reasons = &reason, .n_reasons = 1};

	memset(id, 'x', sizeof id - 1);
	reason.id = id;
	memset(full.case_code, 'c', sizeof full.case_code - 1);
	for (uint32_t uid = 0; list->n < RAN_MAX; uid++)
		for (unsigned char env = 0; env < 100 && list->n < RAN_MAX; env++) {
			struct ran_use use = use_of(env, uid, RAN_REPAIR, INT64_MAX - 1);

			use.decision = &full;
			assert_true(ran_list_note(list, &use));
		}
	assert_int_equal(strlen(list->items[0].reasons), RAN_REASONS_MAX - 2);
}

static void test_kept_whole(void **state)
{
	struct ran_list list = {.n = 0}, back = {.n = 0};
	struct buf bytes, again;

	(void)state;
	fill(&list);
	list.items[3].untold = false;
	buf_init(&bytes, 262144);
	buf_init(&again, 262144);
	ran_list_encode(&list, &bytes);
	assert_int_equal(buf_rc(&bytes), 0);
	assert_int_equal(ran_list_decode(&back, bytes.data, bytes.len), 0);
	assert_int_equal(back.n, RAN_MAX);
	assert_false(back.items[3].untold);
	assert_true(back.items[4].untold);
	ran_list_encode(&back, &again);
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.data, bytes.data, bytes.len);
	buf_deinit(&again);
	buf_deinit(&bytes);
	ran_list_deinit(&list);
	ran_list_deinit(&back);
}

/* Cut anywhere, or turned: an error, and what came before is there; never more than there was. */
static void test_damaged(void **state)
{
	struct ran_list list = {.n = 0}, back = {.n = 0};
	struct buf bytes;
	size_t whole;

	(void)state;
	assert_true(note(&list, 1, 1, RAN_PROGRAM, T0));
	assert_true(note(&list, 2, 1, RAN_PROGRAM, T0));
	buf_init(&bytes, 262144);
	ran_list_encode(&list, &bytes);
	whole = (bytes.len - 1) / 2;
	for (size_t n = 0; n < bytes.len; n++) {
		size_t items = n < 1 ? 0 : (n - 1) / whole;
		int rc = ran_list_decode(&back, bytes.data, n);

		assert_int_equal(back.n, items);
		assert_int_equal(rc, n == 1 || n == 1 + whole ? 0 : ERR_INVALID);
	}
	for (size_t i = 0; i < bytes.len; i++) {
		bytes.data[i] = (char)(bytes.data[i] ^ 0x41);
		(void)ran_list_decode(&back, bytes.data, bytes.len);
		assert_true(back.n <= 2);
		bytes.data[i] = (char)(bytes.data[i] ^ 0x41);
	}
	buf_deinit(&bytes);
	ran_list_deinit(&list);
	ran_list_deinit(&back);
}

static int note_some(void *ctx)
{
	struct ran_list list = {.n = 0};
	bool all = true;

	(void)ctx;
	for (unsigned char env = 0; env < 10; env++)
		all = note(&list, env, 1, RAN_PROGRAM, T0) && all;
	ran_list_deinit(&list);
	return all ? 0 : ERR_NOMEM;
}

static void test_without_memory(void **state)
{
	(void)state;
	fault_each_alloc(note_some, NULL, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_counts),    cmocka_unit_test(test_by_decision),
		cmocka_unit_test(test_bounds),	       cmocka_unit_test(test_of_one_place),
		cmocka_unit_test(test_kept_whole),     cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
