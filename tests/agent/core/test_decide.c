#include "agent/core/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "tests/support/fault.h"

static const struct policy_facts facts = {.environment = {{1}},
					  .name = "churn",
					  .path = "/envs/churn",
					  .user = "ana",
					  .platform = "linux-64",
					  .tool = "conda"};

static void statuses(void **state)
{
	static const struct {
		bool logging;
		bool status;
		enum action action;
		int64_t until_ms;
		bool until_fixed;
		enum action want;
		int64_t valid_until_ms;
	} rows[] = {
		{true, false, ACTION_ALLOW, 0, false, ACTION_ALLOW, INT64_MAX},
		{true, true, ACTION_ALLOW, 0, false, ACTION_ALLOW, INT64_MAX},
		{true, true, ACTION_WARN, 0, false, ACTION_WARN, INT64_MAX},
		{true, true, ACTION_BLOCK, 0, false, ACTION_BLOCK, INT64_MAX},
		{true, true, ACTION_BLOCK, 0, true, ACTION_BLOCK, INT64_MAX},
		{true, true, ACTION_BLOCK, 1001, false, ACTION_BLOCK, 1001},
		{true, true, ACTION_BLOCK, 1000, false, ACTION_ALLOW, INT64_MAX},
		{true, true, ACTION_WARN, 999, false, ACTION_ALLOW, INT64_MAX},
		{false, true, ACTION_BLOCK, 0, false, ACTION_ALLOW, INT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct status_entry status = {
			.action = rows[i].action,
			.message = "because",
			.until_ms = rows[i].until_ms,
			.until_fixed = rows[i].until_fixed,
		};
		struct decide_input in = {
			.logging = rows[i].logging,
			.eval = {.facts = &facts,
				 .status = rows[i].status ? &status : NULL,
				 .now_ms = 1000},
			.fresh_until_ms = INT64_MAX,
		};
		struct arena arena;
		struct evaluation evaluation;
		struct decision d;

		arena_init(&arena, 1 << 16);
		assert_int_equal(decide(&in, &arena, &evaluation), 0);
		d = evaluation.decision;
		assert_int_equal(d.action, rows[i].want);
		assert_int_equal(d.valid_until_ms, rows[i].valid_until_ms);
		assert_int_equal(d.n_reasons, rows[i].want != ACTION_ALLOW);
		if (d.n_reasons > 0) {
			assert_string_equal(d.reasons[0].kind, "status");
			assert_string_equal(d.reasons[0].message, "because");
			assert_int_equal(d.reasons[0].action, rows[i].want);
			assert_int_equal(strlen(d.case_code), 7);
		} else {
			assert_string_equal(d.case_code, "");
		}
		arena_deinit(&arena);
	}
}

/* Old news: its own reason beside the others, and the moment it will come. */
static void freshness(void **state)
{
	static const struct {
		int64_t fresh_until_ms;
		enum action when_stale;
		bool status; /* a warning */
		enum action want;
		const char *reasons;
		int64_t valid_until_ms;
		int64_t unlocked_until_ms;
	} rows[] = {
		{INT64_MAX, ACTION_BLOCK, true, ACTION_WARN, "status", INT64_MAX, 0},
		{1001, ACTION_BLOCK, true, ACTION_WARN, "status", 1001, 0},
		{1001, ACTION_ALLOW, true, ACTION_WARN, "status", INT64_MAX, 0},
		{1000, ACTION_BLOCK, true, ACTION_BLOCK, "stale status", INT64_MAX, 0},
		{1000, ACTION_WARN, true, ACTION_WARN, "status stale", INT64_MAX, 0},
		{1000, ACTION_WARN, false, ACTION_WARN, "stale", INT64_MAX, 0},
		{1000, ACTION_ALLOW, false, ACTION_ALLOW, "", INT64_MAX, 0},
		/* A code that was used is news. */
		{1000, ACTION_BLOCK, true, ACTION_WARN, "status", 1500, 1500},
		{1200, ACTION_BLOCK, false, ACTION_ALLOW, "", 1500, 1500},
		{2000, ACTION_BLOCK, false, ACTION_ALLOW, "", 2000, 1500},
		{900, ACTION_BLOCK, false, ACTION_BLOCK, "stale", INT64_MAX, 1000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct status_entry status = {.action = ACTION_WARN, .message = "because"};
		struct decide_input in = {
			.logging = true,
			.eval = {.facts = &facts,
				 .status = rows[i].status ? &status : NULL,
				 .now_ms = 1000},
			.fresh_until_ms = rows[i].fresh_until_ms,
			.when_stale = rows[i].when_stale,
			.unlocked_until_ms = rows[i].unlocked_until_ms,
		};
		struct evaluation evaluation;
		const struct decision *d = &evaluation.decision;
		char reasons[64] = "";
		struct arena arena;

		arena_init(&arena, 1 << 16);
		assert_int_equal(decide(&in, &arena, &evaluation), 0);
		for (size_t k = 0; k < d->n_reasons; k++) {
			size_t n = strlen(reasons);

			(void)snprintf(reasons + n, sizeof reasons - n, "%s%s", k > 0 ? " " : "",
				       d->reasons[k].kind);
		}
		assert_string_equal(reasons, rows[i].reasons);
		assert_int_equal(d->action, rows[i].want);
		assert_int_equal(d->valid_until_ms, rows[i].valid_until_ms);
		assert_int_equal(strlen(d->case_code), d->n_reasons > 0 ? 7 : 0);
		arena_deinit(&arena);
	}
}

/* A clone has the case its own status will have. */
static void following(void **state)
{
	struct status_entry status = {.action = ACTION_BLOCK, .message = "because"};
	struct decide_input in = {.logging = true,
				  .eval = {.facts = &facts, .status = &status, .now_ms = 1000},
				  .fresh_until_ms = INT64_MAX};
	struct evaluation own;
	struct evaluation clone;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 16);
	assert_int_equal(decide(&in, &arena, &own), 0);
	in.follows = FOLLOWS_SOURCE;
	assert_int_equal(decide(&in, &arena, &clone), 0);
	assert_string_equal(own.decision.reasons[0].id, "");
	assert_string_equal(clone.decision.reasons[0].id, "clone");
	assert_string_equal(own.decision.case_code, clone.decision.case_code);
	arena_deinit(&arena);
}

/*
 * Old news beside a rule's block: the case is the rule's, so that a grace taken for it counts,
 * whether it was taken before the news got old or after.
 */
static void a_grace_is_for_the_case_whatever_the_news(void **state)
{
	static const char *const any[] = {"*"};
	const struct rule rule = {
		.id = "r",
		.when = {.kind = CONDITION_ENV_NAME, .texts = {.items = any, .n = 1}},
		.action = ACTION_BLOCK,
		.message = "",
		.fix = "",
	};
	struct policy policy;
	struct decide_input in = {.logging = true,
				  .eval = {.facts = &facts, .deferred_case = "", .now_ms = 1000},
				  .fresh_until_ms = 2000,
				  .when_stale = ACTION_WARN};
	struct rule_index *index;
	struct evaluation fresh, stale, deferred;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 18);
	policy_init(&policy);
	policy.rules = &rule;
	policy.n_rules = 1;
	assert_int_equal(rule_index_new(&policy, &arena, &index), 0);
	in.eval.index = index;
	assert_int_equal(decide(&in, &arena, &fresh), 0);
	in.fresh_until_ms = 500;
	assert_int_equal(decide(&in, &arena, &stale), 0);
	assert_int_equal(stale.decision.n_reasons, 2);
	assert_string_equal(fresh.decision.case_code, stale.decision.case_code);
	in.eval.deferred_until_ms = 1500;
	in.eval.deferred_case = stale.decision.case_code;
	assert_int_equal(decide(&in, &arena, &deferred), 0);
	assert_int_equal(deferred.decision.action, ACTION_WARN);
	assert_int_equal(deferred.decision.valid_until_ms, 1500);
	assert_string_equal(deferred.decision.case_code, stale.decision.case_code);
	arena_deinit(&arena);
}

