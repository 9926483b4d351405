/*
 * Whether agents can hold a policy. Patterns and specs take many times their bytes when they are
 * made ready, and an agent that has no room for a policy keeps the one before: so that is to be
 * known before it is signed.
 */
#ifndef ENVWARDEN_SERVER_API_POLICY_FITS_H
#define ENVWARDEN_SERVER_API_POLICY_FITS_H

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/policy/policy.h"

/* What agents have for a set (LIMIT_BUNDLE_MEMORY) but for its other roles. */
#define POLICY_FITS_MEMORY ((size_t)192 << 20)

/* Reads the policy as agents do, within so much memory. ERR_LIMIT: it is too big for them;
 * ERR_NOMEM: there is no memory to tell. */
int policy_fits(const struct policy *policy, size_t memory_max, struct err *err);

/* ERR_LIMIT, with these words. */
int policy_fits_not(size_t memory_max, struct err *err);

#endif
