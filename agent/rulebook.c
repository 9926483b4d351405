#include "agent/rulebook.h"

#include "lib/base/mem.h"
#include "proto/convert_policy.h"

static bool asks_use(const struct condition *condition)
{
	if (condition->kind == CONDITION_UNUSED_FOR)
		return true;
	for (size_t i = 0; i < condition->n_children; i++)
		if (asks_use(&condition->children[i])) /* at most POLICY_DEPTH_MAX deep */
			return true;
	return false;
}

static bool any_asks_use(const struct policy *policy)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (asks_use(&policy->rules[i].when))
			return true;
	return false;
}

int rulebook_read(const Envwarden__Bundle__Policy *wire, uint64_t version, struct arena *arena,
		  struct rulebook **out, struct err *err)
{
	struct rulebook *rules = mem_calloc(1, sizeof *rules);
	int rc;

	if (rules == NULL)
		return err_nomem(err);
	rc = policy_from_wire(wire, arena, &rules->policy, err);
	/* The index borrows the policy where it stays. */
	if (rc == 0 && rule_index_new(&rules->policy, arena, &rules->index) < 0)
		rc = err_nomem(err);
	if (rc < 0) {
		mem_free(rules);
		return rc;
	}
	rules->refs = 1;
	rules->version = version;
	rules->asks_use = any_asks_use(&rules->policy);
	if (agent_down_parse(rules->policy.defaults.when_agent_down, &rules->when_agent_down) < 0)
		rules->when_agent_down = AGENT_DOWN_LAST_DECISION;
	rules->arena = *arena;
	arena_init(arena, arena->max);
	*out = rules;
	return 0;
}

struct rulebook *rulebook_hold(struct rulebook *rules)
{
	if (rules != NULL)
		rules->refs++;
	return rules;
}

void rulebook_drop(struct rulebook *rules)
{
	if (rules == NULL || --rules->refs > 0)
		return;
	arena_deinit(&rules->arena);
	mem_free(rules);
}
