#include "agent/decisions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/decide.h"
#include "lib/base/mem.h"
#include "proto/convert.h"
#include "tests/agent/decisions_world.h"

static void only_what_changed(void **state)
{
	struct world *w = *state;
	struct rule rule = world_openssl_rule();
	struct env *a = world_see(w, "/envs/a", 1, "openssl=1.0.2 zlib=1");
	struct env *b = world_see(w, "/envs/b", 2, "openssl=3.0 zlib=1");

	assert_int_equal(world_turn(w), 2); /* nobody has said anything: allowed */
	world_say_status(w, NULL, 0, 0);
	assert_int_equal(world_turn(w), 2); /* logging is on from here */
	world_use_rules(w, &rule, 1);
	assert_int_equal(world_turn(w), 2);
	a = envs_by_path(&w->envs, "/envs/a");
	b = envs_by_path(&w->envs, "/envs/b");
	assert_int_equal(ruling_action(&a->ruling), ACTION_BLOCK);
	assert_int_equal(ruling_action(&b->ruling), ACTION_ALLOW);
	assert_null(b->ruling.kept);
	assert_string_equal(a->ruling.kept->reasons[0].package->name, "openssl");
	assert_true(w->settled);
	assert_int_equal(w->next_ms, INT64_MAX);

	world_see(w, "/envs/b", 2, "openssl=1.1.1 zlib=1");
	assert_int_equal(world_turn(w), 1);
	b = envs_by_path(&w->envs, "/envs/b");
	assert_int_equal(ruling_action(&b->ruling), ACTION_BLOCK);
	world_see(w, "/envs/b", 2, "openssl=1.1.1 zlib=1");
	assert_int_equal(world_turn(w), 0);
	b = envs_by_path(&w->envs, "/envs/b");
	world_say_status(w, b, ENVWARDEN__ACTION__ACTION_WARN, 0);
	(void)world_turn(w);
	assert_int_equal(b->ruling.kept->n_reasons, 2);
	world_use_rules(w, NULL, 0);
	assert_int_equal(world_turn(w), 2);
	a = envs_by_path(&w->envs, "/envs/a");
	assert_int_equal(ruling_action(&a->ruling), ACTION_ALLOW);
	assert_int_equal(ruling_action(&b->ruling), ACTION_WARN);
}

/* What a status bundle changes for one environment concerns no other. */
static void one_status(void **state)
{
	struct world *w = *state;
	struct env *a;

	world_see(w, "/envs/a", 1, "zlib=1");
	world_see(w, "/envs/b", 2, "zlib=2");
	w->orders.acked = 100;
	world_say_status(w, NULL, 0, 0);
	(void)world_turn(w);
	a = envs_by_path(&w->envs, "/envs/a");
	world_say_status(w, a, ENVWARDEN__ACTION__ACTION_BLOCK, NOW + 50);
	assert_int_equal(world_turn(w), 1);
	assert_int_equal(ruling_action(&a->ruling), ACTION_BLOCK);
	assert_int_equal(w->next_ms, NOW + 50);
	assert_true(ruling_fresh(&a->ruling, NOW + 49));
	assert_false(ruling_fresh(&a->ruling, NOW + 50));
	decisions_time(w->d);
	assert_int_equal(world_turn(w), 0);
	w->now_ms = NOW + 50;
	decisions_time(w->d);
	assert_int_equal(world_turn(w), 1);
	assert_int_equal(ruling_action(&a->ruling), ACTION_ALLOW);
	assert_int_equal(w->next_ms, INT64_MAX);
}

