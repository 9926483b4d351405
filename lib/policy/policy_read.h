/*
 * From the YAML of docs/policy.md to a policy. All problems of the text are found in one reading;
 * whether what it says makes sense is policy_check.h.
 *
 * For the server and the admin's command; agents get policies that were read already.
 */
#ifndef ENVWARDEN_LIB_POLICY_POLICY_READ_H
#define ENVWARDEN_LIB_POLICY_POLICY_READ_H

#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/policy/policy.h"
#include "lib/policy/problems.h"

#define POLICY_SOURCE_MAX (32u << 20)  /* bytes of the YAML */
#define POLICY_MEMORY_MAX (512u << 20) /* of an arena for one of that size */

/*
 * ERR_INVALID: problems has errors, and nothing is in *out. ERR_NOMEM. The arena holds the policy
 * and the problems.
 */
int policy_read(const char *yaml, size_t n, struct arena *arena, struct policy *out,
		struct problems *problems, struct err *err);

#endif
