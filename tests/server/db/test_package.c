#include "server/db/db_package.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/canonical.h"
#include "tests/server/db/store.h"

static void test_put_and_get(void **state)
{
	struct store *s = *state;
	struct package p = package_of("numpy", "2.0"), forged = p;
	unsigned char key[PACKAGE_KEY_SIZE];
	struct db_package got;
	int64_t id, again, other;
	bool created;

	p.has_sha256 = true;
	p.sha256[0] = 9;
	p.requested = true;
	p.built_ms = 1700000000123;
	assert_int_equal(db_package_put(s->conn, &p, T0, &id, &created, &s->err), 0);
	assert_true(created);
	p.requested = false; /* outside the definition */
	assert_int_equal(db_package_put(s->conn, &p, T0 + 1, &again, &created, &s->err), 0);
	assert_false(created);
	assert_int_equal(id, again);
	/* Another licence for the same package is another definition, not a change to the first. */
	forged.license = "Proprietary";
	assert_int_equal(db_package_put(s->conn, &forged, T0, &other, &created, &s->err), 0);
	assert_int_not_equal(id, other);
	package_def_key(&p, key);
	assert_int_equal(db_package_get(s->conn, key, &s->arena, &got, &s->err), 0);
	assert_int_equal(package_cmp_all(&got.package, &p), 0);
	assert_int_equal(got.id, id);
	assert_int_equal(got.first_seen_ms, T0);
	assert_memory_equal(got.key, key, sizeof(key));
	key[0] ^= 1;
	assert_int_equal(db_package_get(s->conn, key, &s->arena, &got, &s->err), ERR_NOTFOUND);
}

static void test_missing(void **state)
{
	struct store *s = *state;
	struct package known = package_of("a", "1"), unknown = package_of("b", "1");
	unsigned char keys[3 * PACKAGE_KEY_SIZE], missing[sizeof(keys)];
	size_t n;
	int64_t id;

	assert_int_equal(db_package_put(s->conn, &known, T0, &id, NULL, &s->err), 0);
	package_def_key(&unknown, keys);
	package_def_key(&known, keys + PACKAGE_KEY_SIZE);
	memset(keys + 2 * PACKAGE_KEY_SIZE, 7, PACKAGE_KEY_SIZE);
	assert_int_equal(db_package_missing(s->conn, keys, 3, missing, &n, &s->err), 0);
	assert_int_equal(n, 2);
	assert_memory_equal(missing, keys, PACKAGE_KEY_SIZE);
	assert_memory_equal(missing + PACKAGE_KEY_SIZE, keys + 2 * PACKAGE_KEY_SIZE,
			    PACKAGE_KEY_SIZE);
}

static void test_dictionary(void **state)
{
	struct store *s = *state;
	struct db_dictionary d = {.conn = s->conn, .arena = &s->arena};
	struct package p = package_of("a", "1");
	unsigned char key[PACKAGE_KEY_SIZE];
	int64_t id;

	package_def_key(&p, key);
	assert_null(db_dictionary_find(&d, key));
	assert_int_equal(d.rc, 0);
	assert_int_equal(db_package_put(s->conn, &p, T0, &id, NULL, &s->err), 0);
	assert_int_equal(package_cmp_all(db_dictionary_find(&d, key), &p), 0);
}

static void test_hostile(void **state)
{
	struct store *s = *state;
	static char big[PACKAGE_NAME_MAX + 2];
	struct package p = package_of("x", "1");
	struct db_package *list;
	int64_t id;
	size_t n;

	memset(big, 'a', sizeof(big) - 1);
	p.name = big;
	assert_int_equal(db_package_put(s->conn, &p, T0, &id, NULL, &s->err), ERR_LIMIT);
	p.name = "\xc3\x28";
	assert_int_equal(db_package_put(s->conn, &p, T0, &id, NULL, &s->err), ERR_INVALID);
	p = package_of("x", "1");
	p.size = UINT64_MAX;
	assert_int_equal(db_package_put(s->conn, &p, T0, &id, NULL, &s->err), ERR_LIMIT);
	p = package_of("'); DELETE FROM package; --", "1\" OR 1=1");
	assert_int_equal(db_package_put(s->conn, &p, T0, &id, NULL, &s->err), 0);
	assert_int_equal(db_package_list(s->conn, &(struct db_package_filter){.name = p.name}, NULL,
					 10, &s->arena, &list, &n, &s->err),
			 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].package.version, p.version);
}

static void test_list(void **state)
{
	struct store *s = *state;
	static const char *const names[] = {"lib_a", "libxa", "LibA", "zlib", "100%"};
	static const struct {
		const char *text;
		size_t n;
	} table[] = {{"lib", 4}, {"b_", 1}, {"%", 1}, {"\\", 0}, {"", 5}};
	struct db_cursor cursor = {.set = false};
	struct db_package *list;
	int64_t id;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct package p = package_of(names[i], "1");

		assert_int_equal(db_package_put(s->conn, &p, T0, &id, NULL, &s->err), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct db_package_filter filter = {.text = table[i].text};

		assert_int_equal(
			db_package_list(s->conn, &filter, NULL, 10, &s->arena, &list, &n, &s->err),
			0);
		assert_int_equal(n, table[i].n);
	}
	assert_int_equal(db_package_list(s->conn, &(struct db_package_filter){0}, &cursor, 3,
					 &s->arena, &list, &n, &s->err),
			 0);
	assert_int_equal(n, 3);
	cursor = (struct db_cursor){.set = true, .text = list[2].package.name, .id = list[2].id};
	assert_int_equal(db_package_list(s->conn, &(struct db_package_filter){0}, &cursor, 3,
					 &s->arena, &list, &n, &s->err),
			 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[1].package.name, "zlib");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_put_and_get, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_missing, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_dictionary, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_hostile, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_list, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
