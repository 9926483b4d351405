#include "agent/decisions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/decide.h"
#include "agent/decisions_impl.h"
#include "lib/base/mem.h"
#include "proto/convert.h"
#include "proto/convert_policy.h"
#include "tests/agent/samples.h"
#include "tests/agent/store/fixture.h"

#define NOW 1000000

/* Decisions over a real store; the owner's thread is this one, its clock a number. */
struct world {
	struct fixture *f;
	struct envs envs;
	struct decisions *d;
	struct orders orders;
	int64_t now_ms;
	int64_t next_ms;
	size_t made; /* decisions since the last look */
	size_t changed;
	bool settled;
	bool refuse; /* no memory for steps */
	struct decisions_step *step;
};

static int64_t on_now(void *ctx)
{
	return ((struct world *)ctx)->now_ms;
}

static int64_t on_last_used(void *ctx, const struct env *env)
{
	(void)ctx;
	return env->last_used_ms;
}

static void on_submit(void *ctx, struct decisions_step *step)
{
	struct world *w = ctx;

	assert_null(w->step);
	if (w->refuse)
		decisions_abandon(w->d, step);
	else
		w->step = step;
}

static void on_decided(void *ctx, struct env *env, bool changed)
{
	struct world *w = ctx;

	assert_true(env->ruling.known);
	w->made++;
	w->changed += changed;
}

static void on_settled(void *ctx, bool changed, int64_t next_ms)
{
	struct world *w = ctx;

	(void)changed;
	w->settled = true;
	w->next_ms = next_ms;
}

static const struct decisions_ops ops = {.now_ms = on_now,
					 .last_used_ms = on_last_used,
					 .submit = on_submit,
					 .decided = on_decided,
					 .settled = on_settled};

/* Does what is under way; returns how many decisions were made since the last time. */
static size_t turn(struct world *w)
{
	size_t made;

	while (w->step != NULL) {
		struct decisions_step *step = w->step;

		w->step = NULL;
		decisions_load(step, w->f->store);
		decisions_make(step);
		decisions_done(w->d, step);
	}
	made = w->made;
	w->made = 0;
	w->changed = 0;
	return made;
}

static int load(void *ctx, const struct environment *row)
{
	return envs_put(ctx, row);
}

/* Environments found before may have moved in memory after this. */
static struct env *see(struct world *w, const char *prefix, uint64_t inode, const char *specs)
{
	struct applied applied = fixture_see(w->f, prefix, inode, specs);
	struct env *env;

	assert_int_equal(store_environments(w->f->store, load, &w->envs, NULL), 0);
	env = envs_by_id(&w->envs, &applied.environment);
	assert_non_null(env);
	env->changed_seq = applied.seq;
	env->made_seq = env->made_seq == 0 ? applied.seq : env->made_seq;
	decisions_changed(w->d, env);
	decisions_pump(w->d);
	return env;
}

static struct rulebook *rulebook_of(const struct rule *rules, size_t n, int64_t stale_after_ms)
{
	struct policy policy;
	struct rulebook *out = NULL;
	struct err err = ERR_INIT;
	Envwarden__Bundle__Policy *wire;
	struct arena arena;

	policy_init(&policy);
	policy.rules = rules;
	policy.n_rules = n;
	policy.defaults.stale_after_ms = stale_after_ms;
	arena_init(&arena, 1 << 20);
	assert_int_equal(policy_to_wire(&policy, &arena, &wire), 0);
	if (rulebook_read(wire, 1, &arena, &out, &err) < 0)
		fail_msg("%s", err.text);
	arena_deinit(&arena);
	return out;
}

static void parse(struct match_spec *spec, const char *text)
{
	static struct arena arena = {.max = 1 << 20}; /* as long as the tests */

	assert_int_equal(match_spec_parse(text, strlen(text), &arena, spec, NULL), 0);
}

static void use_rules(struct world *w, const struct rule *rules, size_t n)
{
	struct rulebook *before = w->orders.rules;

	w->orders.rules = n > 0 ? rulebook_of(rules, n, 0) : NULL;
	decisions_orders(w->d, &w->orders);
	rulebook_drop(before);
}

static void say(struct world *w, const Envwarden__Bundle__Status *status)
{
	struct said *before = w->orders.said;

	assert_int_equal(said_read(status, &w->orders.said, NULL), 0);
	w->orders.logging = status->logging;
	decisions_orders(w->d, &w->orders);
	said_drop(before);
}