static void until_fixed(void **state)
{
	struct world *w = *state;
	Envwarden__Bundle__Status status = ENVWARDEN__BUNDLE__STATUS__INIT;
	Envwarden__Bundle__EnvironmentStatus entry = ENVWARDEN__BUNDLE__ENVIRONMENT_STATUS__INIT;
	Envwarden__Bundle__EnvironmentStatus *entries[] = {&entry};
	char spec[] = "zlib <2";
	char *specs[] = {spec};
	struct env *a = world_see(w, "/envs/a", 1, "zlib=1 other=1");

	entry.environment = wire_uuid(&a->id);
	entry.action = ENVWARDEN__ACTION__ACTION_BLOCK;
	entry.until_fixed = true;
	entry.fixed_specs = specs;
	entry.n_fixed_specs = 1;
	status.logging = true;
	status.statuses = entries;
	status.n_statuses = 1;
	world_say(w, &status);
	(void)world_turn(w);
	assert_int_equal(ruling_action(&a->ruling), ACTION_BLOCK);
	world_see(w, "/envs/a", 1, "zlib=1 other=2");
	(void)world_turn(w);
	a = envs_by_path(&w->envs, "/envs/a");
	assert_int_equal(ruling_action(&a->ruling), ACTION_BLOCK);
	world_see(w, "/envs/a", 1, "zlib=2 other=2");
	assert_int_equal(world_turn(w), 1);
	a = envs_by_path(&w->envs, "/envs/a");
	assert_int_equal(ruling_action(&a->ruling), ACTION_ALLOW);
}

/* Offline: what nobody but this machine knows of follows what it is a copy of. */
static void copies(void **state)
{
	struct world *w = *state;
	struct env *a = world_see(w, "/envs/a", 1, "zlib=1");
	struct env *b;
	struct env *c;

	w->orders.acked = 1;
	world_say_status(w, a, ENVWARDEN__ACTION__ACTION_BLOCK, 0);
	(void)world_turn(w);
	world_see(w, "/envs/b", 2, "zlib=1");
	world_see(w, "/envs/c", 3, "zlib=3");
	b = envs_by_path(&w->envs, "/envs/b");
	c = envs_by_path(&w->envs, "/envs/c");
	c->cloned_from = envs_by_path(&w->envs, "/envs/a")->id;
	c->ruling.due = true;
	decisions_pump(w->d);
	(void)world_turn(w);
	assert_int_equal(ruling_action(&b->ruling), ACTION_BLOCK);
	assert_string_equal(b->ruling.kept->reasons[0].id, "same-packages");
	assert_int_equal(ruling_action(&c->ruling), ACTION_BLOCK);
	assert_string_equal(c->ruling.kept->reasons[0].id, "clone");
	/* The server knows of them by now, and says nothing of them. */
	w->orders.acked = 10;
	decisions_orders(w->d, &w->orders);
	(void)world_turn(w);
	assert_int_equal(ruling_action(&b->ruling), ACTION_ALLOW);
	assert_int_equal(ruling_action(&c->ruling), ACTION_ALLOW);
}

/* What is asked for comes before what was due earlier; no memory is tried again. */
static void order(void **state)
{
	struct world *w = *state;
	struct rule rule = world_openssl_rule();
	struct env *last = NULL;

	world_say_status(w, NULL, 0, 0);
	for (unsigned i = 0; i < 40; i++) {
		char prefix[32];

		(void)snprintf(prefix, sizeof prefix, "/envs/e%02u", i);
		last = world_see(w, prefix, i + 1, "openssl=1.0");
		(void)world_turn(w);
	}
	last = envs_by_path(&w->envs, "/envs/e39");
	world_use_rules(w, &rule, 1);
	assert_true(last->ruling.due);
	decisions_want(w->d, last);
	{
		struct decisions_step *step = w->step;

		/* The first step is under way already; the next one has it. */
		w->step = NULL;
		decisions_load(step, w->f->store);
		decisions_make(step);
		decisions_done(w->d, step);
		assert_true(last->ruling.deciding || !last->ruling.due);
	}
	(void)world_turn(w);
	assert_int_equal(ruling_action(&last->ruling), ACTION_BLOCK);

	w->refuse = true;
	world_use_rules(w, NULL, 0);
	assert_int_equal(ruling_action(&last->ruling), ACTION_BLOCK);
	assert_true(last->ruling.due);
	assert_true(w->next_ms < INT64_MAX);
	w->refuse = false;
	decisions_time(w->d);
	assert_int_equal(world_turn(w), 40);
	assert_int_equal(ruling_action(&last->ruling), ACTION_ALLOW);
}

