/* What happens while decisions are being made, and to those that take long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/decisions_impl.h"
#include "tests/agent/decisions_world.h"

/* Under way, read, and not made yet. */
static struct decisions_step *begun(struct world *w)
{
	struct decisions_step *step = w->step;

	assert_non_null(step);
	w->step = NULL;
	decisions_load(step, w->f->store);
	return step;
}

/* What is being decided by rules that count no longer ends at once, without a word. */
static void other_rules_meanwhile(void **state)
{
	struct world *w = *state;
	struct decisions_step *step;
	struct rule rule = world_openssl_rule();
	struct env *env;

	world_say_status(w, NULL, 0, 0);
	env = world_see(w, "/envs/a", 1, "openssl=1.0");
	(void)world_turn(w);
	world_use_rules(w, &rule, 1);
	step = w->step;
	w->step = NULL;
	decisions_load(step, w->f->store);
	rule.action = ACTION_WARN;
	world_use_rules(w, &rule, 1);
	assert_null(w->step);
	decisions_make(step);
	decisions_done(w->d, step);
	assert_int_equal(w->made, 0);
	assert_int_equal(world_turn(w), 1);
	assert_int_equal(ruling_action(&env->ruling), ACTION_WARN);

	/* Other statuses do not end it: they come often, and it is right by the rules. */
	rule.action = ACTION_BLOCK;
	world_use_rules(w, &rule, 1);
	step = w->step;
	w->step = NULL;
	decisions_load(step, w->f->store);
	world_say_status(w, NULL, 0, 0);
	decisions_make(step);
	decisions_done(w->d, step);
	assert_int_equal(w->made, 1);
	(void)world_turn(w);
	assert_int_equal(ruling_action(&env->ruling), ACTION_BLOCK);

	/* That nothing is asked of anybody any more does. */
	w->made = 0;
	decisions_again(w->d, env);
	step = w->step;
	w->step = NULL;
	decisions_load(step, w->f->store);
	w->orders.logging = false;
	decisions_orders(w->d, &w->orders);
	decisions_make(step);
	decisions_done(w->d, step);
	assert_int_equal(w->made, 1); /* allowed, and nothing before */
	assert_int_equal(ruling_action(&env->ruling), ACTION_ALLOW);
	world_say_status(w, NULL, 0, 0);
	(void)world_turn(w);
	assert_int_equal(ruling_action(&env->ruling), ACTION_BLOCK);

	decisions_again(w->d, env);
	step = w->step;
	w->step = NULL;
	decisions_cancel(w->d);
	decisions_load(step, w->f->store);
	decisions_make(step);
	w->refuse = true;
	decisions_done(w->d, step);
	assert_int_equal(w->made, 0);
	assert_true(env->ruling.due);
	assert_int_equal(ruling_action(&env->ruling), ACTION_BLOCK);
	w->refuse = false;
}

/* News come while it is being decided by what is too old. */
static void fresh_meanwhile(void **state)
{
	struct world *w = *state;
	struct decisions_step *step;
	struct env *env;

	world_say_status(w, NULL, 0, 0);
	(void)world_turn(w);
	w->orders.acked = 100;
	w->orders.rules = world_rulebook(NULL, 0, 1);
	w->orders.fresh_until_ms = NOW - 1;
	decisions_orders(w->d, &w->orders);
	(void)world_turn(w);
	env = world_see(w, "/envs/a", 1, "openssl=1.0");
	step = begun(w);
	w->orders.fresh_until_ms = INT64_MAX;
	decisions_orders(w->d, &w->orders);
	decisions_make(step);
	decisions_done(w->d, step);
	(void)world_turn(w);
	env = envs_by_path(&w->envs, "/envs/a");
	assert_int_equal(ruling_action(&env->ruling), ACTION_ALLOW);
}

/* It changes while it is being decided and somebody waits: it still comes first. */
static void urgent_meanwhile(void **state)
{
	struct world *w = *state;
	struct decisions_step *step;
	struct env *env;

	world_say_status(w, NULL, 0, 0);
	for (unsigned i = 0; i < 2 * STEP_ITEMS; i++) {
		char prefix[32];

		(void)snprintf(prefix, sizeof prefix, "/envs/e%02u", i);
		(void)world_see(w, prefix, i + 1, "openssl=1.0");
		(void)world_turn(w);
	}
	for (unsigned i = 0; i < 2 * STEP_ITEMS; i += 2 * STEP_ITEMS - 1) {
		char prefix[32];

		(void)snprintf(prefix, sizeof prefix, "/envs/e%02u", i);
		env = envs_by_path(&w->envs, prefix);
		decisions_again(w->d, env);
		step = begun(w);
		world_make_all_due(w);
		decisions_want(w->d, env);
		decisions_make(step);
		decisions_done(w->d, step);
		assert_true(env->ruling.deciding);
		(void)world_turn(w);
	}
}

/* One that takes long is put off for another that somebody waits for; not for ever. */
static void put_off(void **state)
{
	struct world *w = *state;
	struct rule rule = world_openssl_rule();
	struct env *slow, *other;
	unsigned times = 0;

	world_say_status(w, NULL, 0, 0);
	world_use_rules(w, &rule, 1);
	(void)world_see(w, "/envs/a", 1, "openssl=1.0");
	(void)world_see(w, "/envs/b", 2, "openssl=3.0");
	(void)world_turn(w);
	slow = envs_by_path(&w->envs, "/envs/a");
	other = envs_by_path(&w->envs, "/envs/b");
	decisions_want(w->d, slow);
	for (;;) {
		struct decisions_step *step = begun(w);

		assert_true(slow->ruling.deciding);
		assert_false(other->ruling.deciding);
		decisions_want(w->d, slow); /* who waits for itself does not end it */
		assert_false(atomic_load(&step->canceled));
		atomic_store(&step->began_ns, 1);
		decisions_want(w->d, other);
		if (!atomic_load(&step->canceled)) {
			decisions_make(step);
			decisions_done(w->d, step);
			break;
		}
		times++;
		decisions_make(step);
		decisions_done(w->d, step);
		assert_true(slow->ruling.due);
		assert_true(other->ruling.deciding);
		assert_false(slow->ruling.deciding);
		step = begun(w);
		decisions_make(step);
		decisions_done(w->d, step);
		assert_false(other->ruling.due);
	}
	assert_in_range(times, 100, 1000);
	assert_false(slow->ruling.deciding);
	(void)world_turn(w);
	assert_false(slow->ruling.due || other->ruling.due);
	assert_int_equal(ruling_action(&slow->ruling), ACTION_BLOCK);
	assert_int_equal(slow->ruling.put_off, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(other_rules_meanwhile, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(fresh_meanwhile, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(urgent_meanwhile, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(put_off, world_setup, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
