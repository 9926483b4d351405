/*
 * What a rule asks, as one text: equal texts ask the same. Spaces and the order of what is written
 * in lists count.
 */
#ifndef ENVWARDEN_LIB_POLICY_CONDITION_TEXT_H
#define ENVWARDEN_LIB_POLICY_CONDITION_TEXT_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/policy/policy.h"

/* Appends {package: ["openssl <3"]} and the like. */
void condition_text(const struct condition *condition, struct buf *out);

/* Condition and scope of a rule, in the arena. ERR_NOMEM, ERR_LIMIT. */
int rule_text(const struct rule *rule, struct arena *arena, const char **out);

#endif