/* Whichever allocation fails: once there is memory again every decision is what it ought to be. */
static void memory_may_run_out(void **state)
{
	static const enum action actions[] = {ACTION_BLOCK, ACTION_ALLOW};
	struct world *w = *state;
	struct rule rule = world_openssl_rule();
	struct rulebook *books[2];
	bool failed = true;

	world_say_status(w, NULL, 0, 0);
	for (unsigned i = 0; i < 5; i++) {
		char prefix[32];

		(void)snprintf(prefix, sizeof prefix, "/envs/e%u", i);
		(void)world_see(w, prefix, i + 1, "openssl=1.0 zlib=1");
		(void)world_turn(w);
	}
	books[0] = world_rulebook(&rule, 1, 0);
	books[1] = world_rulebook(&rule, 0, 0);
	for (int n = 0; failed; n++) {
		failed = false;
		for (size_t book = 0; book < 2; book++) {
			w->orders.rules = books[book];
			mem_fail_after(n);
			decisions_orders(w->d, &w->orders);
			(void)world_turn(w);
			failed |= !mem_fail_pending();
			mem_fail_after(-1);
			decisions_time(w->d);
			(void)world_turn(w);
			for (unsigned i = 0; i < 5; i++) {
				char prefix[32];
				const struct env *env;

				(void)snprintf(prefix, sizeof prefix, "/envs/e%u", i);
				env = envs_by_path(&w->envs, prefix);
				assert_false(env->ruling.due);
				assert_int_equal(ruling_action(&env->ruling), actions[book]);
			}
		}
		if (!failed)
			assert_true(n > 5);
	}
	rulebook_drop(books[0]); /* the other one is the world's */
}

/* --- whatever happens, in whatever order --- */

#define PLACES 5
#define STEPS 400

static uint64_t chance;

static unsigned draw(unsigned n)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (unsigned)((chance >> 20) % n);
}

static struct env *place(struct world *w, unsigned i)
{
	char prefix[32];

	(void)snprintf(prefix, sizeof prefix, "/envs/p%u", i);
	return envs_by_path(&w->envs, prefix);
}

static void something_installed(struct world *w)
{
	static const char *const specs[] = {"zlib=1", "zlib=2", "openssl=1.1", "openssl=3 zlib=1"};
	unsigned i = draw(PLACES);
	bool fresh = place(w, i) == NULL;
	char prefix[32];
	struct env *env;

	(void)snprintf(prefix, sizeof prefix, "/envs/p%u", i);
	env = world_see(w, prefix, i + 1, specs[draw(ARRAY_SIZE(specs))]);
	if (fresh && place(w, (i + 1) % PLACES) != NULL && draw(2) == 0) {
		env->cloned_from = place(w, (i + 1) % PLACES)->id;
		decisions_again(w->d, env);
	}
}

static void something_said(struct world *w)
{
	char finance[] = "finance";
	char *labels[] = {finance};
	static const Envwarden__Action actions[] = {ENVWARDEN__ACTION__ACTION_WARN,
						    ENVWARDEN__ACTION__ACTION_BLOCK};
	Envwarden__Bundle__Status status = ENVWARDEN__BUNDLE__STATUS__INIT;
	Envwarden__Bundle__Exception exception = ENVWARDEN__BUNDLE__EXCEPTION__INIT;
	Envwarden__Bundle__Exception *exceptions[] = {&exception};
	Envwarden__Bundle__EnvironmentStatus all[PLACES];
	Envwarden__Bundle__EnvironmentStatus *list[PLACES];

	status.logging = draw(10) != 0;
	status.labels = labels;
	status.n_labels = draw(2);
	status.statuses = list;
	for (unsigned i = 0; i < PLACES; i++) {
		const struct env *env = place(w, i);
		Envwarden__Bundle__EnvironmentStatus *entry = &all[status.n_statuses];

		if (env == NULL || draw(3) != 0)
			continue;
		envwarden__bundle__environment_status__init(entry);
		entry->environment = wire_uuid(&env->id);
		entry->action = actions[draw(2)];
		entry->until_ms = draw(2) == 0 ? 0 : w->now_ms + draw(20);
		list[status.n_statuses++] = entry;
	}
	exception.id = (char *)(uintptr_t) "g";
	exception.expires_ms = w->now_ms + draw(20);
	status.exceptions = exceptions;
	status.n_exceptions = draw(4) == 0;
	world_say(w, &status);
}

