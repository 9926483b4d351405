#include "server/db/db_bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/server/db/store.h"

static int put(struct store *s, const char *role, uint64_t version, const struct uuid *machine,
	       const char *data)
{
	struct db_bundle b = {.role = role,
			      .version = version,
			      .data = (const void *)data,
			      .n = strlen(data),
			      .created_ms = T0};

	if (machine)
		b.machine = *machine;
	return db_bundle_put(s->conn, &b, &s->err);
}

static void test_versions(void **state)
{
	struct store *s = *state;
	struct uuid m = id_of(1), other = id_of(2);
	struct db_bundle got;

	assert_int_equal(put(s, "status", 1, &m, "one"), 0);
	assert_int_equal(put(s, "status", 3, &m, "three"), 0);
	assert_int_equal(put(s, "status", 1, &other, "other"), 0);
	assert_int_equal(put(s, "status", 3, &m, "three"), 0); /* the same again */
	assert_int_equal(put(s, "status", 3, &m, "else"), ERR_STALE);
	assert_int_equal(put(s, "status", 2, &m, "two"), ERR_STALE);
	assert_int_equal(put(s, "status", 0, &m, "zero"), ERR_INVALID);
	assert_int_equal(db_bundle_get(s->conn, "status", &m, 0, &s->arena, &got, &s->err), 0);
	assert_int_equal(got.version, 3);
	assert_int_equal(got.n, 5);
	assert_memory_equal(got.data, "three", 5);
	assert_int_equal(db_bundle_get(s->conn, "status", &m, 1, &s->arena, &got, &s->err),
			 ERR_NOTFOUND); /* only the newest is kept */
	assert_int_equal(db_bundle_get(s->conn, "status", NULL, 0, &s->arena, &got, &s->err),
			 ERR_NOTFOUND);
	assert_int_equal(db_bundle_get(s->conn, "status", &other, 1, &s->arena, &got, &s->err), 0);
}

static void test_roots(void **state)
{
	struct store *s = *state;
	struct db_bundle *list;
	size_t n;

	assert_int_equal(put(s, "root", 1, NULL, "r1"), 0);
	assert_int_equal(put(s, "root", 2, NULL, "r2"), 0);
	assert_int_equal(put(s, "root", 3, NULL, "r3"), 0);
	assert_int_equal(db_bundle_roots(s->conn, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(list[0].data, "r1", 2);
	assert_int_equal(list[2].version, 3);
}

static void test_reports(void **state)
{
	struct store *s = *state;
	struct db_bundle_report r = {.machine = store_machine(s, 1),
				     .role = "policy",
				     .version = 41,
				     .active = true,
				     .reason = "",
				     .at_ms = T0},
				*list;
	size_t n;

	assert_int_equal(db_bundle_report_put(s->conn, &r, &s->err), 0);
	r.version = 42;
	r.active = false;
	r.reason = "wrong key";
	assert_int_equal(db_bundle_report_put(s->conn, &r, &s->err), 0);
	assert_int_equal(db_bundle_report_list(s->conn, &r.machine, &s->arena, &list, &n, &s->err),
			 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].version, 42);
	assert_string_equal(list[0].reason, "wrong key");
	r.machine = id_of(9);
	assert_int_equal(db_bundle_report_put(s->conn, &r, &s->err), ERR_NOTFOUND);
}

static void test_ticket_keys(void **state)
{
	struct store *s = *state;
	unsigned char key[DB_TICKET_KEY_SIZE] = {1};
	struct db_ticket_key keys[2];
	size_t n;
	bool rotated;

	assert_int_equal(db_ticket_keys(s->conn, keys, &n, &s->err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(db_ticket_rotate(s->conn, key, 100, T0, &rotated, &s->err), 0);
	assert_true(rotated);
	key[0] = 2;
	assert_int_equal(db_ticket_rotate(s->conn, key, 100, T0 + 99, &rotated, &s->err), 0);
	assert_false(rotated);
	for (unsigned char i = 3; i < 6; i++) {
		key[0] = i;
		assert_int_equal(
			db_ticket_rotate(s->conn, key, 100, T0 + i * 100, &rotated, &s->err), 0);
		assert_true(rotated);
	}
	assert_int_equal(db_ticket_keys(s->conn, keys, &n, &s->err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(keys[0].key[0], 5);
	assert_int_equal(keys[1].key[0], 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_versions, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_roots, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_reports, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_ticket_keys, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
