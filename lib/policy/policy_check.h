/*
 * Whether a policy that can be read makes sense: what can never hold, never matters or hardly means
 * what it says. Pure; the time decides which exceptions are over.
 *
 *   errors    ids twice, an exception from no rule, `from` on a warning
 *   warnings  impossible and all-embracing conditions, rules that add nothing to another one (in
 *             policies of many thousand rules not all pairs are looked at), unknown platforms,
 *             paths that none begins like, expired exceptions, unknown placeholders, fixes that
 *             name environments in a way that is wrong for some or are no plain command, version
 *             specs that conda reads differently than people
 */
#ifndef ENVWARDEN_LIB_POLICY_POLICY_CHECK_H
#define ENVWARDEN_LIB_POLICY_POLICY_CHECK_H

#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/policy/policy.h"
#include "lib/policy/problems.h"

/* Adds to the problems. ERR_INVALID when there are errors; ERR_NOMEM. */
int policy_check(const struct policy *policy, int64_t now_ms, struct arena *arena,
		 struct problems *problems, struct err *err);

#endif