static void something_ruled(struct world *w)
{
	static const char *const finance[] = {"finance"};
	const struct rule rule = world_openssl_rule();
	struct rule rules[] = {rule, rule, rule};

	rules[0].from_ms = draw(2) == 0 ? 0 : w->now_ms + draw(20);
	rules[1].id = "unused";
	rules[1].when = (struct condition){.kind = CONDITION_UNUSED_FOR, .duration_ms = 10};
	rules[1].action = ACTION_WARN;
	rules[2].id = "finance";
	rules[2].scope.labels = (struct texts_list){finance, 1};
	world_use_rules(w, rules, draw(4));
}

static void something_granted(struct world *w)
{
	struct env *env = place(w, draw(PLACES));

	if (env == NULL)
		return;
	env->last_used_ms = w->now_ms;
	if (env->ruling.kept != NULL && draw(2) == 0) {
		env->ruling.deferred_until_ms = w->now_ms + draw(20);
		memcpy(env->ruling.deferred_case, env->ruling.kept->case_code, CASE_CODE_MAX);
	}
	if (draw(3) == 0) {
		env->ruling.unlocked_until_ms = w->now_ms + draw(20);
		env->ruling.unlocked_status = draw(2) == 0;
	}
	decisions_again(w->d, env);
}

/* As the owner does: its timer goes at the time that was told. */
static void time_passes(struct world *w)
{
	w->now_ms += draw(12);
	if (w->now_ms >= w->next_ms)
		decisions_time(w->d);
}

static void something_known(struct world *w)
{
	w->orders.acked += draw(3);
	w->orders.fresh_until_ms = draw(2) == 0 ? INT64_MAX : w->now_ms + draw(20);
	decisions_orders(w->d, &w->orders);
}

struct remembered {
	enum action action;
	size_t n_reasons;
	char case_code[CASE_CODE_MAX];
};

static struct remembered remember(const struct env *env)
{
	const struct kept_decision *kept = env->ruling.kept;
	struct remembered r = {.action = ruling_action(&env->ruling)};

	if (kept != NULL) {
		r.n_reasons = kept->n_reasons;
		memcpy(r.case_code, kept->case_code, sizeof r.case_code);
	}
	return r;
}

/* All of them made anew say what was said already. */
static void compare_with_all_anew(struct world *w, unsigned step, const char *what)
{
	struct remembered before[PLACES];

	for (unsigned i = 0; i < PLACES; i++)
		if (place(w, i) != NULL)
			before[i] = remember(place(w, i));
	world_make_all_due(w);
	decisions_pump(w->d);
	(void)world_turn(w);
	for (unsigned i = 0; i < PLACES; i++) {
		struct remembered after;

		if (place(w, i) == NULL)
			continue;
		after = remember(place(w, i));
		if (before[i].action != after.action || before[i].n_reasons != after.n_reasons ||
		    strcmp(before[i].case_code, after.case_code) != 0)
			fail_msg("step %u, %s: /envs/p%u was %s (%zu), anew %s (%zu)", step, what,
				 i, action_name(before[i].action), before[i].n_reasons,
				 action_name(after.action), after.n_reasons);
	}
}

static void as_if_made_anew(void **state)
{
	static const struct {
		void (*happens)(struct world *w);
		const char *what;
	} events[] = {
		{something_installed, "installed"},
		{something_said, "said"},
		{something_ruled, "ruled"},
		{something_granted, "granted"},
		{time_passes, "time"},
		{something_known, "known"},
	};
	struct world *w = *state;

	chance = UINT64_C(88172645463325252);
	w->next_ms = INT64_MAX;
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned event = draw(ARRAY_SIZE(events));

		events[event].happens(w);
		(void)world_turn(w);
		compare_with_all_anew(w, i, events[event].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_if_made_anew, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(only_what_changed, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(one_status, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(until_fixed, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(copies, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(order, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(memory_may_run_out, world_setup, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
