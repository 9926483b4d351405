#include "agent/store/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/tmpdir.h"

#define VALUE ((size_t)512 << 10)

struct writing {
	int key;
	int runs;
};

static int write_one(struct db_txn *txn, void *ctx, struct err *err)
{
	static unsigned char value[VALUE];
	struct writing *w = ctx;
	char key[16];
	int n = snprintf(key, sizeof(key), "%08d", w->key);

	w->runs++;
	return db_put(txn, DB_KV, (struct bytes){key, (size_t)n},
		      (struct bytes){value, sizeof(value)}, err);
}

/* The map begins with 8 MiB; no write of less than a quarter of it is ever done over. */
static void the_map_grows_ahead(void **state)
{
	struct tmpdir dir;
	struct db *db;

	(void)state;
	tmpdir_make(&dir);
	assert_int_equal(db_open(dir.path, 0, false, &db, NULL), 0);
	for (int i = 0; i < 80; i++) {
		struct writing w = {.key = i};

		assert_int_equal(db_write(db, DB_ADD, write_one, &w, NULL), 0);
		assert_int_equal(w.runs, 1);
	}
	db_close(db);
	tmpdir_remove(&dir);
}

/* At its limit it stays, and says so; deleting still has room. */
static void not_beyond_its_limit(void **state)
{
	struct writing w = {.key = 0};
	struct tmpdir dir;
	struct db *db;
	int rc = 0;

	(void)state;
	tmpdir_make(&dir);
	assert_int_equal(db_open(dir.path, (uint64_t)16 << 20, false, &db, NULL), 0);
	for (; rc == 0 && w.key < 100; w.key++)
		rc = db_write(db, DB_ADD, write_one, &w, NULL);
	assert_int_equal(rc, ERR_FULL);
	assert_true(w.key > 20 && w.key < 32);
	db_close(db);
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_map_grows_ahead),
		cmocka_unit_test(not_beyond_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
