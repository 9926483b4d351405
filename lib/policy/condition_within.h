/*
 * Whether one condition can only hold where another one does, and whether one can hold at all: for
 * the checks made where policies are written. Unknown is never guessed: false then.
 *
 * Pure. Comparing costs the product of what is in the two: each takes from *steps what it compares,
 * and with none left the answer is false.
 */
#ifndef ENVWARDEN_LIB_POLICY_CONDITION_WITHIN_H
#define ENVWARDEN_LIB_POLICY_CONDITION_WITHIN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/policy/policy.h"

/* Wherever `inner` holds, of the same package and environment, `outer` holds. */
bool condition_within(const struct condition *inner, const struct condition *outer, size_t *steps);

/* It never holds: `all` of what leaves nothing, or a version above and below. */
bool condition_never(const struct condition *c, size_t *steps);

/* Whom `inner` concerns, `outer` concerns. */
bool scope_within(const struct scope *inner, const struct scope *outer, size_t *steps);

#endif
