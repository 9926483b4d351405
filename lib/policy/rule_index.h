/*
 * A policy made quick: which rules can concern an environment is found by the names of its
 * packages, so that the cost of a decision grows with the rules that can apply and not with all of
 * them. Built once per policy, read by any number of threads.
 */
#ifndef ENVWARDEN_LIB_POLICY_RULE_INDEX_H
#define ENVWARDEN_LIB_POLICY_RULE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/policy/policy.h"

struct rule_index;

/* Borrows the policy; both live in arenas that outlive the index's use. ERR_NOMEM. */
int rule_index_new(const struct policy *policy, struct arena *arena, struct rule_index **out);

const struct policy *rule_index_policy(const struct rule_index *index);

/* The rules that need a package of this name; NULL and 0 when there are none. In their order. */
const uint32_t *rule_index_by_name(const struct rule_index *index, const char *name, size_t *n);

/* The rules that can apply whatever the packages are called. */
const uint32_t *rule_index_general(const struct rule_index *index, size_t *n);

/* The exceptions that name this rule (not those for any rule); in their order. */
const struct exception *const *rule_index_exceptions(const struct rule_index *index,
						     const char *rule, size_t *n);

#endif
