/*
 * What can go wrong under any operation on policies, decisions, exceptions, requests, unlock codes,
 * statuses and bundles: memory that runs out at each place, a store that is damaged, a connection
 * that may only read. None leaves half of itself, or outputs, behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "lib/base/compiler.h"
#include "server/db/db_bundle.h"
#include "server/db/db_decision.h"
#include "server/db/db_exception.h"
#include "server/db/db_org.h"
#include "server/db/db_outbox.h"
#include "server/db/db_policy.h"
#include "server/db/db_ran.h"
#include "server/db/db_request.h"
#include "server/db/db_restore.h"
#include "server/db/db_scan.h"
#include "server/db/db_status.h"
#include "server/db/db_unlock.h"
#include "tests/server/db/store.h"
#include "tests/support/fault.h"

#define UNTOUCHED ((void *)(uintptr_t)0x5a)

/* --- the operations, on the store that prepare() makes --- */

struct at {
	struct db_conn *conn;
	struct arena *arena;
	struct err *err;
};

static int policy_put(const struct at *at)
{
	return db_policy_put(at->conn,
			     &(struct db_policy){.version = 2,
						 .source = "policy: 1",
						 .author = "ada",
						 .note = "",
						 .created_ms = T0},
			     at->err);
}

static int policy_next(const struct at *at)
{
	uint64_t next = 77;
	int rc = db_policy_next(at->conn, &next, at->err);

	assert_int_equal(next, rc < 0 ? 77 : 2);
	return rc;
}

static int policy_get(const struct at *at)
{
	struct db_policy got = {.source = UNTOUCHED};
	int rc = db_policy_get(at->conn, 0, at->arena, &got, at->err);

	if (rc < 0)
		assert_ptr_equal(got.source, UNTOUCHED);
	else
		assert_string_equal(got.source, "policy: 1");
	return rc;
}

static int policy_delivery(const struct at *at)
{
	struct db_delivery got = {.machines = 77};
	int rc = db_policy_delivery(at->conn, 1, &got, at->err);

	assert_int_equal(got.machines, rc < 0 ? 77 : 1);
	return rc;
}

/* Lists: what they give is a pointer and how many. */
#define LIST(name, type, found, call)                                                              \
	static int name(const struct at *at)                                                       \
	{                                                                                          \
		type *list = UNTOUCHED;                                                            \
		size_t n = 77;                                                                     \
		int rc = call;                                                                     \
                                                                                                   \
		if (rc < 0)                                                                        \
			assert_ptr_equal(list, UNTOUCHED);                                         \
		assert_int_equal(n, rc < 0 ? 77 : found);                                          \
		return rc;                                                                         \
	}

