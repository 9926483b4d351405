#include "server/db/db_admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/server/db/store.h"

static const struct db_user ana = {.name = "ana", .password = "$argon2id$x", .role = DB_ROLE_ADMIN};

static void test_users(void **state)
{
	struct store *s = *state;
	struct db_user got, bob = {.name = "b'ob", .password = "p", .role = DB_ROLE_VIEWER}, *list;
	size_t n;

	assert_int_equal(db_user_create(s->conn, &ana, T0, &s->err), 0);
	assert_int_equal(db_user_create(s->conn, &ana, T0, &s->err), ERR_EXISTS);
	assert_int_equal(db_user_create(s->conn, &bob, T0, &s->err), 0);
	bob.name = "";
	assert_int_equal(db_user_create(s->conn, &bob, T0, &s->err), ERR_INVALID);
	assert_int_equal(db_user_get(s->conn, "ana", &s->arena, &got, &s->err), 0);
	assert_string_equal(got.password, ana.password);
	assert_int_equal(got.role, DB_ROLE_ADMIN);
	assert_int_equal(db_user_get(s->conn, "ana' OR '1'='1", &s->arena, &got, &s->err),
			 ERR_NOTFOUND);
	assert_int_equal(db_user_set_role(s->conn, "b'ob", DB_ROLE_OPERATOR, &s->err), 0);
	assert_int_equal(db_user_list(s->conn, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(list[1].role, DB_ROLE_OPERATOR);
	assert_int_equal(db_user_delete(s->conn, "b'ob", &s->err), 0);
	assert_int_equal(db_user_delete(s->conn, "b'ob", &s->err), ERR_NOTFOUND);
}

static void test_roles(void **state)
{
	enum db_role role;

	(void)state;
	for (int i = DB_ROLE_VIEWER; i <= DB_ROLE_ADMIN; i++) {
		assert_int_equal(db_role_parse(db_role_name((enum db_role)i), &role), 0);
		assert_int_equal(role, i);
	}
	assert_int_equal(db_role_parse("root", &role), ERR_INVALID);
}

static void test_tokens(void **state)
{
	struct store *s = *state;
	unsigned char api[SHA256_SIZE] = {1}, session[SHA256_SIZE] = {2};
	struct db_token token = {.kind = DB_TOKEN_API,
				 .name = "ci",
				 .role = DB_ROLE_OPERATOR,
				 .created_by = "ana",
				 .created_ms = T0,
				 .expires_ms = T0 + 10},
			got, *list;
	int64_t id, session_id;
	size_t n;

	assert_int_equal(db_token_create(s->conn, api, &token, &id, &s->err), 0);
	assert_int_equal(db_token_find(s->conn, api, T0 + 9, &s->arena, &got, &s->err), 0);
	assert_string_equal(got.name, "ci");
	assert_int_equal(got.role, DB_ROLE_OPERATOR);
	assert_int_equal(db_token_find(s->conn, api, T0 + 10, &s->arena, &got, &s->err),
			 ERR_EXPIRED);
	assert_int_equal(db_token_find(s->conn, session, T0, &s->arena, &got, &s->err),
			 ERR_NOTFOUND);
	token.kind = DB_TOKEN_SESSION;
	token.name = "ana";
	token.expires_ms = 0;
	assert_int_equal(db_token_create(s->conn, session, &token, &session_id, &s->err),
			 ERR_NOTFOUND);
	assert_int_equal(db_user_create(s->conn, &ana, T0, &s->err), 0);
	assert_int_equal(db_token_create(s->conn, session, &token, &session_id, &s->err), 0);
	assert_int_equal(db_token_used(s->conn, session_id, T0 + 5, &s->err), 0);
	assert_int_equal(db_token_find(s->conn, session, T0, &s->arena, &got, &s->err), 0);
	assert_int_equal(got.last_used_ms, T0 + 5);
	assert_int_equal(db_token_list(s->conn, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 1); /* sessions are no tokens */
	/* A new password ends the user's sessions, and only these. */
	assert_int_equal(db_user_set_password(s->conn, "ana", "new", &s->err), 0);
	assert_int_equal(db_token_find(s->conn, session, T0, &s->arena, &got, &s->err),
			 ERR_NOTFOUND);
	assert_int_equal(db_token_find(s->conn, api, T0, &s->arena, &got, &s->err), 0);
	assert_int_equal(db_token_sweep(s->conn, T0 + 10, &s->err), 0);
	assert_int_equal(db_token_revoke(s->conn, id, &s->err), ERR_NOTFOUND);
	assert_int_equal(db_token_create(s->conn, api, &token, &id, &s->err), 0);
	assert_int_equal(db_token_revoke(s->conn, id, &s->err), 0);
	assert_int_equal(db_token_find(s->conn, api, T0, &s->arena, &got, &s->err), ERR_NOTFOUND);
}

static void test_audit(void **state)
{
	struct store *s = *state;
	static const char *const what[] = {"status.set", "status.clear", "status_x", "login"};
	static const struct {
		struct db_audit_filter filter;
		size_t n;
	} table[] = {
		{{.who = NULL}, 8},
		{{.who = "ana"}, 4},
		{{.what = "status."}, 4},
		{{.what = "status_"}, 2},
		{{.what = "%"}, 0},
		{{.target = "env-1"}, 2},
		{{.who = "ana", .what = "login", .target = "env-3"}, 1},
	};
	struct db_audit *list;
	struct db_cursor cursor = {.set = false};
	static char big[DB_AUDIT_DETAIL_MAX + 2];
	struct db_audit entry = {
		.at_ms = T0, .who = "ana", .what = "x", .target = "", .detail = big};
	size_t n, seen = 0;

	memset(big, 'd', sizeof(big) - 1);
	assert_int_equal(db_audit_append(s->conn, &entry, &s->err), ERR_LIMIT);
	for (int i = 0; i < 8; i++) {
		char target[16];

		(void)snprintf(target, sizeof(target), "env-%d", i % 4);
		entry = (struct db_audit){.at_ms = T0 + i,
					  .who = i < 4 ? "ana" : "bob",
					  .what = what[i % 4],
					  .target = target,
					  .detail = "{}"};
		assert_int_equal(db_audit_append(s->conn, &entry, &s->err), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_int_equal(db_audit_list(s->conn, &table[i].filter, NULL, 100, &s->arena,
					       &list, &n, &s->err),
				 0);
		assert_int_equal(n, table[i].n);
	}
	do {
		assert_int_equal(db_audit_list(s->conn, &table[0].filter, &cursor, 3, &s->arena,
					       &list, &n, &s->err),
				 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(list[i].at_ms, T0 + 7 - (int64_t)(seen + i));
		seen += n;
		cursor = (struct db_cursor){.set = true, .id = n ? list[n - 1].id : 0};
	} while (n > 0);
	assert_int_equal(seen, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_users, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_roles, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_tokens, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_audit, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