static void no_memory(void **state)
{
	struct status_entry status = {.action = ACTION_BLOCK, .message = "because"};
	struct decide_input in = {.logging = true, .eval = {.facts = &facts, .status = &status}};
	struct arena arena;
	struct evaluation d = {.n_monitored = 77};

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(decide(&in, &arena, &d), ERR_NOMEM);
	assert_int_equal(d.n_monitored, 77);
	arena_deinit(&arena);
}

static int decide_once(void *ctx)
{
	struct evaluation d = {.n_monitored = 77};
	struct arena arena;
	int rc;

	arena_init(&arena, 1 << 20);
	rc = decide(ctx, &arena, &d);
	assert_true(rc == 0 || d.n_monitored == 77);
	arena_deinit(&arena);
	return rc;
}

static void memory_may_run_out(void **state)
{
	static const char *const specs[] = {"openssl <3", "zlib"};
	struct status_entry status = {.action = ACTION_BLOCK,
				      .message = "because",
				      .until_fixed = true,
				      .fixed_specs = specs,
				      .n_fixed_specs = 2};
	struct decide_input in = {.logging = true,
				  .eval = {.facts = &facts, .status = &status, .now_ms = 1000},
				  .fresh_until_ms = 1,
				  .when_stale = ACTION_WARN};

	(void)state;
	(void)fault_each_alloc(decide_once, &in, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses),
		cmocka_unit_test(freshness),
		cmocka_unit_test(following),
		cmocka_unit_test(a_grace_is_for_the_case_whatever_the_news),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(memory_may_run_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