static const struct uuid machine = {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
static const struct uuid env = {{2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}};

LIST(policy_list, struct db_policy, 1,
     db_policy_list(at->conn, NULL, 10, at->arena, &list, &n, at->err))
LIST(evidence_rules, struct db_rule_evidence, 1,
     db_evidence_rules(at->conn, at->arena, &list, &n, at->err))
LIST(evidence_environments, struct db_env_evidence, 1,
     db_evidence_environments(at->conn, "rule", "old", NULL, 10, at->arena, &list, &n, at->err))
LIST(exception_list, struct db_exception, 1,
     db_exception_list(at->conn, &(struct db_exception_filter){.rule = "old"}, NULL, 10, at->arena,
		       &list, &n, at->err))
LIST(exception_of_machine, struct exception, 1,
     db_exception_of_machine(at->conn, &machine, T0, at->arena, &list, &n, at->err))
LIST(request_list, struct db_request, 1,
     db_request_list(at->conn, &(struct db_request_filter){0}, NULL, 10, at->arena, &list, &n,
		     at->err))
LIST(request_of_machine, struct db_request, 1,
     db_request_of_machine(at->conn, &machine, T0, at->arena, &list, &n, at->err))
LIST(unlock_list, struct db_unlock, 1,
     db_unlock_list(at->conn, &env, 10, at->arena, &list, &n, at->err))
LIST(status_list, struct status_entry, 1,
     db_status_list(at->conn, &machine, T0, at->arena, &list, &n, at->err))
LIST(report_list, struct db_bundle_report, 1,
     db_bundle_report_list(at->conn, &machine, at->arena, &list, &n, at->err))
LIST(outbox_poll, struct db_outbox, 3,
     db_outbox_poll(at->conn, 0, 3, at->arena, &list, &n, at->err))

static int decision_put(const struct at *at)
{
	static const struct db_reason reasons[] = {
		{.kind = "rule", .rule = "new", .action = ACTION_WARN, .package = ""},
		{.kind = "rule", .rule = "other", .action = ACTION_WARN, .package = "b 2"}};

	return db_decision_put(at->conn,
			       &(struct db_decision){.machine = machine,
						     .environment = env,
						     .action = ACTION_WARN,
						     .case_code = "EW-ABCD",
						     .decided_ms = T0,
						     .received_ms = T0,
						     .reasons = reasons,
						     .n_reasons = ARRAY_SIZE(reasons)},
			       at->err);
}

static int decision_get(const struct at *at)
{
	struct db_decision got = {.case_code = UNTOUCHED};
	int rc = db_decision_get(at->conn, &machine, &env, at->arena, &got, at->err);

	if (rc < 0)
		assert_ptr_equal(got.case_code, UNTOUCHED);
	else
		assert_int_equal(got.n_reasons, 1);
	return rc;
}

static struct db_exception exception_of(unsigned char n)
{
	return (struct db_exception){.id = id_of(n),
				     .environment = env,
				     .rule = "old",
				     .package = "",
				     .owner = "",
				     .ticket = "",
				     .reason = "why",
				     .expires_ms = T0 + 1000,
				     .granted_by = "ada"};
}

static int exception_grant(const struct at *at)
{
	struct db_exception x = exception_of(60);

	return db_exception_grant(at->conn, &x, T0, at->err);
}

static int exception_revoke(const struct at *at)
{
	struct uuid id = id_of(50);

	return db_exception_revoke(at->conn, &id, "ada", T0, at->err);
}

static struct db_request request_of(unsigned char n)
{
	return (struct db_request){.id = id_of(n),
				   .machine = machine,
				   .environment = env,
				   .user = "ana",
				   .reason = "why",
				   .case_code = "EW-ABCD",
				   .made_ms = T0,
				   .received_ms = T0};
}

static int request_put(const struct at *at)
{
	struct db_request r = request_of(61);
	bool created = false;

	return db_request_put(at->conn, &r, &created, at->err);
}

static int request_get(const struct at *at)
{
	struct uuid id = id_of(51);
	struct db_request got = {.user = UNTOUCHED};
	int rc = db_request_get(at->conn, &id, at->arena, &got, at->err);

	if (rc < 0)
		assert_ptr_equal(got.user, UNTOUCHED);
	return rc;
}

static int request_answer(const struct at *at)
{
	struct uuid id = id_of(51);

	return db_request_answer(at->conn, &id, DB_REQUEST_DENIED, "no", "ada", T0, at->err);
}

static int unlock_issue(const struct at *at)
{
	unsigned char key[UNLOCK_KEY_SIZE];
	struct db_unlock unlock = {.machine = machine,
				   .environment = env,
				   .expires_ms = T0 + 1000,
				   .reason = "why",
				   .issued_by = "ada",
				   .issued_ms = T0};

	return db_unlock_issue(at->conn, &unlock, key, at->err);
}

static int unlock_revoke(const struct at *at)
{
	int64_t n;

	return db_unlock_revoke(at->conn, &env, "ada", T0, &n, at->err);
}

static int unlock_revoked(const struct at *at)
{
	const unsigned char *serials = UNTOUCHED;
	size_t bytes = 77;
	int rc = db_unlock_revoked(at->conn, &machine, T0, at->arena, &serials, &bytes, at->err);

	if (rc < 0)
		assert_ptr_equal(serials, UNTOUCHED);
	return rc;
}

static int status_set(const struct at *at)
{
	return db_status_set(
		at->conn,
		&(struct status_entry){.environment = env, .action = ACTION_WARN, .message = "why"},
		"ada", T0, at->err);
}

static int bundle_put(const struct at *at)
{
	return db_bundle_put(at->conn,
			     &(struct db_bundle){.role = "policy",
						 .version = 2,
						 .data = (const unsigned char *)"body",
						 .n = 4,
						 .created_ms = T0},
			     at->err);
}

static int bundle_get(const struct at *at)
{
	struct db_bundle got = {.data = UNTOUCHED};
	int rc = db_bundle_get(at->conn, "policy", NULL, 0, at->arena, &got, at->err);

	if (rc < 0)
		assert_ptr_equal(got.data, UNTOUCHED);
	return rc;
}

static int ran_put(const struct at *at)
{
	static const char *const why[] = {"rule old", "status"};

	return db_ran_put(at->conn,
			  &(struct db_ran){.machine = machine,
					   .environment = env,
					   .uid = 1000,
					   .user = "ana",
					   .case_code = "EW-ABCD",
					   .reasons = why,
					   .n_reasons = 2,
					   .first_ms = T0,
					   .last_ms = T0,
					   .programs = 1,
					   .received_ms = T0},
			  at->err);
}

static int ran_list(const struct at *at)
{
	struct db_ran *list = UNTOUCHED;
	size_t n = 77;
	int rc = db_ran_list(at->conn, &(struct db_ran_filter){.rule = "old"}, NULL, 10, at->arena,
			     &list, &n, at->err);

	if (rc == 0) {
		assert_int_equal(n, 1);
		assert_int_equal(list[0].n_reasons, 2);
	} else {
		assert_ptr_equal(list, UNTOUCHED);
	}
	return rc;
}

static int report_put(const struct at *at)
{
	return db_bundle_report_put(at->conn,
				    &(struct db_bundle_report){.machine = machine,
							       .role = "status",
							       .version = 1,
							       .active = true,
							       .reason = "",
							       .at_ms = T0},
				    at->err);
}

static int scan_all(const struct at *at)
{
	struct db_scan_env *list = UNTOUCHED;
	struct db_scan *scan = NULL;
	size_t n = 77;
	int rc = db_scan_new(&scan, at->err);

	if (rc == 0)
		rc = db_scan_next(at->conn, scan, T0, 10, at->arena, &list, &n, at->err);
	if (rc == 0) {
		assert_int_equal(n, 1);
		assert_int_equal(list[0].facts.n_packages, 2);
		assert_int_equal(list[0].n_granted, 1);
	} else {
		assert_ptr_equal(list, UNTOUCHED);
	}
	db_scan_free(scan);
	return rc;
}

static int draft_put(const struct at *at)
{
	static const unsigned char hash[SHA256_SIZE] = {9};

	return db_policy_draft_put(at->conn, hash,
				   &(struct db_policy){.version = 2,
						       .source = "policy: 1",
						       .author = "ada",
						       .note = "",
						       .created_ms = T0},
				   at->err);
}

static int draft_get(const struct at *at)
{
	static const unsigned char hash[SHA256_SIZE] = {8};
	struct db_policy got = {.source = UNTOUCHED};
	int rc = db_policy_draft_get(at->conn, hash, at->arena, &got, at->err);

	if (rc < 0)
		assert_ptr_equal(got.source, UNTOUCHED);
	else
		assert_string_equal(got.source, "policy: 1");
	return rc;
}

static int policy_raise(const struct at *at)
{
	return db_policy_raise(at->conn, 9, at->err);
}

static int restore(const struct at *at)
{
	struct db_restored got = {.epoch = 77};
	int rc = db_restore(at->conn, T0, &got, at->err);

	assert_int_equal(got.epoch, rc < 0 ? 77 : 2);
	return rc;
}

static const struct op {
	const char *name;
	int (*run)(const struct at *at);
	const char *table; /* that it can't do without */
	bool writes;
} ops[] = {
	{"policy_put", policy_put, "policy", true},
	{"policy_next", policy_next, "policy", false},
	{"policy_get", policy_get, "policy", false},
	{"policy_list", policy_list, "policy", false},
	{"policy_delivery", policy_delivery, "bundle_report", false},
	{"decision_put", decision_put, "evidence", true},
	{"decision_get", decision_get, "evidence", false},
	{"evidence_rules", evidence_rules, "evidence", false},
	{"evidence_environments", evidence_environments, "evidence", false},
	{"ran_put", ran_put, "ran", true},
	{"ran_list", ran_list, "ran", false},
	{"exception_grant", exception_grant, "exception", true},
	{"exception_revoke", exception_revoke, "exception", true},
	{"exception_list", exception_list, "exception", false},
	{"exception_of_machine", exception_of_machine, "exception", false},
	{"request_put", request_put, "exception_request", true},
	{"request_get", request_get, "exception_request", false},
	{"request_answer", request_answer, "exception_request", true},
	{"request_list", request_list, "exception_request", false},
	{"request_of_machine", request_of_machine, "exception_request", false},
	{"unlock_issue", unlock_issue, "unlock_code", true},
	{"unlock_revoke", unlock_revoke, "unlock_code", true},
	{"unlock_revoked", unlock_revoked, "unlock_code", false},
	{"unlock_list", unlock_list, "unlock_code", false},
	{"status_set", status_set, "env_status", true},
	{"status_list", status_list, "env_status", false},
	{"bundle_put", bundle_put, "bundle", true},
	{"bundle_get", bundle_get, "bundle", false},
	{"report_put", report_put, "bundle_report", true},
	{"report_list", report_list, "bundle_report", false},
	{"outbox_poll", outbox_poll, "outbox", false},
	{"draft_put", draft_put, "policy_draft", true},
	{"draft_get", draft_get, "policy_draft", false},
	{"policy_raise", policy_raise, "organisation", true},
	{"restore", restore, "restore", true},
	{"scan", scan_all, "env_pkg", false},
};

/* --- the store they work on --- */

static void prepare(struct store *s)
{
	static const char *const packages[] = {"zlib=1.3", "openssl=3.1", NULL};
	static const struct db_reason block = {
		.kind = "rule", .rule = "old", .action = ACTION_BLOCK, .package = "a 1"};
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct at at = {s->conn, &s->arena, &s->err};
	struct db_exception x = exception_of(50);
	struct db_request r = request_of(51);
	bool created;

	env_make(s, &w, 2, "/envs/x", packages);
	assert_int_equal(db_policy_put(s->conn,
				       &(struct db_policy){.version = 1,
							   .source = "policy: 1",
							   .author = "ada",
							   .note = "",
							   .created_ms = T0},
				       &s->err),
			 0);
	assert_int_equal(db_bundle_put(s->conn,
				       &(struct db_bundle){.role = "policy",
							   .version = 1,
							   .data = (const unsigned char *)"old",
							   .n = 3},
				       &s->err),
			 0);
	assert_int_equal(db_exception_grant(s->conn, &x, T0, &s->err), 0);
	assert_int_equal(db_request_put(s->conn, &r, &created, &s->err), 0);
	assert_int_equal(db_policy_draft_put(s->conn, (const unsigned char[SHA256_SIZE]){8},
					     &(struct db_policy){.version = 2,
								 .source = "policy: 1",
								 .author = "ada",
								 .note = "",
								 .created_ms = T0},
					     &s->err),
			 0);
	assert_int_equal(unlock_issue(&at), 0);
	assert_int_equal(status_set(&at), 0);
	assert_int_equal(ran_put(&at), 0);
	assert_int_equal(report_put(&at), 0);
	assert_int_equal(db_decision_put(s->conn,
					 &(struct db_decision){.machine = machine,
							       .environment = env,
							       .action = ACTION_BLOCK,
							       .case_code = "EW-ABCD",
							       .decided_ms = T0,
							       .received_ms = T0,
							       .reasons = &block,
							       .n_reasons = 1},
					 &s->err),
			 0);
	store_commit(s);
}

/* --- memory --- */

struct fault {
	struct store *store;
	const struct op *op;
};

static int fault_body(void *ctx)
{
	const struct fault *f = ctx;
	struct arena arena;
	int rc = db_savepoint(f->store->conn, NULL);

	if (rc < 0)
		return rc;
	arena_init(&arena, 16U << 20);
	rc = f->op->run(&(struct at){f->store->conn, &arena, NULL});
	arena_deinit(&arena);
	/* Whatever it did is taken back, so that every run begins alike. */
	if (db_savepoint_undo(f->store->conn, NULL) < 0) {
		db_rollback(f->store->conn);
		if (db_begin(f->store->conn, NULL) < 0)
			return ERR_NOMEM;
	}
	return rc;
}

static void test_out_of_memory(void **state)
{
	struct store *s = *state;

	prepare(s);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct fault fault = {.store = s, .op = &ops[i]};

		print_message("%s\n", ops[i].name);
		(void)fault_each_alloc(fault_body, &fault, 0);
	}
}

