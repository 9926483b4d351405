#include "server/db/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <uv.h>

#include "proto/canonical.h"
#include "server/db/db_bundle.h"
#include "server/db/db_journal.h"
#include "server/db/db_org.h"
#include "server/db/db_status.h"
#include "server/db/sqlite.h"
#include "tests/server/db/store.h"
#include "tests/support/fault.h"

/* Asks the file itself, beside our own code. */
static int64_t ask(const char *path, const char *sql)
{
	sqlite3 *native;
	sqlite3_stmt *stmt;
	int64_t answer;

	assert_int_equal(sqlite3_open(path, &native), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(native, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	answer = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(native);
	return answer;
}

static void tell(const char *path, const char *sql)
{
	sqlite3 *native;

	assert_int_equal(sqlite3_open(path, &native), SQLITE_OK);
	assert_int_equal(sqlite3_exec(native, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(native);
}

static void test_from_empty(void **state)
{
	struct store *s = *state;
	int64_t version = 0;

	assert_int_equal(db_schema_version(s->conn, &version, &s->err), 0);
	assert_int_equal(version, 9);
	db_rollback(s->conn);
	assert_int_equal(ask(s->path, "PRAGMA page_size"), 8192);
	assert_int_equal(ask(s->path, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
	/* Every table but the schema number's checks its types. */
	assert_int_equal(ask(s->path, "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
				      " AND sql NOT LIKE '%STRICT%'"),
			 1);
}

static void test_again_is_nothing(void **state)
{
	struct store *s = *state;
	struct db *again;
	struct db_org org = {
		.id = id_of(9), .name = "Örg", .contact = "", .when_agent_down = "allow"};

	assert_int_equal(db_org_create(s->conn, &org, &s->err), 0);
	assert_int_equal(db_commit(s->conn, &s->err), 0);
	assert_int_equal(db_open(s->path, &again, &s->err), 0);
	db_close(again);
	assert_int_equal(db_org_get(s->conn, &s->arena, &org, &s->err), 0);
	assert_string_equal(org.name, "Örg");
}

/* What the first release left, brought up to now: as if nothing had happened since. */
static void test_from_the_first(void **state)
{
	struct store *s = *state;
	char path[TMPDIR_PATH_MAX];
	struct db_conn *conn;
	struct db_bundle head;
	struct db_machine machine;
	struct uuid id = id_of(1);
	sqlite3 *native;
	struct db *db;
	int64_t version;

	tmpdir_path(&s->dir, "old.db", path);
	assert_int_equal(sqlite3_open(path, &native), SQLITE_OK);
	for (size_t i = 0; sqlite_001[i]; i++)
		assert_int_equal(sqlite3_exec(native, sqlite_001[i], NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(
			native,
			"CREATE TABLE schema_version (version INTEGER NOT NULL);"
			"INSERT INTO schema_version VALUES (1);"
			"INSERT INTO machine VALUES (1, x'01010101010101010101010101010101', 'old',"
			" 'linux-64', '', '', NULL, '', 0, 0, 0, NULL, 1, 1, x'00', x'00', 1, NULL,"
			" NULL, 1, 0);"
			"INSERT INTO env VALUES (1, x'02020202020202020202020202020202', 1, '/x',"
			" 'x', 'ana', 1, 'linux-64', 'conda', 0, 0, 0, 1, 1, NULL, NULL);"
			"INSERT INTO env_status VALUES (1, 2, 'No.', 0, 1, 'ada', 1);"
			"INSERT INTO bundle VALUES ('status', x'01010101010101010101010101010101',"
			" 1, x'6162', 1);",
			NULL, NULL, NULL),
		SQLITE_OK);
	(void)sqlite3_close(native);
	assert_int_equal(db_open(path, &db, &s->err), 0);
	assert_int_equal(db_conn_open(db, true, &conn, &s->err), 0);
	assert_int_equal(db_schema_version(conn, &version, &s->err), 0);
	assert_int_equal(version, 9);
	assert_int_equal(db_machine_get(conn, &id, &s->arena, &machine, &s->err), 0);
	assert_int_equal(db_bundle_head(conn, "status", &id, &head, &s->err), 0);
	assert_int_equal(head.version, 1);
	{
		unsigned char hash[SHA256_SIZE];

		sha256("ab", 2, hash);
		assert_memory_equal(head.hash, hash, SHA256_SIZE);
	}
	{
		struct status_entry *list;
		size_t n;

		assert_int_equal(db_status_list(conn, &id, T0, &s->arena, &list, &n, &s->err), 0);
		assert_int_equal(n, 1);
		assert_int_equal(list[0].n_fixed_specs, 0);
	}
	db_conn_close(conn);
	db_close(db);
}

static void test_newer_is_refused(void **state)
{
	struct store *s = *state;
	struct db *again;

	db_rollback(s->conn);
	tell(s->path, "UPDATE schema_version SET version = 1000");
	assert_int_equal(db_open(s->path, &again, &s->err), ERR_STALE);
	assert_non_null(strstr(s->err.text, "1000"));
}

static void test_not_ours(void **state)
{
	struct store *s = *state;
	char path[TMPDIR_PATH_MAX], page[8192];
	struct db *db;

	memset(page, 'x', sizeof(page));
	tmpdir_write(&s->dir, "garbage", page, sizeof(page));
	tmpdir_path(&s->dir, "garbage", path);
	assert_int_equal(db_open(path, &db, &s->err), ERR_CORRUPT);
	tmpdir_path(&s->dir, "no/such/folder", path);
	assert_int_equal(db_open(path, &db, NULL), ERR_NOTFOUND);
}

static void test_file_is_private(void **state)
{
	struct store *s = *state;
	uv_fs_t req;

	assert_int_equal(uv_fs_stat(NULL, &req, s->path, NULL), 0);
	assert_int_equal(req.statbuf.st_mode & 0777, 0600);
	uv_fs_req_cleanup(&req);
}

static void test_readers_cannot_write(void **state)
{
	struct store *s = *state;
	struct db_conn *reader;
	struct db_org org = {
		.id = id_of(9), .name = "n", .contact = "", .when_agent_down = "allow"};

	assert_int_equal(db_conn_open(s->db, false, &reader, &s->err), 0);
	assert_int_equal(db_org_create(reader, &org, &s->err), ERR_PERM);
	db_conn_close(reader);
}

static void test_savepoints(void **state)
{
	struct store *s = *state;

	(void)store_machine(s, 1);
	assert_int_equal(db_savepoint(s->conn, &s->err), 0);
	(void)store_machine(s, 2);
	assert_int_equal(db_savepoint_undo(s->conn, &s->err), 0);
	assert_int_equal(db_savepoint(s->conn, &s->err), 0);
	(void)store_machine(s, 3);
	assert_int_equal(db_savepoint_keep(s->conn, &s->err), 0);
	assert_int_equal(db_commit(s->conn, &s->err), 0);
	assert_int_equal(ask(s->path, "SELECT count(*) FROM machine"), 2);
	assert_int_equal(ask(s->path, "SELECT count(*) FROM machine WHERE hostname = 'host-2'"), 0);
}

/* --- memory running out anywhere --- */

struct fault {
	struct tmpdir *dir;
	unsigned runs;
};

static int write_all(struct db_conn *conn, struct arena *arena)
{
	struct db_org org = {
		.id = id_of(9), .name = "n", .contact = "", .when_agent_down = "allow"};
	struct db_machine_new m = {.id = id_of(1),
				   .info = {.hostname = "h",
					    .platform = "p",
					    .os = "",
					    .agent_version = "",
					    .machine_id_hash = NULL}};
	struct package p = package_of("zlib", "1.3");
	unsigned char hashes[1][SHA256_SIZE];
	struct change c = change_of(CHANGE_CREATED, 1, "/envs/x");
	struct db_append batch = {.machine = m.id,
				  .changes = &c,
				  .hashes = (const unsigned char(*)[SHA256_SIZE])hashes,
				  .n = 1};
	struct db_change *list;
	uint64_t acked;
	size_t n;
	int rc = package_list_add(&c.added, &p);

	c.seq = 1;
	change_chain(batch.previous_hash, &c, hashes[0]);
	if (rc == 0)
		rc = db_org_create(conn, &org, NULL);
	if (rc == 0)
		rc = db_machine_insert(conn, &m, T0, NULL);
	if (rc == 0)
		rc = db_journal_append(conn, &batch, T0, &acked, NULL);
	if (rc == 0)
		rc = db_history(conn, &(struct db_history_filter){0}, NULL, 10, arena, &list, &n,
				NULL);
	change_deinit(&c);
	return rc;
}

static int fault_body(void *ctx)
{
	struct fault *f = ctx;
	char name[32], path[TMPDIR_PATH_MAX];
	struct arena arena;
	struct db *db = NULL;
	struct db_conn *conn = NULL;
	int rc;

	(void)snprintf(name, sizeof(name), "run-%u", f->runs++);
	tmpdir_path(f->dir, name, path);
	arena_init(&arena, 1U << 20);
	rc = db_open(path, &db, NULL);
	if (rc == 0)
		rc = db_conn_open(db, true, &conn, NULL);
	if (rc == 0)
		rc = db_begin(conn, NULL);
	if (rc == 0) {
		rc = write_all(conn, &arena);
		if (rc == 0)
			rc = db_commit(conn, NULL);
		else
			db_rollback(conn);
		assert_false(db_in_transaction(conn));
	}
	db_conn_close(conn);
	db_close(db);
	arena_deinit(&arena);
	return rc;
}

static void test_out_of_memory(void **state)
{
	struct store *s = *state;
	struct fault fault = {.dir = &s->dir};

	fault_each_alloc(fault_body, &fault, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_from_empty, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_again_is_nothing, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_from_the_first, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_newer_is_refused, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_not_ours, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_file_is_private, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_readers_cannot_write, store_setup,
						store_teardown),
		cmocka_unit_test_setup_teardown(test_savepoints, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_out_of_memory, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
