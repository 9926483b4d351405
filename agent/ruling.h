/*
 * The decision on one environment as it is kept in memory, and what goes with it. Allowing costs
 * nothing beside the struct; reasons with all their texts are one block of memory.
 */
#ifndef ENVWARDEN_AGENT_RULING_H
#define ENVWARDEN_AGENT_RULING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/policy/eval.h"

/* Something to say; everything it points at is in the block it begins. */
struct kept_decision {
	enum action action;
	char case_code[CASE_CODE_MAX];
	struct reason *reasons;
	size_t n_reasons;
	struct reason *monitored; /* what rules in monitor mode would have said */
	size_t n_monitored;
};

/* NULL in *out: allowed, without a word. Released by mem_free. ERR_NOMEM. */
int kept_decision_new(const struct evaluation *from, struct kept_decision **out);
bool kept_decision_equal(const struct kept_decision *a, const struct kept_decision *b);

struct ruling {
	struct kept_decision *kept; /* NULL: allowed, without a word; or not known yet */
	int64_t valid_until_ms;	    /* trusted time */
	int64_t decided_ms;	    /* trusted time */
	bool known;		    /* was decided since the agent started */
	bool due;		    /* what it is made of has changed since */
	bool urgent;		    /* somebody waits for it */
	bool deciding;		    /* under way */
	unsigned short put_off;	    /* how often in a row it took too long beside others */

	/* Counted since the store was made. */
	uint64_t checks;
	uint64_t warnings;
	uint64_t refusals;
	uint64_t runs_after_block;
	int64_t blocked_ms; /* monotonic: since when it is blocked without a break; 0 it is not */
	bool counted;	    /* something was, since it was stored last */
	bool untold;	    /* the server has not heard how it is now */
	bool telling;	    /* a report with it is under way */
	unsigned char told[8]; /* which decision the server has heard of; zeroes: none */

	/* The grace its user took, and the code it was unlocked with. */
	int64_t deferred_until_ms;
	char deferred_case[CASE_CODE_MAX]; /* for these reasons */
	int64_t unlocked_until_ms;
	uint32_t unlocked_serial;
	bool unlocked_status; /* an explicit block too */
};
void ruling_deinit(struct ruling *ruling);

enum action ruling_action(const struct ruling *ruling);
/* Whether it may be answered as it is. */
bool ruling_fresh(const struct ruling *ruling, int64_t now_ms);

#endif
