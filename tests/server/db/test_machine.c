#include "server/db/db_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/server/db/store.h"

static struct db_machine get(struct store *s, const struct uuid *id)
{
	struct db_machine m;

	assert_int_equal(db_machine_get(s->conn, id, &s->arena, &m, &s->err), 0);
	return m;
}

static void test_life(void **state)
{
	struct store *s = *state;
	struct uuid id = store_machine(s, 1), nobody = id_of(99);
	struct db_machine m = get(s, &id);
	struct db_machine_cert cert = {.key_hash = {5}, .serial = {6}, .not_after_ms = T0 + 77};
	static const char *const wishes[] = {"ci", "no label", "site:berlin"};
	struct db_machine_info info = {.hostname = "renamed",
				       .platform = "osx-arm64",
				       .os = "macOS",
				       .agent_version = "0.2.0",
				       .wishes = {.items = wishes, .n = ARRAY_SIZE(wishes)}};
	unsigned char token[DB_CONTINUITY_SIZE] = {1}, zero[DB_CONTINUITY_SIZE] = {0};
	struct db_machine_new again = {.id = id, .info = info};

	assert_string_equal(m.hostname, "host-1");
	assert_int_equal(m.state, DB_MACHINE_ACTIVE);
	assert_int_equal(m.status_version, 1);
	assert_memory_equal(m.continuity, zero, sizeof(zero));
	assert_int_equal(db_machine_insert(s->conn, &again, T0, &s->err), ERR_EXISTS);
	assert_int_equal(db_machine_seen(s->conn, &id, &info, T0 + 9, &s->err), 0);
	assert_int_equal(db_machine_set_cert(s->conn, &id, &cert, &s->err), 0);
	assert_int_equal(db_machine_set_continuity(s->conn, &id, token, &s->err), 0);
	token[0] = 2;
	assert_int_equal(db_machine_set_continuity(s->conn, &id, token, &s->err), 0);
	assert_int_equal(db_machine_suspect_clone(s->conn, &id, &s->err), 0);
	m = get(s, &id);
	assert_string_equal(m.hostname, "renamed");
	assert_int_equal(m.last_seen_ms, T0 + 9);
	assert_int_equal(m.labels.n, 0);
	assert_int_equal(m.wishes.n, 2);
	assert_string_equal(m.wishes.items[1], "site:berlin");
	assert_int_equal(m.not_after_ms, T0 + 77);
	assert_int_equal(m.key_hash[0], 5);
	assert_int_equal(m.serial[0], 6);
	assert_int_equal(m.continuity[0], 2);
	assert_int_equal(m.continuity_previous[0], 1);
	assert_true(m.clone_suspected);
	assert_int_equal(db_machine_set_state(s->conn, &id, DB_MACHINE_REVOKED, T0, &s->err), 0);
	assert_int_equal(get(s, &id).state, DB_MACHINE_REVOKED);
	assert_int_equal(db_machine_seen(s->conn, &nobody, NULL, T0, &s->err), ERR_NOTFOUND);
	assert_int_equal(db_machine_get(s->conn, &nobody, &s->arena, &m, &s->err), ERR_NOTFOUND);
}

static void test_versions(void **state)
{
	struct store *s = *state;
	struct uuid id = store_machine(s, 1);
	static const struct {
		uint64_t held;
		uint64_t want;
	} table[] = {{0, 1}, {0, 2}, {1, 3}, {40, 41}, {3, 42}};
	uint64_t version;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_int_equal(
			db_machine_next_timestamp(s->conn, &id, table[i].held, &version, &s->err),
			0);
		assert_int_equal(version, table[i].want);
	}
	assert_int_equal(db_machine_next_timestamp(s->conn, &id, UINT64_MAX, &version, &s->err),
			 ERR_LIMIT);
	assert_int_equal(db_machine_raise_status(s->conn, &id, 0, &s->err), 0);
	assert_int_equal(get(s, &id).status_version, 1);
	assert_int_equal(db_machine_raise_status(s->conn, &id, 1, &s->err), 0);
	assert_int_equal(get(s, &id).status_version, 2);
	assert_int_equal(db_machine_raise_status(s->conn, &id, 9, &s->err), 0);
	assert_int_equal(get(s, &id).status_version, 10);
}

static void test_labels(void **state)
{
	struct store *s = *state;
	static const char *const names[] = {"finance", "Site_1"}, *const bad[] = {"a b"};
	struct uuid id = store_machine(s, 1), other = store_machine(s, 2);
	struct db_machine_filter filter = {.label = "Site_1"};
	int64_t count;

	(void)other;
	assert_int_equal(
		db_machine_set_labels(s->conn, &id, &(struct db_labels){names, 2}, T0, &s->err), 0);
	assert_int_equal(get(s, &id).labels.n, 2);
	assert_string_equal(get(s, &id).labels.items[0], "finance");
	assert_int_equal(get(s, &id).status_version, 2);
	assert_int_equal(
		db_machine_set_labels(s->conn, &id, &(struct db_labels){bad, 1}, T0, &s->err),
		ERR_INVALID);
	assert_int_equal(db_machine_count(s->conn, &filter, &count, &s->err), 0);
	assert_int_equal(count, 1);
	/* Whole labels, and their case, and no wildcards. */
	filter.label = "site_1";
	assert_int_equal(db_machine_count(s->conn, &filter, &count, &s->err), 0);
	assert_int_equal(count, 0);
	filter.label = "fin";
	assert_int_equal(db_machine_count(s->conn, &filter, &count, &s->err), 0);
	assert_int_equal(count, 0);
	assert_int_equal(
		db_machine_set_labels(s->conn, &id, &(struct db_labels){NULL, 0}, T0, &s->err), 0);
	assert_int_equal(get(s, &id).labels.n, 0);
}

static void test_list(void **state)
{
	struct store *s = *state;
	struct db_machine_filter filter = {.text = NULL};
	struct db_cursor cursor = {.set = false};
	struct db_machine *list;
	size_t n, seen = 0;
	int64_t last = INT64_MAX;

	for (unsigned char i = 1; i <= 25; i++)
		(void)store_machine(s, i);
	do {
		assert_int_equal(db_machine_list(s->conn, &filter, &cursor, 10, &s->arena, &list,
						 &n, &s->err),
				 0);
		for (size_t i = 0; i < n; i++) {
			assert_true(list[i].row < last);
			last = list[i].row;
		}
		seen += n;
		cursor = (struct db_cursor){.set = true, .id = last};
	} while (n > 0);
	assert_int_equal(seen, 25);
	filter = (struct db_machine_filter){.text = "HOST-1", .platform = "linux-64"};
	assert_int_equal(
		db_machine_list(s->conn, &filter, NULL, 100, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 6); /* 1, 11, 13, 15, 17, 19 */
	filter = (struct db_machine_filter){.text = "host_1"};
	assert_int_equal(
		db_machine_list(s->conn, &filter, NULL, 100, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_versions, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_labels, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_list, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
