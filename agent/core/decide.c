#include "agent/core/decide.h"

#include "lib/policy/eval.h"

int decide(const struct decide_input *in, struct arena *arena, struct decision *out)
{
	struct eval_input facts = {
		.environment = in->environment,
		.status = in->status,
		.now_ms = in->now_ms,
	};

	if (!in->logging) {
		*out = (struct decision){.action = ACTION_ALLOW, .valid_until_ms = INT64_MAX};
		return 0;
	}
	return policy_eval(&facts, arena, out);
}
