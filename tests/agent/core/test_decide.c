#include "agent/core/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/err.h"

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
			.environment = {{1}},
			.status = rows[i].status ? &status : NULL,
			.now_ms = 1000,
		};
		struct arena arena;
		struct decision d;

		arena_init(&arena, 1 << 16);
		assert_int_equal(decide(&in, &arena, &d), 0);
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

static void no_memory(void **state)
{
	struct status_entry status = {.action = ACTION_BLOCK, .message = "because"};
	struct decide_input in = {.logging = true, .status = &status};
	struct arena arena;
	struct decision d = {.n_reasons = 77};

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(decide(&in, &arena, &d), ERR_NOMEM);
	assert_int_equal(d.n_reasons, 77);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses),
		cmocka_unit_test(no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
