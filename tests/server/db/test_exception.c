#include "server/db/db_exception.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/db/db_request.h"
#include "server/db/db_unlock.h"
#include "tests/server/db/store.h"

static uint64_t version(struct store *s, const struct uuid *machine)
{
	struct db_machine m;

	assert_int_equal(db_machine_get(s->conn, machine, &s->arena, &m, &s->err), 0);
	return m.status_version;
}

static struct db_exception exception_of(unsigned char n, struct uuid environment)
{
	return (struct db_exception){.id = id_of(n),
				     .environment = environment,
				     .rule = "old",
				     .package = "",
				     .owner = "",
				     .ticket = "T-1",
				     .reason = "because",
				     .expires_ms = T0 + 1000,
				     .granted_by = "ada"};
}

static size_t told(struct store *s, const struct uuid *machine, int64_t now, struct exception **out)
{
	size_t n;

	assert_int_equal(
		db_exception_of_machine(s->conn, machine, now, &s->arena, out, &n, &s->err), 0);
	return n;
}

static void test_exceptions(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct journal_writer v = {.machine = store_machine(s, 2), .epoch = id_of(201)};
	struct db_exception x = exception_of(50, id_of(1)), *list;
	struct exception *got;
	struct uuid id = id_of(50);
	size_t n;

	env_make(s, &w, 1, "/envs/x", NULL);
	env_make(s, &v, 2, "/envs/y", NULL);
	assert_int_equal(db_exception_grant(s->conn, &x, T0, &s->err), 0);
	assert_int_equal(version(s, &w.machine), 2);
	assert_int_equal(version(s, &v.machine), 1);
	assert_int_equal(told(s, &w.machine, T0, &got), 1);
	assert_string_equal(got[0].rule, "old");
	assert_int_equal(got[0].environment.b[0], 1);
	assert_int_equal(got[0].expires_ms, T0 + 1000);
	assert_int_equal(told(s, &v.machine, T0, &got), 0);
	assert_int_equal(told(s, &w.machine, T0 + 1000, &got), 0); /* over */
	/* All of a machine's. */
	x = exception_of(51, (struct uuid){{0}});
	x.machine = v.machine;
	x.rule = "";
	assert_int_equal(db_exception_grant(s->conn, &x, T0, &s->err), 0);
	assert_int_equal(told(s, &v.machine, T0, &got), 1);
	assert_true(uuid_is_zero(&got[0].environment));
	assert_int_equal(db_exception_list(s->conn, &(struct db_exception_filter){0}, NULL, 10,
					   &s->arena, &list, &n, &s->err),
			 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].hostname, "host-2");
	assert_string_equal(list[1].prefix, "/envs/x");
	assert_int_equal(db_exception_revoke(s->conn, &id, "bob", T0 + 1, &s->err), 0);
	assert_int_equal(db_exception_revoke(s->conn, &id, "bob", T0 + 1, &s->err), ERR_NOTFOUND);
	assert_int_equal(told(s, &w.machine, T0, &got), 0);
	assert_int_equal(version(s, &w.machine), 3);
}

static void test_refuses(void **state)
{
	struct store *s = *state;
	struct db_exception x = exception_of(50, id_of(9));

	assert_int_equal(db_exception_grant(s->conn, &x, T0, &s->err), ERR_NOTFOUND);
	x.machine = id_of(1);
	assert_int_equal(db_exception_grant(s->conn, &x, T0, &s->err), ERR_INVALID);
	x = exception_of(50, id_of(9));
	x.expires_ms = T0;
	assert_int_equal(db_exception_grant(s->conn, &x, T0, &s->err), ERR_INVALID);
}

static struct db_request request_of(unsigned char n, const struct uuid *machine)
{
	return (struct db_request){.id = id_of(n),
				   .machine = *machine,
				   .environment = id_of(1),
				   .user = "ana",
				   .reason = "I need it",
				   .case_code = "EW-ABCD",
				   .made_ms = T0,
				   .received_ms = T0 + 1};
}

