#include "tests/agent/decisions_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "proto/convert.h"
#include "proto/convert_policy.h"
#include "tests/agent/samples.h"

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
size_t world_turn(struct world *w)
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
struct env *world_see(struct world *w, const char *prefix, uint64_t inode, const char *specs)
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

struct rulebook *world_rulebook(const struct rule *rules, size_t n, int64_t stale_after_ms)
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

void world_use_rules(struct world *w, const struct rule *rules, size_t n)
{
	struct rulebook *before = w->orders.rules;

	w->orders.rules = n > 0 ? world_rulebook(rules, n, 0) : NULL;
	decisions_orders(w->d, &w->orders);
	rulebook_drop(before);
}

void world_say(struct world *w, const Envwarden__Bundle__Status *status)
{
	struct said *before = w->orders.said;

	assert_int_equal(said_read(status, &w->orders.said, NULL), 0);
	w->orders.logging = status->logging;
	decisions_orders(w->d, &w->orders);
	said_drop(before);
}

void world_say_status(struct world *w, const struct env *env, Envwarden__Action action,
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
	world_say(w, &status);
}

int world_setup(void **state)
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

int world_teardown(void **state)
{
	struct world *w = *state;
	void *f = w->f;

	(void)world_turn(w);
	decisions_free(w->d);
	said_drop(w->orders.said);
	rulebook_drop(w->orders.rules);
	envs_deinit(&w->envs);
	mem_free(w);
	return fixture_teardown(&f);
}

struct rule world_openssl_rule(void)
{
	static struct arena arena = {.max = 1 << 20}; /* as long as the tests */
	static const char *const text = "openssl <3";
	static struct match_spec spec;

	if (spec.name == NULL)
		assert_int_equal(match_spec_parse(text, strlen(text), &arena, &spec, NULL), 0);
	return (struct rule){.id = "old-openssl",
			     .action = ACTION_BLOCK,
			     .message = "old",
			     .fix = "",
			     .when = {.kind = CONDITION_PACKAGE,
				      .specs = &spec,
				      .n_specs = 1,
				      .texts = {.items = &text, .n = 1}}};
}

static void make_due(void *ctx, struct env *env)
{
	(void)ctx;
	env->ruling.due = true;
}

void world_make_all_due(struct world *w)
{
	envs_each(&w->envs, make_due, NULL);
}
