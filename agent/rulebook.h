/*
 * The policy in force, compiled. Immutable once read, in memory of its own, shared by reference
 * count as struct said is (said.h).
 */
#ifndef ENVWARDEN_AGENT_RULEBOOK_H
#define ENVWARDEN_AGENT_RULEBOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/policy/rule_index.h"
#include "proto/bundle.pb-c.h"
#include "proto/fallback.h"

struct rulebook {
	unsigned refs;
	struct arena arena; /* the message too, whose texts the policy borrows */
	uint64_t version;
	struct policy policy;
	struct rule_index *index;
	enum agent_down when_agent_down;
	/* The shortest time some condition asks for that an environment is unused; INT64_MAX none.
	 */
	int64_t unused_for_ms;
};

/*
 * One reference is the caller's. Takes the arena with the message over when it succeeds (the
 * caller's is empty then). ERR_INVALID, ERR_NOMEM.
 */
int rulebook_read(const Envwarden__Bundle__Policy *wire, uint64_t version, struct arena *arena,
		  struct rulebook **out, struct err *err);
struct rulebook *rulebook_hold(struct rulebook *rules); /* NULL stays NULL */
void rulebook_drop(struct rulebook *rules);		/* NULL is fine */

#endif
