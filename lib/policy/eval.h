/*
 * Evaluation: facts, policy and time in, a decision out. Pure, bounded and deterministic, so that
 * the server's previews and the agent's answers are the same.
 *
 *   explicit block > rule's block > explicit warning > rule's warning > allow
 *
 * Exceptions lift rules; one that says so lifts an explicit block too. All reasons are told, the
 * strongest first; of more than DECISION_REASONS_MAX the first ones, by the order above, then that
 * of the rules, then that of the packages. The case is made of the first ones that there are in the
 * same order, but as if nothing were put off or dated: it stays the same when they begin to block.
 */
#ifndef ENVWARDEN_LIB_POLICY_EVAL_H
#define ENVWARDEN_LIB_POLICY_EVAL_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/policy/decision.h"
#include "lib/policy/facts.h"
#include "lib/policy/rule_index.h"

struct eval_input {
	const struct policy_facts *facts;
	const struct rule_index *index;	   /* NULL: there is no policy */
	const struct status_entry *status; /* explicit, NULL = none */
	const struct exception *granted; /* beside the policy's: for this machine's environments */
	size_t n_granted;
	/* Rules' blocks are warnings until then, 0 = not deferred; but if reasons are others than
	 * those of this case there is no grace. NULL: whatever they are. */
	int64_t deferred_until_ms;
	const char *deferred_case;
	int64_t now_ms;		     /* trusted time */
	const atomic_bool *canceled; /* set meanwhile: nobody waits any more; NULL = never */
};

struct evaluation {
	struct decision decision;
	struct reason *monitored; /* what rules in monitor mode would have said */
	size_t n_monitored;
};

/* Everything *out points at is in arena, or the policy's or the facts'. ERR_NOMEM, ERR_CANCELED. */
int policy_eval(const struct eval_input *in, struct arena *arena, struct evaluation *out);

/*
 * The case code of an environment and the reasons it has: "EW-" and 4 letters and digits, the same
 * in whatever order the reasons stand and whatever they do at the moment (warn or block). At most
 * DECISION_REASONS_MAX reasons. ERR_NOMEM.
 */
int case_code_make(const struct uuid *environment, const struct reason *reasons, size_t n,
		   char out[CASE_CODE_MAX]);

#endif
