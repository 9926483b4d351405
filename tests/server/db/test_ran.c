#include "server/db/db_ran.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/server/db/store.h"

static const char *const why[] = {"rule old-openssl", "status"};

static struct db_ran told(const struct uuid *machine, unsigned char env, int64_t uid,
			  int64_t first_ms)
{
	return (struct db_ran){.machine = *machine,
			       .environment = id_of(env),
			       .uid = uid,
			       .user = "ana",
			       .case_code = "EW-AAAA",
			       .reasons = why,
			       .n_reasons = 2,
			       .first_ms = first_ms,
			       .last_ms = first_ms,
			       .programs = 1,
			       .received_ms = T0};
}

static void put(struct store *s, const struct db_ran *ran)
{
	assert_int_equal(db_ran_put(s->conn, ran, &s->err), 0);
}

static struct db_ran *list(struct store *s, const struct db_ran_filter *filter, size_t *n)
{
	static const struct db_ran_filter any = {.since_ms = 0};
	struct db_ran *out = NULL;

	assert_int_equal(db_ran_list(s->conn, filter ? filter : &any, NULL, 1000, &s->arena, &out,
				     n, &s->err),
			 0);
	return out;
}

static size_t count(struct store *s, const struct db_ran_filter *filter)
{
	size_t n;

	(void)list(s, filter, &n);
	return n;
}

/* Told once or a hundred times, in whatever order: one row, the highest numbers. */
static void test_told_again(void **state)
{
	struct store *s = *state;
	struct uuid machine = store_machine(s, 1);
	struct db_ran ran = told(&machine, 1, 1000, T0 - 9000), *rows;
	size_t n;

	put(s, &ran);
	ran.programs = 3;
	ran.shells = 2;
	ran.repairs = 1;
	ran.last_ms = T0 - 10;
	ran.user = "";
	put(s, &ran);
	put(s, &ran);
	ran.programs = 2; /* late */
	ran.last_ms = T0 - 500;
	put(s, &ran);
	rows = list(s, NULL, &n);
	assert_int_equal(n, 1);
	assert_int_equal(rows->programs, 3);
	assert_int_equal(rows->shells, 2);
	assert_int_equal(rows->repairs, 1);
	assert_int_equal(rows->first_ms, T0 - 9000);
	assert_int_equal(rows->last_ms, T0 - 10);
	assert_string_equal(rows->user, "ana");
	assert_string_equal(rows->hostname, "host-1");
	assert_string_equal(rows->prefix, "");
	assert_int_equal(rows->n_reasons, 2);
	assert_string_equal(rows->reasons[0], why[0]);
	assert_string_equal(rows->reasons[1], why[1]);
	/* Each of these names another row. */
	ran.case_code = "EW-BBBB";
	put(s, &ran);
	ran.uid = 1001;
	put(s, &ran);
	ran.first_ms++;
	put(s, &ran);
	assert_int_equal(count(s, NULL), 4);
}