static void test_requests(void **state)
{
	struct store *s = *state;
	struct uuid machine = store_machine(s, 1), id = id_of(70);
	struct db_request r = request_of(70, &machine), *list;
	bool created;
	size_t n;

	assert_int_equal(db_request_put(s->conn, &r, &created, &s->err), 0);
	assert_true(created);
	assert_int_equal(db_request_put(s->conn, &r, &created, &s->err), 0);
	assert_false(created);
	assert_int_equal(version(s, &machine), 2);
	assert_int_equal(
		db_request_of_machine(s->conn, &machine, T0, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].state, DB_REQUEST_OPEN);
	assert_int_equal(
		db_request_answer(s->conn, &id, DB_REQUEST_DENIED, "No.", "ada", T0 + 2, &s->err),
		0);
	assert_int_equal(
		db_request_answer(s->conn, &id, DB_REQUEST_APPROVED, "", "ada", T0 + 2, &s->err),
		ERR_CONFLICT);
	assert_int_equal(version(s, &machine), 3);
	/* Sent again, it stays answered; and the answer is told for a while. */
	assert_int_equal(db_request_put(s->conn, &r, &created, &s->err), 0);
	assert_int_equal(
		db_request_of_machine(s->conn, &machine, T0 + 3, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].state, DB_REQUEST_DENIED);
	assert_string_equal(list[0].answer, "No.");
	assert_int_equal(db_request_of_machine(s->conn, &machine, T0 + 3 + DB_REQUEST_TOLD_MS,
					       &s->arena, &list, &n, &s->err),
			 0);
	assert_int_equal(n, 0);
}

static size_t told_at(struct store *s, const struct uuid *machine, int64_t now_ms)
{
	struct db_request *list;
	size_t n;

	assert_int_equal(
		db_request_of_machine(s->conn, machine, now_ms, &s->arena, &list, &n, &s->err), 0);
	return n;
}

/* A machine that was away for longer than answers are told asks again, and is told. */
static void test_an_old_answer_is_told_again(void **state)
{
	struct store *s = *state;
	struct uuid machine = store_machine(s, 1);
	struct db_request r = request_of(70, &machine), *list;
	const int64_t day = INT64_C(86400000);
	uint64_t before;
	bool created;
	size_t n;

	assert_int_equal(db_request_put(s->conn, &r, &created, &s->err), 0);
	assert_int_equal(
		db_request_answer(s->conn, &r.id, DB_REQUEST_DENIED, "No.", "ada", T0 + 2, &s->err),
		0);
	assert_int_equal(told_at(s, &machine, T0 + 29 * day), 1);
	assert_int_equal(told_at(s, &machine, T0 + 60 * day), 0);
	before = version(s, &machine);
	r.received_ms = T0 + 60 * day;
	/* As often as it likes: it is told once more. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(db_request_put(s->conn, &r, &created, &s->err), 0);
		assert_false(created);
		assert_int_equal(version(s, &machine), before + 1);
		r.received_ms += day;
	}
	assert_int_equal(db_request_of_machine(s->conn, &machine, T0 + 61 * day, &s->arena, &list,
					       &n, &s->err),
			 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].state, DB_REQUEST_DENIED);
	assert_string_equal(list[0].answer, "No.");
	assert_int_equal(list[0].answered_ms, T0 + 2);
	assert_int_equal(told_at(s, &machine, T0 + 91 * day), 0);
	/* While it is told anyway, or open, asking moves nothing. */
	r = request_of(71, &machine);
	assert_int_equal(db_request_put(s->conn, &r, &created, &s->err), 0);
	before = version(s, &machine);
	r.received_ms = T0 + 100 * day;
	assert_int_equal(db_request_put(s->conn, &r, &created, &s->err), 0);
	assert_int_equal(version(s, &machine), before);
}

static void test_requests_are_bounded(void **state)
{
	struct store *s = *state;
	struct uuid machine = store_machine(s, 1);
	struct db_request r = request_of(1, &machine);
	bool created;

	for (unsigned i = 0; i < DB_REQUESTS_OPEN_MAX; i++) {
		r.id.b[1] = (unsigned char)i;
		assert_int_equal(db_request_put(s->conn, &r, &created, &s->err), 0);
	}
	r.id.b[2] = 77;
	assert_int_equal(db_request_put(s->conn, &r, &created, &s->err), ERR_LIMIT);
}

