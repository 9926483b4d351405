#include "server/db/db_org.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/db/db_machine.h"
#include "tests/server/db/store.h"

static struct db_org org_of(void)
{
	return (struct db_org){.id = id_of(7),
			       .name = "Org'; DROP TABLE machine; --",
			       .contact = "security@example.org",
			       .when_agent_down = "last_decision",
			       .created_ms = T0};
}

static void test_org(void **state)
{
	struct store *s = *state;
	struct db_org org = org_of(), got;
	struct db_machine m;
	struct uuid id = store_machine(s, 1);

	assert_int_equal(db_org_get(s->conn, &s->arena, &got, &s->err), ERR_NOTFOUND);
	assert_int_equal(db_org_create(s->conn, &org, &s->err), 0);
	assert_int_equal(db_org_create(s->conn, &org, &s->err), ERR_EXISTS);
	org.logging = true;
	org.when_agent_down = "block";
	assert_int_equal(db_org_set(s->conn, &org, T0, &s->err), 0);
	assert_int_equal(db_org_get(s->conn, &s->arena, &got, &s->err), 0);
	assert_string_equal(got.name, org.name);
	assert_true(got.logging);
	assert_string_equal(got.when_agent_down, "block");
	assert_int_equal(uuid_cmp(&got.id, &org.id), 0);
	/* Its switch is in every machine's bundle. */
	assert_int_equal(db_machine_get(s->conn, &id, &s->arena, &m, &s->err), 0);
	assert_int_equal(m.status_version, 2);
}

static void test_org_refuses(void **state)
{
	struct store *s = *state;
	struct db_org org = org_of();

	org.when_agent_down = "maybe";
	assert_int_equal(db_org_create(s->conn, &org, &s->err), ERR_INVALID);
	org = org_of();
	org.name = "\xff";
	assert_int_equal(db_org_create(s->conn, &org, &s->err), ERR_INVALID);
	org = org_of();
	org.contact = arena_calloc(&s->arena, 300, 1);
	memset((char *)(uintptr_t)org.contact, 'c', 299);
	assert_int_equal(db_org_create(s->conn, &org, &s->err), ERR_LIMIT);
}

static const char *const labels[] = {"finance", "site:berlin"};

static struct db_join_code code_of(int64_t uses)
{
	return (struct db_join_code){.title = "laptops",
				     .labels = {labels, 2},
				     .uses = uses,
				     .expires_ms = T0 + 1000,
				     .created_by = "ana",
				     .created_ms = T0};
}

static void test_join_uses(void **state)
{
	struct store *s = *state;
	unsigned char hash[SHA256_SIZE] = {1}, other[SHA256_SIZE] = {2};
	struct db_join_code code = code_of(2), got;
	int64_t id;

	assert_int_equal(db_join_create(s->conn, hash, &code, &id, &s->err), 0);
	assert_int_equal(db_join_consume(s->conn, other, T0, &s->arena, &got, &s->err), ERR_PERM);
	assert_int_equal(db_join_consume(s->conn, hash, T0, &s->arena, &got, &s->err), 0);
	assert_int_equal(got.uses_left, 1);
	assert_int_equal(got.labels.n, 2);
	assert_string_equal(got.labels.items[1], "site:berlin");
	assert_int_equal(db_join_consume(s->conn, hash, T0 + 1000, &s->arena, &got, &s->err),
			 ERR_EXPIRED);
	assert_int_equal(db_join_consume(s->conn, hash, T0 + 999, &s->arena, &got, &s->err), 0);
	assert_int_equal(got.uses_left, 0);
	assert_int_equal(db_join_consume(s->conn, hash, T0, &s->arena, &got, &s->err), ERR_PERM);
	/* What is rolled back was not used. */
	assert_int_equal(db_join_create(s->conn, other, &code, &id, &s->err), 0);
	assert_int_equal(db_savepoint(s->conn, &s->err), 0);
	assert_int_equal(db_join_consume(s->conn, other, T0, &s->arena, &got, &s->err), 0);
	assert_int_equal(db_savepoint_undo(s->conn, &s->err), 0);
	assert_int_equal(db_join_consume(s->conn, other, T0, &s->arena, &got, &s->err), 0);
	assert_int_equal(got.uses_left, 1);
}

static void test_join_void_and_list(void **state)
{
	struct store *s = *state;
	unsigned char hash[SHA256_SIZE] = {0};
	struct db_join_code code = code_of(5), got, *list;
	struct db_cursor cursor = {.set = false};
	int64_t ids[5];
	size_t n;

	for (unsigned char i = 0; i < 5; i++) {
		hash[0] = i;
		assert_int_equal(db_join_create(s->conn, hash, &code, &ids[i], &s->err), 0);
	}
	assert_int_equal(db_join_create(s->conn, hash, &code, &ids[0], &s->err), ERR_EXISTS);
	assert_int_equal(db_join_void(s->conn, ids[4], T0 + 1, &s->err), 0);
	assert_int_equal(db_join_void(s->conn, 999, T0, &s->err), ERR_NOTFOUND);
	assert_int_equal(db_join_consume(s->conn, hash, T0, &s->arena, &got, &s->err), ERR_PERM);
	assert_int_equal(db_join_list(s->conn, &cursor, 2, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].id, ids[4]);
	assert_int_equal(list[0].voided_ms, T0 + 1);
	cursor = (struct db_cursor){.set = true, .id = list[1].id};
	assert_int_equal(db_join_list(s->conn, &cursor, 10, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 3);
	assert_int_equal(list[2].id, ids[0]);
}

static void test_join_refuses(void **state)
{
	struct store *s = *state;
	unsigned char hash[SHA256_SIZE] = {0};
	static const char too_long[] = "0123456789012345678901234567890123456789"
				       "0123456789012345678901234567890123456789";
	const char *const bad[] = {"", "two\nlines", "sp ace", too_long};
	struct db_join_code code = code_of(0);
	int64_t id;

	assert_int_equal(db_join_create(s->conn, hash, &code, &id, &s->err), ERR_INVALID);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		code = code_of(1);
		code.labels = (struct db_labels){&bad[i], 1};
		assert_true(db_join_create(s->conn, hash, &code, &id, &s->err) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_org, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_org_refuses, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_join_uses, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_join_void_and_list, store_setup,
						store_teardown),
		cmocka_unit_test_setup_teardown(test_join_refuses, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
