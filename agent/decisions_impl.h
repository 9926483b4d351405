/* One step of making decisions, as the loop's side (decisions.c) and the other threads'
 * (decisions_step.c) see it: filled by the one, worked on by the others, taken back. */
#ifndef ENVWARDEN_AGENT_DECISIONS_IMPL_H
#define ENVWARDEN_AGENT_DECISIONS_IMPL_H

#include <stdatomic.h>

#include "agent/core/decide.h"
#include "agent/decisions.h"

#define STEP_ITEMS 16

struct item {
	struct policy_facts facts;
	struct status_entry status;
	bool has_status;
	enum decide_follows follows;
	struct ruling ruling;	      /* as it was: graces and unlock codes; owns nothing */
	struct package_list packages; /* in the step's arena */
	bool loaded;
	bool done;
	bool canceled; /* while it was made */
	int rc;
	struct kept_decision *kept;
	int64_t valid_until_ms;
};

struct decisions_step {
	struct orders orders; /* with references */
	int64_t now_ms;
	atomic_bool canceled;
	bool put_off;		   /* ... as others are waited for; loop thread */
	_Atomic uint64_t began_ns; /* the decision that is being made, 0 none (uv_hrtime) */
	atomic_size_t making;	   /* ... which item that is */
	struct arena texts;	   /* of the items' facts */
	struct arena loaded;	   /* and their packages */
	struct item items[STEP_ITEMS];
	size_t n;
};

/* Loop thread: what is being made is the decision on another environment, takes long, and was not
 * put off too often. */
bool decisions_step_holds_up(const struct decisions_step *step, const struct uuid *environment);

#endif
