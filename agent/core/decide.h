/*
 * The decision on one environment, as the agent gives it: the organisation's switch first, then the
 * policy's evaluation, then how old the word of the organisation is. Pure; recomputed whenever
 * status, policy, snapshot or trusted time ask for it.
 */
#ifndef ENVWARDEN_AGENT_CORE_DECIDE_H
#define ENVWARDEN_AGENT_CORE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/policy/eval.h"

/* Whose explicit status an environment follows, that has none of its own yet. */
enum decide_follows {
	FOLLOWS_NONE,
	FOLLOWS_SOURCE,	  /* the one it was cloned from */
	FOLLOWS_PACKAGES, /* one with the same packages */
};

struct decide_input {
	bool logging; /* off: nothing is checked, everything is allowed */
	struct eval_input eval;
	enum decide_follows follows; /* what eval.status is, if it is not its own */
	/* The organisation was heard of so recently that its word counts until then. */
	int64_t fresh_until_ms; /* INT64_MAX: however old it is */
	enum action when_stale;
	/* A code was used, which is word from the organisation; 0: none holds. */
	int64_t unlocked_until_ms;
};

/* Everything *out points at is in arena, the policy's or the facts'. ERR_NOMEM. */
int decide(const struct decide_input *in, struct arena *arena, struct evaluation *out);

/* There was no time to decide: what the policy wants then (a reason of kind "timeout"). */
void decide_on_timeout(enum action action, struct reason *room, struct decision *out);

/* Ids of a status reason, by follows: "", "clone", "same-packages". */
const char *decide_follows_id(enum decide_follows follows);

#endif
