#include "server/db/db_decision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/server/db/store.h"

static const struct db_reason block = {
	.kind = "rule", .rule = "old", .action = ACTION_BLOCK, .package = "a 1", .packages = 1};
static const struct db_reason warning = {
	.kind = "rule", .rule = "new", .action = ACTION_WARN, .package = "", .packages = 0};
static const struct db_reason would = {.kind = "rule",
				       .rule = "trial",
				       .action = ACTION_BLOCK,
				       .monitored = true,
				       .package = "b 2",
				       .packages = 1};

static void put(struct store *s, const struct uuid *machine, const struct db_reason *reasons,
		size_t n, struct db_counters counters)
{
	struct db_decision d = {.machine = *machine,
				.environment = id_of(1),
				.action = n ? reasons[0].action : ACTION_ALLOW,
				.case_code = "EW-ABCD",
				.policy_version = 3,
				.decided_ms = T0,
				.received_ms = T0 + counters.checks,
				.counters = counters,
				.reasons = reasons,
				.n_reasons = n};

	assert_int_equal(db_decision_put(s->conn, &d, &s->err), 0);
}

static struct db_rule_evidence of_rule(struct store *s, const char *rule)
{
	struct db_rule_evidence *list;
	size_t n;

	assert_int_equal(db_evidence_rules(s->conn, &s->arena, &list, &n, &s->err), 0);
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].rule, rule) == 0)
			return list[i];
	return (struct db_rule_evidence){.rule = ""};
}

static void test_evidence(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct uuid machine = w.machine, env = id_of(1);
	struct db_env_evidence *list;
	struct db_decision d;
	size_t n;

	env_make(s, &w, 1, "/envs/x", NULL);
	assert_int_equal(db_decision_get(s->conn, &machine, &env, &s->arena, &d, &s->err),
			 ERR_NOTFOUND);
	/* Told together, in any order: each rule is there once. */
	put(s, &machine, (const struct db_reason[]){block, warning, block, would}, 4,
	    (struct db_counters){.checks = 1, .refusals = 2});
	assert_int_equal(db_decision_get(s->conn, &machine, &env, &s->arena, &d, &s->err), 0);
	assert_int_equal(d.action, ACTION_BLOCK);
	assert_int_equal(d.n_reasons, 3);
	assert_string_equal(d.reasons[0].rule, "old");
	assert_int_equal(d.reasons[0].packages, 2);
	assert_int_equal(d.reasons[0].counters.refusals, 2); /* first report: whose else */
	assert_int_equal(d.reasons[1].counters.refusals, 0);
	assert_true(d.reasons[2].monitored);
	/* What is counted later goes to those who held. */
	put(s, &machine, &warning, 1,
	    (struct db_counters){.checks = 5, .refusals = 5, .runs_after_block = 1});
	assert_int_equal(of_rule(s, "old").counters.refusals, 5);
	assert_int_equal(of_rule(s, "old").counters.runs_after_block, 1);
	assert_int_equal(of_rule(s, "old").environments, 0);
	assert_int_equal(of_rule(s, "old").lifted, 1);
	assert_int_equal(of_rule(s, "new").environments, 1);
	assert_int_equal(of_rule(s, "new").first_ms, T0 + 1); /* it held all the time */
	/* A new store of the agent's counts from 0. */
	put(s, &machine, &warning, 1, (struct db_counters){.checks = 1, .warnings = 2});
	assert_int_equal(of_rule(s, "new").counters.warnings, 2);
	assert_int_equal(db_evidence_environments(s->conn, "rule", "old", NULL, 10, &s->arena,
						  &list, &n, &s->err),
			 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].prefix, "/envs/x");
	assert_int_equal(list[0].reason.lifted_ms, T0 + 5);
}

/* The decision goes with the environment, the evidence stays. */
static void test_deleted(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct uuid env = id_of(1);
	struct change c;
	struct db_decision d;

	env_make(s, &w, 1, "/envs/x", NULL);
	put(s, &w.machine, &block, 1, (struct db_counters){.refusals = 2});
	c = change_of(CHANGE_DELETED, 1, "/envs/x");
	assert_int_equal(journal_write(s, &w, &c), 0);
	assert_int_equal(db_decision_get(s->conn, &w.machine, &env, &s->arena, &d, &s->err),
			 ERR_NOTFOUND);
	assert_int_equal(of_rule(s, "old").environments, 0);
	assert_int_equal(of_rule(s, "old").counters.refusals, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_evidence, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_deleted, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
