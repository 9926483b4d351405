/*
 * The decision on one environment, as the agent gives it: the organisation's switch first, then the
 * policy's evaluation. Pure; recomputed whenever status, policy, snapshot or trusted time ask for
 * it.
 */
#ifndef ENVWARDEN_AGENT_CORE_DECIDE_H
#define ENVWARDEN_AGENT_CORE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/policy/decision.h"

struct decide_input {
	bool logging; /* off: nothing is checked, everything is allowed */
	struct uuid environment;
	const struct status_entry *status; /* NULL = none is set */
	int64_t now_ms;			   /* trusted time */
};

/* Everything *out points at is in arena. ERR_NOMEM. */
int decide(const struct decide_input *in, struct arena *arena, struct decision *out);

#endif
