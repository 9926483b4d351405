#include "agent/prefix/settle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

struct row {
	const char *what;
	struct settle_signs signs; /* ages one too high, so that a zeroed row means "none" */
	enum settle_reason reason;
	int64_t wait_ms;
};

static const struct row rows[] = {
	{"at rest", {0}, SETTLE_READY, 0},
	{"held copy", {.held_copy_age_ms = 1}, SETTLE_HELD_COPY, 250},
	{"held copy of a long post-link script",
	 {.held_copy_age_ms = 599000},
	 SETTLE_HELD_COPY,
	 250},
	{"held copy of a killed run", {.held_copy_age_ms = SETTLE_STALE_MS + 1}, SETTLE_READY, 0},
	{"mamba's lock", {.lock_age_ms = 5000}, SETTLE_LOCK, 250},
	{"a lock left behind", {.lock_age_ms = SETTLE_STALE_MS + 1}, SETTLE_READY, 0},
	{"pixi installs", {.installing_age_ms = 1}, SETTLE_INSTALLING, 250},
	{"pixi installs from PyPI", {.unclosed_age_ms = 19000}, SETTLE_INSTALLING, 250},
	{"pixi without its last file", {.unclosed_age_ms = SETTLE_PIXI_MS + 1}, SETTLE_READY, 0},
	{"mamba has begun", {.empty_history_age_ms = 100}, SETTLE_HISTORY, 250},
	{"mamba made an empty one", {.empty_history_age_ms = 3001}, SETTLE_READY, 0},
	{"record without its history line", {.unlisted_record_age_ms = 100}, SETTLE_HISTORY, 250},
	{"record that never gets one", {.unlisted_record_age_ms = 3001}, SETTLE_READY, 0},
	{"pip is writing", {.unfinished_dist_age_ms = 10}, SETTLE_DIST, 250},
	{"an orphaned dist-info", {.unfinished_dist_age_ms = 3001}, SETTLE_READY, 0},
	{"pip can put it back", {.stashed_dist_age_ms = 500000}, SETTLE_DIST, 250},
	{"what a killed pip held", {.stashed_dist_age_ms = SETTLE_STALE_MS + 1}, SETTLE_READY, 0},
	{"conda compiles what it has linked", {.unrecorded_dist_age_ms = 20000}, SETTLE_DIST, 250},
	{"conda's, and never recorded",
	 {.unrecorded_dist_age_ms = SETTLE_LINK_MS + 1},
	 SETTLE_READY,
	 0},
	{"rename, source still there", {.rename_age_ms = 59000}, SETTLE_RENAME, 250},
	{"rename whose source stays", {.rename_age_ms = SETTLE_RENAME_MS + 1}, SETTLE_READY, 0},
	{"half-written record", {.unreadable = 1, .reads = 1}, SETTLE_UNREADABLE, 250},
	{"half-written for longer", {.unreadable = 1, .reads = 3}, SETTLE_UNREADABLE, 1000},
	{"still, nearly given up", {.unreadable = 3, .reads = 5}, SETTLE_UNREADABLE, 4000},
	{"damaged for good", {.unreadable = 1, .reads = SETTLE_RETRIES}, SETTLE_READY, 0},
	{"a held copy comes before damage",
	 {.held_copy_age_ms = 1, .unreadable = 1, .reads = SETTLE_RETRIES},
	 SETTLE_HELD_COPY,
	 250},
};

static struct settle_signs signs_of(const struct row *row)
{
	struct settle_signs signs = row->signs;
	int64_t *ages[] = {&signs.held_copy_age_ms,	  &signs.lock_age_ms,
			   &signs.installing_age_ms,	  &signs.unlisted_record_age_ms,
			   &signs.unfinished_dist_age_ms, &signs.unrecorded_dist_age_ms,
			   &signs.rename_age_ms,	  &signs.unclosed_age_ms,
			   &signs.empty_history_age_ms,	  &signs.stashed_dist_age_ms};

	for (size_t i = 0; i < ARRAY_SIZE(ages); i++)
		--*ages[i];
	return signs;
}

static void verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct settle_signs signs = signs_of(&rows[i]);
		struct settle_verdict verdict = settle_judge(&signs);

		if (verdict.reason != rows[i].reason || verdict.wait_ms != rows[i].wait_ms)
			fail_msg("%s: reason %d, wait %lld", rows[i].what, (int)verdict.reason,
				 (long long)verdict.wait_ms);
	}
}

static void a_fresh_struct_is_ready(void **state)
{
	struct settle_signs signs;

	(void)state;
	settle_signs_init(&signs);
	assert_int_equal(settle_judge(&signs).reason, SETTLE_READY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(a_fresh_struct_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