static void test_filters_and_pages(void **state)
{
	struct store *s = *state;
	struct uuid machines[] = {store_machine(s, 1), store_machine(s, 2)}, one = id_of(1);
	static const char *const mild[] = {"rule old"};
	struct db_ran *page;
	struct db_cursor after = {.set = false};
	size_t n, seen = 0;

	for (unsigned i = 0; i < 10; i++) {
		struct db_ran ran = told(&machines[i % 2], (unsigned char)(i % 5), 1000, T0 - i);

		if (i == 4) {
			ran.reasons = mild;
			ran.n_reasons = 1;
			ran.user = "bob";
		}
		put(s, &ran);
	}
	assert_int_equal(count(s, &(struct db_ran_filter){.machine = &machines[0]}), 5);
	assert_int_equal(count(s, &(struct db_ran_filter){.hostname = "host-2"}), 5);
	assert_int_equal(count(s, &(struct db_ran_filter){.hostname = "host"}), 0);
	assert_int_equal(count(s, &(struct db_ran_filter){.environment = &one}), 2);
	assert_int_equal(count(s, &(struct db_ran_filter){.rule = "old-openssl"}), 9);
	assert_int_equal(count(s, &(struct db_ran_filter){.rule = "old"}), 1);
	assert_int_equal(count(s, &(struct db_ran_filter){.rule = "openssl"}), 0);
	assert_int_equal(count(s, &(struct db_ran_filter){.user = "bob"}), 1);
	assert_int_equal(count(s, &(struct db_ran_filter){.since_ms = T0 - 2}), 3);
	do {
		assert_int_equal(db_ran_list(s->conn, &(struct db_ran_filter){.since_ms = 0},
					     &after, 3, &s->arena, &page, &n, &s->err),
				 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(page[i].first_ms, T0 - 9 + (int64_t)seen++);
		if (n > 0)
			after = (struct db_cursor){.set = true, .id = page[n - 1].row};
	} while (n > 0);
	assert_int_equal(seen, 10);
}

/* Nothing that is told can move a cursor, pass for another line, or lie in the future. */
static void test_hostile(void **state)
{
	struct store *s = *state;
	struct uuid machine = store_machine(s, 1), none = id_of(9);
	static const char *const lines[] = {"rule a\nrule b", "\x1b[2J", ""};
	static char longest[1025];
	const char *const long_line[] = {longest, "status"};
	struct db_ran ran = told(&machine, 1, 1000, INT64_MAX - 1), *rows;
	size_t n;

	ran.last_ms = INT64_MAX;
	ran.user = "a\x1b]0;x\a\nb";
	ran.reasons = lines;
	ran.n_reasons = 3;
	put(s, &ran);
	rows = list(s, NULL, &n);
	assert_int_equal(n, 1);
	assert_int_equal(rows->last_ms, T0);
	assert_int_equal(rows->first_ms, T0);
	for (const char *p = rows->user; *p; p++)
		assert_true((unsigned char)*p >= 0x20);
	for (size_t i = 0; i < rows->n_reasons; i++)
		for (const char *p = rows->reasons[i]; *p; p++)
			assert_true((unsigned char)*p >= 0x20);
	assert_int_equal(count(s, &(struct db_ran_filter){.rule = "b"}), 0);
	/* A reason that is too long is left out, and nothing else with it. */
	memset(longest, 'x', sizeof(longest) - 1);
	ran = told(&machine, 2, 1000, T0);
	ran.reasons = long_line;
	put(s, &ran);
	rows = list(s, NULL, &n);
	assert_string_equal(rows[0].reasons[rows[0].n_reasons - 1], "status");
	ran.uid = -1;
	assert_int_equal(db_ran_put(s->conn, &ran, &s->err), ERR_INVALID);
	ran = told(&machine, 1, 1, 0);
	assert_int_equal(db_ran_put(s->conn, &ran, &s->err), ERR_INVALID);
	ran = told(&machine, 1, 1, T0);
	ran.last_ms = T0 - 1;
	assert_int_equal(db_ran_put(s->conn, &ran, &s->err), ERR_INVALID);
	ran = told(&none, 1, 1, T0);
	assert_int_equal(db_ran_put(s->conn, &ran, &s->err), ERR_NOTFOUND);
	ran = told(&machine, 1, 1, T0);
	ran.user = longest;
	assert_int_equal(db_ran_put(s->conn, &ran, &s->err), ERR_LIMIT);
}

/* However much one machine or account tells, it fills no disk, and drives out nobody else's. */
static void test_bounds(void **state)
{
	struct store *s = *state;
	struct uuid machine = store_machine(s, 1);
	struct db_ran victim = told(&machine, 1, 7, T0 - 99999), ran, *rows;
	size_t n;
	int64_t told_n = 1;

	put(s, &victim);
	for (int i = 0; i < DB_RAN_EACH_MAX + 5; i++) {
		ran = told(&machine, 1, 1000, T0 - 1000 + i);
		put(s, &ran);
	}
	rows = list(s, NULL, &n);
	assert_int_equal(n, 1 + DB_RAN_EACH_MAX);
	assert_int_equal(rows[n - 1].uid, 7);
	assert_int_equal(rows[n - 2].first_ms, T0 - 1000 + 5);
	told_n += DB_RAN_EACH_MAX;
	for (int64_t i = 0; told_n < DB_RAN_MACHINE_MAX; i++, told_n++) {
		ran = told(&machine, 2, 1001 + i, T0 - 5000 + i);
		put(s, &ran);
	}
	/* Full: an account with a row gives that up, one without gets none. */
	ran = told(&machine, 3, 1001, T0);
	put(s, &ran);
	ran = told(&machine, 3, 999999, T0);
	assert_int_equal(db_ran_put(s->conn, &ran, &s->err), ERR_LIMIT);
	put(s, &victim); /* what is there may go on */
	assert_int_equal(count(s, &(struct db_ran_filter){.since_ms = T0}), 1);
	/* Another machine has room of its own. */
	machine = store_machine(s, 2);
	ran = told(&machine, 3, 999999, T0);
	put(s, &ran);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_told_again, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_filters_and_pages, store_setup,
						store_teardown),
		cmocka_unit_test_setup_teardown(test_hostile, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_bounds, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
