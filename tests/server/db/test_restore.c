/* What a store is told when it was restored from a backup, and that damage is found before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "server/db/db_admin.h"
#include "server/db/db_bundle.h"
#include "server/db/db_org.h"
#include "server/db/db_restore.h"
#include "server/db/db_unlock.h"
#include "tests/server/db/store.h"

#define PAGE 8192

static void join_code(struct store *s, unsigned char n)
{
	const struct db_join_code code = {
		.title = "", .uses = 5, .created_by = "ada", .created_ms = T0};
	int64_t id;

	assert_int_equal(
		db_join_create(s->conn, (const unsigned char[SHA256_SIZE]){n}, &code, &id, &s->err),
		0);
}

static int join(struct store *s, unsigned char n)
{
	struct db_join_code code;

	return db_join_consume(s->conn, (const unsigned char[SHA256_SIZE]){n}, T0 + 1, &s->arena,
			       &code, &s->err);
}

static int use_token(struct store *s)
{
	struct db_token got;

	return db_token_find(s->conn, (const unsigned char[SHA256_SIZE]){7}, T0, &s->arena, &got,
			     &s->err);
}

static void token(struct store *s)
{
	const struct db_token token = {.kind = DB_TOKEN_API,
				       .name = "ci",
				       .role = DB_ROLE_OPERATOR,
				       .created_by = "ana",
				       .created_ms = T0,
				       .expires_ms = T0 + 100000};
	int64_t id;

	assert_int_equal(db_token_create(s->conn, (const unsigned char[SHA256_SIZE]){7}, &token,
					 &id, &s->err),
			 0);
}

static void check_machine(struct store *s, unsigned char n, uint64_t status, uint64_t timestamp)
{
	struct uuid id = id_of(n);
	struct db_machine m;

	assert_int_equal(db_machine_get(s->conn, &id, &s->arena, &m, &s->err), 0);
	assert_true(m.restored);
	assert_int_equal(m.status_version, status);
	assert_int_equal(m.timestamp_version, timestamp);
}

static void test_restore(void **state)
{
	struct store *s = *state;
	struct db_restored done;
	struct db_audit *log;
	int64_t epoch;
	size_t n;

	(void)store_machine(s, 1);
	(void)store_machine(s, 2);
	join_code(s, 1);
	join_code(s, 2);
	token(s);
	assert_int_equal(join(s, 1), 0);
	assert_int_equal(use_token(s), 0);
	assert_int_equal(db_restore_epoch(s->conn, &epoch, &s->err), 0);
	assert_int_equal(epoch, 1);
	for (int i = 1; i <= 3; i++) {
		int64_t now_ms = T0 + i * INT64_C(1000);

		assert_int_equal(db_restore(s->conn, now_ms, &done, &s->err), 0);
		assert_int_equal(done.epoch, 1 + i);
		/* The newest it knows of: its machines, then the restore before. */
		assert_int_equal(done.unknown_from_ms, i == 1 ? T0 : now_ms - 1000);
		assert_int_equal(done.machines, 2);
		assert_int_equal(done.join_codes, i == 1 ? 2 : 0);
		assert_int_equal(done.tokens, i == 1 ? 1 : 0);
		for (unsigned char m = 1; m <= 2; m++)
			check_machine(s, m, 1 + (uint64_t)i * DB_RESTORE_STEP,
				      (uint64_t)i * DB_RESTORE_STEP);
	}
	assert_int_equal(join(s, 1), ERR_PERM);
	assert_int_equal(use_token(s), ERR_NOTFOUND);
	assert_int_equal(db_restore_epoch(s->conn, &epoch, &s->err), 0);
	assert_int_equal(epoch, 4);
	assert_int_equal(db_audit_list(s->conn, &(struct db_audit_filter){.what = "server."}, NULL,
				       10, &s->arena, &log, &n, &s->err),
			 0);
	assert_int_equal(n, 3);
	assert_string_equal(log[0].target, "epoch:4");
}

/* Nothing of it is there before the commit. */
static void test_taken_back(void **state)
{
	struct store *s = *state;
	struct uuid id = store_machine(s, 1);
	struct db_restored done;
	struct db_machine m;
	int64_t epoch;

	token(s);
	store_commit(s);
	assert_int_equal(db_restore(s->conn, T0 + 1, &done, &s->err), 0);
	db_rollback(s->conn);
	assert_int_equal(db_begin(s->conn, &s->err), 0);
	assert_int_equal(db_restore_epoch(s->conn, &epoch, &s->err), 0);
	assert_int_equal(epoch, 1);
	assert_int_equal(use_token(s), 0);
	assert_int_equal(db_machine_get(s->conn, &id, &s->arena, &m, &s->err), 0);
	assert_false(m.restored);
}

/* Bytes of another page in one page of the file. */
static void spoil(const char *path, long page)
{
	char junk[256];
	FILE *file = fopen(path, "r+b");

	memset(junk, 0xee, sizeof(junk));
	assert_non_null(file);
	assert_int_equal(fseek(file, page * PAGE, SEEK_SET), 0);
	assert_int_equal(fwrite(junk, 1, sizeof(junk), file), sizeof(junk));
	assert_int_equal(fclose(file), 0);
}

static void test_check(void **state)
{
	struct store *s = *state;

	for (unsigned char n = 1; n < 200; n++)
		(void)store_machine(s, n);
	store_commit(s);
	assert_int_equal(db_check(s->conn, &s->err), 0);
	db_conn_close(s->conn);
	s->conn = NULL;
	spoil(s->path, 40);
	assert_int_equal(db_conn_open(s->db, true, &s->conn, &s->err), 0);
	assert_int_equal(db_check(s->conn, &s->err), ERR_CORRUPT);
	assert_true(strlen(s->err.text) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_restore, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_taken_back, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_check, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
