/* What the routes of policies share. */
#ifndef ENVWARDEN_SERVER_API_POLICY_REQUEST_H
#define ENVWARDEN_SERVER_API_POLICY_REQUEST_H

#include <stdint.h>

#include "server/db/db_policy.h"

struct policy_plan;
struct request;

/* A policy that was sent, as its YAML. */
struct policy_request {
	const char *source;
	const char *note;
	int64_t base; /* the version it was planned against; 0 = not said */
	struct policy_plan *plan;
};

/* Stores it with its Signed bytes, notes who did it, and answers. */
int policy_put_signed(struct db_conn *conn, struct request *r, const struct db_policy *policy,
		      const void *data, size_t n);

#endif
