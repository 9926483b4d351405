#include "agent/core/decide.h"

#include "lib/policy/eval.h"

int decide(const struct decide_input *in, struct arena *arena, struct decision *out)
{
	const struct policy_facts facts = {
		.environment = in->environment,
		.name = "",
		.path = "",
		.user = "",
		.platform = "",
		.tool = "",
	};
	const struct eval_input input = {
		.facts = &facts,
		.status = in->status,
		.now_ms = in->now_ms,
	};
	struct evaluation evaluation;
	int rc;

	if (!in->logging) {
		*out = (struct decision){.action = ACTION_ALLOW, .valid_until_ms = INT64_MAX};
		return 0;
	}
	rc = policy_eval(&input, arena, &evaluation);
	if (rc == 0)
		*out = evaluation.decision;
	return rc;
}
