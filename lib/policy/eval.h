/*
 * Evaluation: facts, policy and time in, a decision out. Pure, bounded and deterministic, so that
 * the server's previews and the agent's answers are the same.
 */
#ifndef ENVWARDEN_LIB_POLICY_EVAL_H
#define ENVWARDEN_LIB_POLICY_EVAL_H

#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/policy/decision.h"

struct eval_input {
	struct uuid environment;
	const struct status_entry
		*status; /* explicit, NULL = none; until_fixed holds until lifted */
	int64_t now_ms;	 /* trusted time */
};

/* Everything *out points at is in arena. ERR_NOMEM. */
int policy_eval(const struct eval_input *in, struct arena *arena, struct decision *out);

/*
 * The case code of an environment and the reasons it has: "EW-" and 4 letters and digits, the same
 * in whatever order the reasons stand and whatever they do at the moment (warn or block). At most
 * DECISION_REASONS_MAX reasons. ERR_NOMEM.
 */
int case_code_make(const struct uuid *environment, const struct reason *reasons, size_t n,
		   char out[CASE_CODE_MAX]);

#endif