static void test_unlock(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct db_unlock u = {.machine = w.machine,
			      .environment = id_of(1),
			      .expires_ms = T0 + 1000,
			      .reason = "phone",
			      .issued_by = "ada",
			      .issued_ms = T0};
	unsigned char key[UNLOCK_KEY_SIZE], again[UNLOCK_KEY_SIZE];
	const unsigned char *serials;
	struct db_unlock *list;
	struct uuid env = id_of(1);
	int64_t revoked;
	size_t n;

	env_make(s, &w, 1, "/envs/x", NULL);
	assert_int_equal(db_unlock_issue(s->conn, &u, key, &s->err), 0);
	assert_int_equal(u.serial, 1);
	assert_int_equal(db_unlock_issue(s->conn, &u, again, &s->err), 0);
	assert_int_equal(u.serial, 2);
	assert_memory_equal(key, again, sizeof(key));
	assert_int_equal(db_unlock_key(s->conn, &w.machine, again, &s->err), 0);
	assert_memory_equal(key, again, sizeof(key));
	assert_int_equal(
		db_unlock_revoked(s->conn, &w.machine, T0, &s->arena, &serials, &n, &s->err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(db_unlock_revoke(s->conn, &env, "ada", T0 + 1, &revoked, &s->err), 0);
	assert_int_equal(revoked, 2);
	assert_int_equal(
		db_unlock_revoked(s->conn, &w.machine, T0, &s->arena, &serials, &n, &s->err), 0);
	assert_int_equal(n, 8);
	assert_int_equal(serials[3], 1);
	assert_int_equal(serials[7], 2);
	assert_int_equal(
		db_unlock_revoked(s->conn, &w.machine, T0 + 1000, &s->arena, &serials, &n, &s->err),
		0);
	assert_int_equal(n, 0); /* they are over anyway */
	assert_int_equal(db_unlock_list(s->conn, &env, 10, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].serial, 2);
	assert_string_equal(list[0].revoked_by, "ada");
	assert_true(list[0].used_ms == 0);
}

/* On record once, and only where it was issued for. */
static void test_use_of_a_code(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct db_unlock u = {.machine = w.machine,
			      .environment = id_of(1),
			      .expires_ms = T0 + 1000,
			      .reason = "release",
			      .issued_by = "ada",
			      .issued_ms = T0};
	const struct {
		uint32_t serial;
		struct uuid environment;
		int64_t at_ms;
		bool first;
	} told[] = {
		{2, id_of(1), T0 + 1, false}, /* never issued */
		{1, id_of(2), T0 + 1, false}, /* for another environment */
		{1, id_of(1), T0 + 2, true},
		{1, id_of(1), T0 + 3, false},
	};
	unsigned char key[UNLOCK_KEY_SIZE];
	struct db_unlock *list;
	struct uuid env = id_of(1);
	bool first;
	size_t n;

	env_make(s, &w, 1, "/envs/x", NULL);
	assert_int_equal(db_unlock_issue(s->conn, &u, key, &s->err), 0);
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		const struct db_unlock used = {.machine = w.machine,
					       .environment = told[i].environment,
					       .serial = told[i].serial,
					       .used_ms = told[i].at_ms};

		assert_int_equal(db_unlock_used(s->conn, &used, &first, &s->err), 0);
		assert_true(first == told[i].first);
	}
	assert_int_equal(db_unlock_list(s->conn, &env, 10, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 1);
	assert_true(list[0].used_ms == T0 + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exceptions, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_refuses, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_requests, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_an_old_answer_is_told_again, store_setup,
						store_teardown),
		cmocka_unit_test_setup_teardown(test_requests_are_bounded, store_setup,
						store_teardown),
		cmocka_unit_test_setup_teardown(test_unlock, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_use_of_a_code, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