/* --- a store that fails --- */

static void rename_table(const char *path, const char *from, const char *to)
{
	char text[128];
	sqlite3 *db = NULL;

	(void)snprintf(text, sizeof(text), "ALTER TABLE %s RENAME TO %s", from, to);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* The statements were good when they were prepared, and their table is no more. */
static void test_failing_statements(void **state)
{
	struct store *s = *state;

	prepare(s);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct err err = ERR_INIT;
		int rc;

		assert_int_equal(db_savepoint(s->conn, NULL), 0);
		assert_int_equal(ops[i].run(&(struct at){s->conn, &s->arena, &err}), 0);
		assert_int_equal(db_savepoint_undo(s->conn, NULL), 0);
		db_rollback(s->conn);
		rename_table(s->path, ops[i].table, "away");
		assert_int_equal(db_begin(s->conn, NULL), 0);
		assert_int_equal(db_savepoint(s->conn, NULL), 0);
		rc = ops[i].run(&(struct at){s->conn, &s->arena, &err});
		if (rc >= 0 || err.text[0] == '\0')
			fail_msg("%s: %d \"%s\"", ops[i].name, rc, err.text);
		db_rollback(s->conn);
		rename_table(s->path, "away", ops[i].table);
		assert_int_equal(db_begin(s->conn, NULL), 0);
	}
}

static void test_readers(void **state)
{
	struct store *s = *state;
	struct db_conn *reader = NULL;

	prepare(s);
	db_rollback(s->conn);
	assert_int_equal(db_conn_open(s->db, false, &reader, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct err err = ERR_INIT;
		int rc;

		assert_int_equal(db_begin(reader, NULL), 0);
		rc = ops[i].run(&(struct at){reader, &s->arena, &err});
		if (rc != (ops[i].writes ? ERR_PERM : 0))
			fail_msg("%s: %d \"%s\"", ops[i].name, rc, err.text);
		db_rollback(reader);
	}
	db_conn_close(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_out_of_memory, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_failing_statements, store_setup,
						store_teardown),
		cmocka_unit_test_setup_teardown(test_readers, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
