#include "server/db/db_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/db/db_admin.h"
#include "server/db/db_bundle.h"
#include "server/db/db_env.h"
#include "server/db/db_machine.h"
#include "tests/server/db/store.h"

static uint64_t version(struct store *s, const struct uuid *machine)
{
	struct db_machine m;

	assert_int_equal(db_machine_get(s->conn, machine, &s->arena, &m, &s->err), 0);
	return m.status_version;
}

static size_t list(struct store *s, const struct uuid *machine, int64_t now,
		   struct status_entry **out)
{
	size_t n;

	assert_int_equal(db_status_list(s->conn, machine, now, &s->arena, out, &n, &s->err), 0);
	return n;
}

static void test_set(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct journal_writer v = {.machine = store_machine(s, 2), .epoch = id_of(201)};
	static const char *const specs[] = {"openssl <3", "pyyaml"};
	struct status_entry status = {.environment = id_of(1),
				      .action = ACTION_BLOCK,
				      .message = "don't \"; --",
				      .until_ms = T0 + 50,
				      .until_fixed = true,
				      .fixed_specs = specs,
				      .n_fixed_specs = 2};
	struct status_entry *got;

	env_make(s, &w, 1, "/envs/x", NULL);
	env_make(s, &v, 2, "/envs/x", NULL);
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), 0);
	assert_int_equal(version(s, &w.machine), 2);
	assert_int_equal(version(s, &v.machine), 1);
	assert_int_equal(list(s, &w.machine, T0, &got), 1);
	assert_int_equal(got[0].action, ACTION_BLOCK);
	assert_string_equal(got[0].message, status.message);
	assert_true(got[0].until_fixed);
	assert_int_equal(got[0].n_fixed_specs, 2);
	assert_string_equal(got[0].fixed_specs[0], "openssl <3");
	assert_string_equal(got[0].fixed_specs[1], "pyyaml");
	assert_int_equal(got[0].until_ms, T0 + 50);
	assert_int_equal(list(s, &v.machine, T0, &got), 0);
	assert_int_equal(list(s, &w.machine, T0 + 50, &got), 0);
	status.action = ACTION_WARN;
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), 0);
	assert_int_equal(list(s, &w.machine, T0, &got), 1);
	assert_int_equal(got[0].action, ACTION_WARN);
	status.action = ACTION_ALLOW;
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), 0);
	assert_int_equal(list(s, &w.machine, T0, &got), 0);
	assert_int_equal(version(s, &w.machine), 4);
	status.environment = id_of(99);
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), ERR_NOTFOUND);
}

static void test_refuses(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	static char big[DECISION_MESSAGE_MAX + 2];
	struct status_entry status = {
		.environment = id_of(1), .action = (enum action)7, .message = ""};

	env_make(s, &w, 1, "/envs/x", NULL);
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), ERR_INVALID);
	memset(big, 'm', sizeof(big) - 1);
	status = (struct status_entry){.environment = id_of(1),
				       .action = ACTION_WARN,
				       .message = "",
				       .until_fixed = true}; /* of what? */
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), ERR_INVALID);
	status = (struct status_entry){
		.environment = id_of(1), .action = ACTION_WARN, .message = big};
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), ERR_LIMIT);
}

static void test_everywhere(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct journal_writer v = {.machine = store_machine(s, 2), .epoch = id_of(201)};
	struct status_entry status = {
		.environment = id_of(1), .action = ACTION_WARN, .message = ""};
	struct status_entry *got;

	env_make(s, &w, 1, "/nfs/x", NULL);
	env_make(s, &v, 1, "/nfs/x", NULL);
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), 0);
	assert_int_equal(list(s, &w.machine, T0, &got), 1);
	assert_int_equal(list(s, &v.machine, T0, &got), 1);
	assert_int_equal(version(s, &v.machine), 2);
}

