#include "agent/rulebook.h"

#include "lib/base/mem.h"
#include "proto/convert_policy.h"

static int64_t shorter(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t unused_for(const struct condition *condition)
{
	int64_t ms = condition->kind == CONDITION_UNUSED_FOR ? condition->duration_ms : INT64_MAX;

	for (size_t i = 0; i < condition->n_children; i++) /* at most POLICY_DEPTH_MAX deep */
		ms = shorter(ms, unused_for(&condition->children[i]));
	return ms;
}

static int64_t any_unused_for(const struct policy *policy)
{
	int64_t ms = INT64_MAX;

	for (size_t i = 0; i < policy->n_rules; i++)
		ms = shorter(ms, unused_for(&policy->rules[i].when));
	return ms;
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
	rules->unused_for_ms = any_unused_for(&rules->policy);
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
