#include "server/db/db_outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/server/db/store.h"

static size_t poll_after(struct store *s, uint64_t after, struct db_outbox **out)
{
	size_t n;

	assert_int_equal(db_outbox_poll(s->conn, after, 100, &s->arena, out, &n, &s->err), 0);
	return n;
}

static void add(struct store *s, enum db_outbox_kind kind, unsigned char machine)
{
	struct uuid id = id_of(machine);

	assert_int_equal(db_outbox_add(s->conn, kind, &id, T0, &s->err), 0);
}

static void test_order(void **state)
{
	struct store *s = *state;
	struct db_outbox *rows;
	uint64_t head;

	add(s, DB_OUTBOX_STATUS, 1);
	add(s, DB_OUTBOX_STATUS, 1); /* told once */
	add(s, DB_OUTBOX_MACHINE, 2);
	assert_int_equal(poll_after(s, 0, &rows), 0); /* not before the commit */
	store_commit(s);
	assert_int_equal(poll_after(s, 0, &rows), 2);
	assert_int_equal(rows[0].seq, 1);
	assert_int_equal(rows[0].kind, DB_OUTBOX_STATUS);
	assert_int_equal(rows[1].seq, 2);
	assert_int_equal(rows[1].machine.b[0], 2);
	add(s, DB_OUTBOX_STATUS, 1);
	store_commit(s);
	assert_int_equal(poll_after(s, 2, &rows), 1);
	assert_int_equal(db_outbox_head(s->conn, &head, &s->err), 0);
	assert_int_equal(head, 3);
	assert_int_equal(db_outbox_prune(s->conn, T0 + 1, &s->err), 0);
	assert_int_equal(poll_after(s, 0, &rows), 0);
	add(s, DB_OUTBOX_CHANGES, 1);
	store_commit(s);
	assert_int_equal(poll_after(s, 3, &rows), 1);
	assert_int_equal(rows[0].seq, 4); /* numbers go on */
}

static void test_undone(void **state)
{
	struct store *s = *state;
	struct db_outbox *rows;
	uint64_t head;

	add(s, DB_OUTBOX_STATUS, 1);
	assert_int_equal(db_savepoint(s->conn, &s->err), 0);
	add(s, DB_OUTBOX_STATUS, 2);
	assert_int_equal(db_savepoint_undo(s->conn, &s->err), 0);
	store_commit(s);
	assert_int_equal(poll_after(s, 0, &rows), 1);
	add(s, DB_OUTBOX_STATUS, 3);
	db_rollback(s->conn);
	assert_int_equal(db_begin(s->conn, &s->err), 0);
	store_commit(s);
	assert_int_equal(db_outbox_head(s->conn, &head, &s->err), 0);
	assert_int_equal(head, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_undone, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