static void say_status(struct world *w, const struct env *env, Envwarden__Action action,
		       int64_t until_ms)
{
	Envwarden__Bundle__Status status = ENVWARDEN__BUNDLE__STATUS__INIT;
	Envwarden__Bundle__EnvironmentStatus entry = ENVWARDEN__BUNDLE__ENVIRONMENT_STATUS__INIT;
	Envwarden__Bundle__EnvironmentStatus *entries[] = {&entry};

	status.logging = true;
	if (env != NULL) {
		entry.environment = wire_uuid(&env->id);
		entry.action = action;
		entry.message = (char *)(uintptr_t) "because";
		entry.until_ms = until_ms;
		status.statuses = entries;
		status.n_statuses = 1;
	}
	say(w, &status);
}

static int setup(void **state)
{
	struct world *w = mem_calloc(1, sizeof *w);

	if (fixture_setup((void **)&w->f) != 0)
		return -1;
	envs_init(&w->envs);
	w->now_ms = NOW;
	w->orders.fresh_until_ms = INT64_MAX;
	assert_int_equal(decisions_new(&w->envs, &ops, w, &w->d), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	void *f = w->f;

	(void)turn(w);
	decisions_free(w->d);
	said_drop(w->orders.said);
	rulebook_drop(w->orders.rules);
	envs_deinit(&w->envs);
	mem_free(w);
	return fixture_teardown(&f);
}

static const char *const old_openssl = "openssl <3";

#define OPENSSL_RULE                                                                               \
	{                                                                                          \
		.id = "old-openssl", .action = ACTION_BLOCK, .message = "old", .fix = ""           \
	}

static void only_what_changed(void **state)
{
	struct world *w = *state;
	struct match_spec spec;
	struct rule rule = OPENSSL_RULE;
	struct env *a = see(w, "/envs/a", 1, "openssl=1.0.2 zlib=1");
	struct env *b = see(w, "/envs/b", 2, "openssl=3.0 zlib=1");

	parse(&spec, old_openssl);
	rule.when = (struct condition){.kind = CONDITION_PACKAGE,
				       .specs = &spec,
				       .n_specs = 1,
				       .texts = {.items = &old_openssl, .n = 1}};
	assert_int_equal(turn(w), 2); /* nobody has said anything: allowed */
	say_status(w, NULL, 0, 0);
	assert_int_equal(turn(w), 2); /* logging is on from here */
	use_rules(w, &rule, 1);
	assert_int_equal(turn(w), 2);
	a = envs_by_path(&w->envs, "/envs/a");
	b = envs_by_path(&w->envs, "/envs/b");
	assert_int_equal(ruling_action(&a->ruling), ACTION_BLOCK);
	assert_int_equal(ruling_action(&b->ruling), ACTION_ALLOW);
	assert_null(b->ruling.kept);
	assert_string_equal(a->ruling.kept->reasons[0].package->name, "openssl");
	assert_true(w->settled);
	assert_int_equal(w->next_ms, INT64_MAX);

	see(w, "/envs/b", 2, "openssl=1.1.1 zlib=1");
	assert_int_equal(turn(w), 1);
	b = envs_by_path(&w->envs, "/envs/b");
	assert_int_equal(ruling_action(&b->ruling), ACTION_BLOCK);
	see(w, "/envs/b", 2, "openssl=1.1.1 zlib=1");
	assert_int_equal(turn(w), 0);
	b = envs_by_path(&w->envs, "/envs/b");
	say_status(w, b, ENVWARDEN__ACTION__ACTION_WARN, 0);
	(void)turn(w);
	assert_int_equal(b->ruling.kept->n_reasons, 2);
	use_rules(w, NULL, 0);
	assert_int_equal(turn(w), 2);
	a = envs_by_path(&w->envs, "/envs/a");
	assert_int_equal(ruling_action(&a->ruling), ACTION_ALLOW);
	assert_int_equal(ruling_action(&b->ruling), ACTION_WARN);
}

/* What a status bundle changes for one environment concerns no other. */
static void one_status(void **state)
{
	struct world *w = *state;
	struct env *a;

	see(w, "/envs/a", 1, "zlib=1");
	see(w, "/envs/b", 2, "zlib=2");
	w->orders.acked = 100;
	say_status(w, NULL, 0, 0);
	(void)turn(w);
	a = envs_by_path(&w->envs, "/envs/a");
	say_status(w, a, ENVWARDEN__ACTION__ACTION_BLOCK, NOW + 50);
	assert_int_equal(turn(w), 1);
	assert_int_equal(ruling_action(&a->ruling), ACTION_BLOCK);
	assert_int_equal(w->next_ms, NOW + 50);
	assert_true(ruling_fresh(&a->ruling, NOW + 49));
	assert_false(ruling_fresh(&a->ruling, NOW + 50));
	decisions_time(w->d);
	assert_int_equal(turn(w), 0);
	w->now_ms = NOW + 50;
	decisions_time(w->d);
	assert_int_equal(turn(w), 1);
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
	struct env *a = see(w, "/envs/a", 1, "zlib=1 other=1");

	entry.environment = wire_uuid(&a->id);
	entry.action = ENVWARDEN__ACTION__ACTION_BLOCK;
	entry.until_fixed = true;
	entry.fixed_specs = specs;
	entry.n_fixed_specs = 1;
	status.logging = true;
	status.statuses = entries;
	status.n_statuses = 1;
	say(w, &status);
	(void)turn(w);
	assert_int_equal(ruling_action(&a->ruling), ACTION_BLOCK);
	see(w, "/envs/a", 1, "zlib=1 other=2");
	(void)turn(w);
	a = envs_by_path(&w->envs, "/envs/a");
	assert_int_equal(ruling_action(&a->ruling), ACTION_BLOCK);
	see(w, "/envs/a", 1, "zlib=2 other=2");
	assert_int_equal(turn(w), 1);
	a = envs_by_path(&w->envs, "/envs/a");
	assert_int_equal(ruling_action(&a->ruling), ACTION_ALLOW);
}

/* Offline: what nobody but this machine knows of follows what it is a copy of. */
static void copies(void **state)
{
	struct world *w = *state;
	struct env *a = see(w, "/envs/a", 1, "zlib=1");
	struct env *b;
	struct env *c;

	w->orders.acked = 1;
	say_status(w, a, ENVWARDEN__ACTION__ACTION_BLOCK, 0);
	(void)turn(w);
	see(w, "/envs/b", 2, "zlib=1");
	see(w, "/envs/c", 3, "zlib=3");
	b = envs_by_path(&w->envs, "/envs/b");
	c = envs_by_path(&w->envs, "/envs/c");
	c->cloned_from = envs_by_path(&w->envs, "/envs/a")->id;
	c->ruling.due = true;
	decisions_pump(w->d);
	(void)turn(w);
	assert_int_equal(ruling_action(&b->ruling), ACTION_BLOCK);
	assert_string_equal(b->ruling.kept->reasons[0].id, "same-packages");
	assert_int_equal(ruling_action(&c->ruling), ACTION_BLOCK);
	assert_string_equal(c->ruling.kept->reasons[0].id, "clone");
	/* The server knows of them by now, and says nothing of them. */
	w->orders.acked = 10;
	decisions_orders(w->d, &w->orders);
	(void)turn(w);
	assert_int_equal(ruling_action(&b->ruling), ACTION_ALLOW);
	assert_int_equal(ruling_action(&c->ruling), ACTION_ALLOW);
}

/* What is asked for comes before what was due earlier; no memory is tried again. */
static void order(void **state)
{
	struct world *w = *state;
	struct match_spec spec;
	struct rule rule = OPENSSL_RULE;
	struct env *last = NULL;

	parse(&spec, old_openssl);
	rule.when = (struct condition){.kind = CONDITION_PACKAGE,
				       .specs = &spec,
				       .n_specs = 1,
				       .texts = {.items = &old_openssl, .n = 1}};
	say_status(w, NULL, 0, 0);
	for (unsigned i = 0; i < 40; i++) {
		char prefix[32];

		(void)snprintf(prefix, sizeof prefix, "/envs/e%02u", i);
		last = see(w, prefix, i + 1, "openssl=1.0");
		(void)turn(w);
	}
	last = envs_by_path(&w->envs, "/envs/e39");
	use_rules(w, &rule, 1);
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
	(void)turn(w);
	assert_int_equal(ruling_action(&last->ruling), ACTION_BLOCK);

	w->refuse = true;
	use_rules(w, NULL, 0);
	assert_int_equal(ruling_action(&last->ruling), ACTION_BLOCK);
	assert_true(last->ruling.due);
	assert_true(w->next_ms < INT64_MAX);
	w->refuse = false;
	decisions_time(w->d);
	assert_int_equal(turn(w), 40);
	assert_int_equal(ruling_action(&last->ruling), ACTION_ALLOW);
}

/* What is being decided by rules that count no longer ends at once, without a word. */
static void other_rules_meanwhile(void **state)
{
	struct world *w = *state;
	struct decisions_step *step;
	struct match_spec spec;
	struct rule rule = OPENSSL_RULE;
	struct env *env;

	parse(&spec, old_openssl);
	rule.when = (struct condition){.kind = CONDITION_PACKAGE,
				       .specs = &spec,
				       .n_specs = 1,
				       .texts = {.items = &old_openssl, .n = 1}};
	say_status(w, NULL, 0, 0);
	env = see(w, "/envs/a", 1, "openssl=1.0");
	(void)turn(w);
	use_rules(w, &rule, 1);
	step = w->step;
	w->step = NULL;
	decisions_load(step, w->f->store);
	rule.action = ACTION_WARN;
	use_rules(w, &rule, 1);
	assert_null(w->step);
	decisions_make(step);
	decisions_done(w->d, step);
	assert_int_equal(w->made, 0);
	assert_int_equal(turn(w), 1);
	assert_int_equal(ruling_action(&env->ruling), ACTION_WARN);

	/* Other statuses do not end it: they come often, and it is right by the rules. */
	rule.action = ACTION_BLOCK;
	use_rules(w, &rule, 1);
	step = w->step;
	w->step = NULL;
	decisions_load(step, w->f->store);
	say_status(w, NULL, 0, 0);
	decisions_make(step);
	decisions_done(w->d, step);
	assert_int_equal(w->made, 1);
	(void)turn(w);
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
	say_status(w, NULL, 0, 0);
	(void)turn(w);
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

/* Whichever allocation fails: once there is memory again every decision is what it ought to be. */
static void memory_may_run_out(void **state)
{
	static const enum action actions[] = {ACTION_BLOCK, ACTION_ALLOW};
	struct world *w = *state;
	struct match_spec spec;
	struct rule rule = OPENSSL_RULE;
	struct rulebook *books[2];
	bool failed = true;

	parse(&spec, old_openssl);
	rule.when = (struct condition){.kind = CONDITION_PACKAGE,
				       .specs = &spec,
				       .n_specs = 1,
				       .texts = {.items = &old_openssl, .n = 1}};
	say_status(w, NULL, 0, 0);
	for (unsigned i = 0; i < 5; i++) {
		char prefix[32];

		(void)snprintf(prefix, sizeof prefix, "/envs/e%u", i);
		(void)see(w, prefix, i + 1, "openssl=1.0 zlib=1");
		(void)turn(w);
	}
	books[0] = rulebook_of(&rule, 1, 0);
	books[1] = rulebook_of(&rule, 0, 0);
	for (int n = 0; failed; n++) {
		failed = false;
		for (size_t book = 0; book < 2; book++) {
			w->orders.rules = books[book];
			mem_fail_after(n);
			decisions_orders(w->d, &w->orders);
			(void)turn(w);
			failed |= !mem_fail_pending();
			mem_fail_after(-1);
			decisions_time(w->d);
			(void)turn(w);
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
	env = see(w, prefix, i + 1, specs[draw(ARRAY_SIZE(specs))]);
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
	say(w, &status);
}

static void something_ruled(struct world *w)
{
	static const char *const finance[] = {"finance"};
	struct match_spec spec;
	struct rule rules[] = {OPENSSL_RULE, OPENSSL_RULE, OPENSSL_RULE};

	parse(&spec, old_openssl);
	rules[0].when = (struct condition){.kind = CONDITION_PACKAGE,
					   .specs = &spec,
					   .n_specs = 1,
					   .texts = {.items = &old_openssl, .n = 1}};
	rules[0].from_ms = draw(2) == 0 ? 0 : w->now_ms + draw(20);
	rules[1].id = "unused";
	rules[1].when = (struct condition){.kind = CONDITION_UNUSED_FOR, .duration_ms = 10};
	rules[1].action = ACTION_WARN;
	rules[2].id = "finance";
	rules[2].when = rules[0].when;
	rules[2].scope.labels = (struct texts_list){finance, 1};
	use_rules(w, rules, draw(4));
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

static void make_due(void *ctx, struct env *env)
{
	(void)ctx;
	env->ruling.due = true;
}

/* All of them made anew say what was said already. */
static void compare_with_all_anew(struct world *w, unsigned step, const char *what)
{
	struct remembered before[PLACES];

	for (unsigned i = 0; i < PLACES; i++)
		if (place(w, i) != NULL)
			before[i] = remember(place(w, i));
	envs_each(&w->envs, make_due, NULL);
	decisions_pump(w->d);
	(void)turn(w);
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
		(void)turn(w);
		compare_with_all_anew(w, i, events[event].what);
	}
}

/* Under way, read, and not made yet. */
static struct decisions_step *begun(struct world *w)
{
	struct decisions_step *step = w->step;

	assert_non_null(step);
	w->step = NULL;
	decisions_load(step, w->f->store);
	return step;
}

/* News come while it is being decided by what is too old. */
static void fresh_meanwhile(void **state)
{
	struct world *w = *state;
	struct decisions_step *step;
	struct rule rule = OPENSSL_RULE;
	struct env *env;

	say_status(w, NULL, 0, 0);
	(void)turn(w);
	w->orders.acked = 100;
	w->orders.rules = rulebook_of(&rule, 0, 1);
	w->orders.fresh_until_ms = NOW - 1;
	decisions_orders(w->d, &w->orders);
	(void)turn(w);
	env = see(w, "/envs/a", 1, "openssl=1.0");
	step = begun(w);
	w->orders.fresh_until_ms = INT64_MAX;
	decisions_orders(w->d, &w->orders);
	decisions_make(step);
	decisions_done(w->d, step);
	(void)turn(w);
	env = envs_by_path(&w->envs, "/envs/a");
	assert_int_equal(ruling_action(&env->ruling), ACTION_ALLOW);
}

/* It changes while it is being decided and somebody waits: it still comes first. */
static void urgent_meanwhile(void **state)
{
	struct world *w = *state;
	struct decisions_step *step;
	struct env *env;

	say_status(w, NULL, 0, 0);
	for (unsigned i = 0; i < 2 * STEP_ITEMS; i++) {
		char prefix[32];

		(void)snprintf(prefix, sizeof prefix, "/envs/e%02u", i);
		(void)see(w, prefix, i + 1, "openssl=1.0");
		(void)turn(w);
	}
	for (unsigned i = 0; i < 2 * STEP_ITEMS; i += 2 * STEP_ITEMS - 1) {
		char prefix[32];

		(void)snprintf(prefix, sizeof prefix, "/envs/e%02u", i);
		env = envs_by_path(&w->envs, prefix);
		decisions_again(w->d, env);
		step = begun(w);
		envs_each(&w->envs, make_due, NULL);
		decisions_want(w->d, env);
		decisions_make(step);
		decisions_done(w->d, step);
		assert_true(env->ruling.deciding);
		(void)turn(w);
	}
}

/* One that takes long is put off for another that somebody waits for; not for ever. */
static void put_off(void **state)
{
	struct world *w = *state;
	struct match_spec spec;
	struct rule rule = OPENSSL_RULE;
	struct env *slow, *other;
	unsigned times = 0;

	parse(&spec, old_openssl);
	rule.when = (struct condition){.kind = CONDITION_PACKAGE,
				       .specs = &spec,
				       .n_specs = 1,
				       .texts = {.items = &old_openssl, .n = 1}};
	say_status(w, NULL, 0, 0);
	use_rules(w, &rule, 1);
	(void)see(w, "/envs/a", 1, "openssl=1.0");
	(void)see(w, "/envs/b", 2, "openssl=3.0");
	(void)turn(w);
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
	(void)turn(w);
	assert_false(slow->ruling.due || other->ruling.due);
	assert_int_equal(ruling_action(&slow->ruling), ACTION_BLOCK);
	assert_int_equal(slow->ruling.put_off, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_if_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(one_status, setup, teardown),
		cmocka_unit_test_setup_teardown(until_fixed, setup, teardown),
		cmocka_unit_test_setup_teardown(copies, setup, teardown),
		cmocka_unit_test_setup_teardown(order, setup, teardown),
		cmocka_unit_test_setup_teardown(other_rules_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_may_run_out, setup, teardown),
		cmocka_unit_test_setup_teardown(fresh_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(urgent_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(put_off, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
