#include "server/db/db_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/db/db_bundle.h"
#include "server/db/db_outbox.h"
#include "tests/server/db/store.h"

static int put(struct store *s, uint64_t version, const char *source)
{
	return db_policy_put(s->conn,
			     &(struct db_policy){.version = version,
						 .source = source,
						 .author = "ada",
						 .note = "why",
						 .rules = 3,
						 .created_ms = T0},
			     &s->err);
}

static void test_versions(void **state)
{
	struct store *s = *state;
	struct db_policy got, *list;
	uint64_t next;
	size_t n;

	assert_int_equal(db_policy_get(s->conn, 0, &s->arena, &got, &s->err), ERR_NOTFOUND);
	assert_int_equal(db_policy_next(s->conn, &next, &s->err), 0);
	assert_int_equal(next, 1);
	assert_int_equal(put(s, 2, "policy: 1"), ERR_STALE);
	assert_int_equal(put(s, 1, "policy: 1"), 0);
	assert_int_equal(put(s, 1, "policy: 1"), ERR_STALE);
	assert_int_equal(put(s, 2, "policy: 1 # again"), 0);
	assert_int_equal(db_policy_get(s->conn, 0, &s->arena, &got, &s->err), 0);
	assert_int_equal(got.version, 2);
	assert_string_equal(got.source, "policy: 1 # again");
	assert_string_equal(got.author, "ada");
	assert_string_equal(got.note, "why");
	assert_int_equal(db_policy_get(s->conn, 1, &s->arena, &got, &s->err), 0);
	assert_string_equal(got.source, "policy: 1");
	assert_int_equal(db_policy_get(s->conn, 3, &s->arena, &got, &s->err), ERR_NOTFOUND);
	assert_int_equal(db_policy_list(s->conn, NULL, 10, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].version, 2);
	assert_string_equal(list[0].source, "");
	/* A bundle signed elsewhere counts as well. */
	assert_int_equal(db_bundle_put(s->conn,
				       &(struct db_bundle){.role = "policy",
							   .version = 7,
							   .data = (const unsigned char *)"x",
							   .n = 1},
				       &s->err),
			 0);
	assert_int_equal(db_policy_next(s->conn, &next, &s->err), 0);
	assert_int_equal(next, 8);
}

static void report(struct store *s, const struct uuid *machine, uint64_t version, bool active)
{
	assert_int_equal(db_bundle_report_put(s->conn,
					      &(struct db_bundle_report){.machine = *machine,
									 .role = "policy",
									 .version = version,
									 .active = active,
									 .reason = "",
									 .at_ms = T0},
					      &s->err),
			 0);
}

static void test_delivery(void **state)
{
	struct store *s = *state;
	struct uuid one = store_machine(s, 1), two = store_machine(s, 2);
	struct uuid three = store_machine(s, 3);
	struct db_delivery d;
	struct db_outbox *rows;
	uint64_t before;
	size_t n;

	(void)store_machine(s, 4);
	report(s, &one, 2, true);
	report(s, &two, 1, true);
	report(s, &three, 2, false);
	assert_int_equal(db_policy_delivery(s->conn, 2, &d, &s->err), 0);
	assert_int_equal(d.machines, 4);
	assert_int_equal(d.active, 1);
	assert_int_equal(d.refused, 1);
	/* Everybody hears of a new one. */
	store_commit(s);
	assert_int_equal(db_outbox_head(s->conn, &before, &s->err), 0);
	assert_int_equal(put(s, 1, "policy: 1"), 0);
	store_commit(s);
	assert_int_equal(db_outbox_poll(s->conn, before, 10, &s->arena, &rows, &n, &s->err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].kind, DB_OUTBOX_POLICY);
	assert_true(uuid_is_zero(&rows[0].machine));
}

static int draft(struct store *s, unsigned char n, uint64_t version)
{
	unsigned char hash[SHA256_SIZE] = {n};

	return db_policy_draft_put(s->conn, hash,
				   &(struct db_policy){.version = version,
						       .source = "policy: 1",
						       .author = "ada",
						       .note = "why",
						       .created_ms = T0 + n},
				   &s->err);
}

/* The version of a draft, 0 = it is not there; the output is untouched then. */
static uint64_t drafted(struct store *s, unsigned char n)
{
	unsigned char hash[SHA256_SIZE] = {n};
	struct db_policy got = {.version = 77};
	int rc = db_policy_draft_get(s->conn, hash, &s->arena, &got, &s->err);

	if (rc == ERR_NOTFOUND) {
		assert_int_equal(got.version, 77);
		return 0;
	}
	assert_int_equal(rc, 0);
	assert_string_equal(got.source, "policy: 1");
	assert_string_equal(got.author, "ada");
	assert_string_equal(got.note, "why");
	assert_int_equal(got.created_ms, T0 + n);
	return got.version;
}

static void test_drafts(void **state)
{
	struct store *s = *state;

	assert_int_equal(drafted(s, 1), 0);
	assert_int_equal(draft(s, 1, 1), 0);
	assert_int_equal(draft(s, 1, 1), 0);
	assert_int_equal(drafted(s, 1), 1);
	/* The oldest makes room. */
	for (unsigned char n = 2; n <= 17; n++)
		assert_int_equal(draft(s, n, 1), 0);
	assert_int_equal(drafted(s, 1), 0);
	for (unsigned char n = 2; n <= 17; n++)
		assert_int_equal(drafted(s, n), 1);
	/* When another one was applied, they can't be any more, and go with the next. */
	assert_int_equal(put(s, 1, "policy: 1"), 0);
	assert_int_equal(draft(s, 18, 2), 0);
	assert_int_equal(drafted(s, 17), 0);
	assert_int_equal(drafted(s, 18), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_versions, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_delivery, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_drafts, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
