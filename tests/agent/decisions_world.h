/*
 * Decisions over a real store, for their tests: the owner's thread is this one, its clock a number,
 * and what is under way waits until it is asked for. Failures end the test.
 */
#ifndef ENVWARDEN_TESTS_AGENT_DECISIONS_WORLD_H
#define ENVWARDEN_TESTS_AGENT_DECISIONS_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/decisions.h"
#include "agent/envs.h"
#include "agent/rulebook.h"
#include "agent/said.h"
#include "lib/policy/policy.h"
#include "tests/agent/store/fixture.h"

#define NOW 1000000

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
	bool refuse;		     /* no memory for steps */
	struct decisions_step *step; /* under way */
};

int world_setup(void **state); /* cmocka's */
int world_teardown(void **state);

/* Does what is under way; returns how many decisions were made since the last time. */
size_t world_turn(struct world *w);
/* Environments found before may have moved in memory after this. */
struct env *world_see(struct world *w, const char *prefix, uint64_t inode, const char *specs);
void world_make_all_due(struct world *w);

struct rulebook *world_rulebook(const struct rule *rules, size_t n, int64_t stale_after_ms);
void world_use_rules(struct world *w, const struct rule *rules, size_t n);
struct rule world_openssl_rule(void); /* blocks what has openssl <3 */
void world_say(struct world *w, const Envwarden__Bundle__Status *status);
/* That it has this status until then, 0 for ever; nobody has one if env is NULL. */
void world_say_status(struct world *w, const struct env *env, Envwarden__Action action,
		      int64_t until_ms);

#endif
