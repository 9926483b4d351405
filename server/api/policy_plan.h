/*
 * What a policy would change: every live environment is decided by the present policy and by the
 * new one (lib/policy/eval.h, the code agents use), some environments a step.
 */
#ifndef ENVWARDEN_SERVER_API_POLICY_PLAN_H
#define ENVWARDEN_SERVER_API_POLICY_PLAN_H

#include "lib/base/json.h"
#include "lib/policy/policy.h"
#include "lib/policy/problems.h"
#include "server/db/db.h"

#define PLAN_STEP 100	 /* environments */
#define PLAN_LISTED 1000 /* of those that change; the others are counted */

struct policy_plan;

/* Reads and checks the source. ERR_INVALID: it has errors, told by policy_plan_problems. */
int policy_plan_new(const char *source, int64_t now_ms, struct policy_plan **out, struct err *err);
void policy_plan_free(struct policy_plan *plan); /* NULL is fine */

/* Whether it can be used, and why not. */
bool policy_plan_good(const struct policy_plan *plan);
const struct problems *policy_plan_problems(const struct policy_plan *plan);
const struct policy *policy_plan_policy(const struct policy_plan *plan);

/* 1: call again; 0: all environments were seen. Begins by reading the present policy. */
int policy_plan_step(struct db_conn *conn, struct policy_plan *plan, struct err *err);

/* Members of an open object: base, environments, changes, blocks, ..., problems. */
void policy_plan_write(const struct policy_plan *plan, struct json_writer *w);

#endif