static void test_clones(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct journal_writer v = {.machine = store_machine(s, 2), .epoch = id_of(201)};
	struct status_entry status = {
		.environment = id_of(1), .action = ACTION_BLOCK, .message = "m"};
	struct status_entry *got;
	struct change c = change_of(CHANGE_CREATED, 1, "/envs/x");
	struct package foo = package_of("foo", "1");

	c.has_digest = true;
	c.digest[0] = 3;
	assert_int_equal(package_list_add(&c.added, &foo), 0);
	assert_int_equal(journal_write(s, &w, &c), 0);
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), 0);
	c = change_of(CHANGE_CLONED, 2, "/envs/by-history");
	c.cloned_from = id_of(1);
	assert_int_equal(journal_write(s, &w, &c), 0);
	c = change_of(CHANGE_CREATED, 3, "/envs/by-digest");
	c.has_digest = true;
	c.digest[0] = 3;
	assert_int_equal(journal_write(s, &w, &c), 0);
	env_make(s, &w, 4, "/envs/another", NULL);
	assert_int_equal(list(s, &w.machine, T0, &got), 3);
	assert_int_equal(got[2].environment.b[0], 3);
	assert_string_equal(got[2].message, "m");
	assert_int_equal(version(s, &w.machine), 4);
	{
		struct db_audit *audit;
		size_t n;

		assert_int_equal(
			db_audit_list(s->conn,
				      &(struct db_audit_filter){.what = "status.inherited"}, NULL,
				      10, &s->arena, &audit, &n, &s->err),
			0);
		assert_int_equal(n, 2);
		assert_non_null(strstr(audit[0].detail, "/envs/by-digest"));
		assert_non_null(strstr(audit[1].detail, "cloned_from"));
		assert_non_null(strstr(audit[1].who, "machine:"));
	}
	/* Another machine's environments are no source. */
	c = change_of(CHANGE_CLONED, 5, "/envs/elsewhere");
	c.cloned_from = id_of(1);
	assert_int_equal(journal_write(s, &v, &c), 0);
	assert_int_equal(list(s, &v.machine, T0, &got), 0);
	/* Deleted ones leave the bundle. */
	c = change_of(CHANGE_DELETED, 3, "/envs/by-digest");
	assert_int_equal(journal_write(s, &w, &c), 0);
	assert_int_equal(list(s, &w.machine, T0, &got), 2);
}

/* One that is empty is like every other that is: none of them is its copy. */
static void test_empty_are_no_clones(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct status_entry status = {
		.environment = id_of(1), .action = ACTION_BLOCK, .message = "m"};
	struct status_entry *got;

	for (unsigned char n = 1; n <= 2; n++) {
		struct change c = change_of(CHANGE_CREATED, n, n == 1 ? "/envs/x" : "/envs/y");

		c.has_digest = true;
		c.digest[0] = 3;
		assert_int_equal(journal_write(s, &w, &c), 0);
		assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), 0);
	}
	assert_int_equal(list(s, &w.machine, T0, &got), 1);
}

static bool delivered(struct store *s, unsigned char env)
{
	struct uuid id = id_of(env);
	struct db_env e;

	assert_int_equal(db_env_get(s->conn, &id, NULL, T0, &s->arena, &e, &s->err), 0);
	return e.status_delivered;
}

static void report(struct store *s, const struct uuid *machine, const char *role, uint64_t v,
		   bool active)
{
	struct db_bundle_report r = {.machine = *machine,
				     .role = role,
				     .version = v,
				     .active = active,
				     .reason = "",
				     .at_ms = T0};

	assert_int_equal(db_bundle_report_put(s->conn, &r, &s->err), 0);
}

/* Delivered is what the machine has said it acts on, until something newer is wanted for it. */
static void test_delivered(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct journal_writer v = {.machine = store_machine(s, 2), .epoch = id_of(201)};
	struct status_entry status = {
		.environment = id_of(1), .action = ACTION_BLOCK, .message = ""};

	env_make(s, &w, 1, "/envs/x", NULL);
	env_make(s, &w, 2, "/envs/y", NULL);
	env_make(s, &v, 3, "/envs/z", NULL);
	assert_false(delivered(s, 1));
	report(s, &w.machine, "status", 1, true);
	assert_true(delivered(s, 1));
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), 0);
	assert_false(delivered(s, 1));
	/* Of another machine, of another role, refused: none of these. */
	report(s, &v.machine, "status", 9, true);
	report(s, &w.machine, "policy", 9, true);
	assert_false(delivered(s, 1));
	report(s, &w.machine, "status", 2, false);
	assert_false(delivered(s, 1));
	report(s, &w.machine, "status", 2, true);
	assert_true(delivered(s, 1));
	assert_true(delivered(s, 2));
	assert_true(delivered(s, 3));
	/* Taking it back is to be delivered, too. */
	status.action = ACTION_ALLOW;
	assert_int_equal(db_status_set(s->conn, &status, "ana", T0, &s->err), 0);
	assert_false(delivered(s, 1));
	report(s, &w.machine, "status", 4, true);
	assert_true(delivered(s, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_set, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_refuses, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_everywhere, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_clones, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_empty_are_no_clones, store_setup,
						store_teardown),
		cmocka_unit_test_setup_teardown(test_delivered, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
