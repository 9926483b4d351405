/*
 * Which decisions have to be made (again), and their making: a few at a time, read on the store's
 * thread, where the packages are, and evaluated on another, so that neither facts nor checks wait
 * for a policy that takes long. Results are kept with the environments (ruling.h).
 *
 * Loop thread, but for decisions_load and decisions_make. Knows no loop and no clock of its own:
 * the owner gives both.
 */
#ifndef ENVWARDEN_AGENT_DECISIONS_H
#define ENVWARDEN_AGENT_DECISIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/envs.h"
#include "agent/rulebook.h"
#include "agent/said.h"
#include "agent/store/store.h"

struct decisions;
struct decisions_step; /* some of them, on their way through the other threads */

/* What decisions are made of, beside the environments. Replaced as a whole. */
struct orders {
	struct said *said;
	struct rulebook *rules;
	bool logging;		/* off: everything is allowed */
	int64_t fresh_until_ms; /* INT64_MAX: however old all this gets */
	uint64_t acked;		/* changes up to here were known to who said it */
};

struct decisions_ops {
	int64_t (*now_ms)(void *ctx); /* trusted time */
	int64_t (*last_used_ms)(void *ctx, const struct env *env);
	/* Has decisions_load done on the store's thread, decisions_make on one where nobody waits
	 * for anything else, then decisions_done on the loop's. */
	void (*submit)(void *ctx, struct decisions_step *step);
	/* One was made; changed: it says something else than before. */
	void (*decided)(void *ctx, struct env *env, bool changed);
	/* Nothing is due any more until next_ms (INT64_MAX: until something changes), when
	 * decisions_time is to be called. changed: some decision has, since the last call. */
	void (*settled)(void *ctx, bool changed, int64_t next_ms);
};

/* The environments and ops outlive it. ERR_NOMEM. */
int decisions_new(struct envs *envs, const struct decisions_ops *ops, void *ctx,
		  struct decisions **out);
void decisions_free(struct decisions *d); /* no step may be under way; NULL is fine */

/* Has references of its own to what the orders point at. */
void decisions_orders(struct decisions *d, const struct orders *orders);
const struct orders *decisions_present(const struct decisions *d);

/* Its packages are others: those that follow its status for having the same may do so no longer,
 * or from now on. For before decisions_pump. */
void decisions_changed(struct decisions *d, const struct env *env);
/* Looks for what is due and begins; for after environments have changed. */
void decisions_pump(struct decisions *d);
/* Somebody waits for this one: it comes first. */
void decisions_want(struct decisions *d, struct env *env);
/* Something it is made of has changed (its grace, when it was used). */
void decisions_again(struct decisions *d, struct env *env);
/* Time has passed, or moved: what holds no longer is made again. */
void decisions_time(struct decisions *d);

/* Store's thread. Reads what they are made of, as far as there is room for it. */
void decisions_load(struct decisions_step *step, struct store *store);
/* A thread of its own. Evaluates what was read until its time is up: one at least, which takes as
 * long as the policy makes it, or until somebody cancels it. */
void decisions_make(struct decisions_step *step);
/* Loop thread, in place of both: there is no memory, or time, for it. */
void decisions_abandon(struct decisions *d, struct decisions_step *step);
/* What is being made is not wanted any more: it ends soon, and what was not finished by then has no
 * result. */
void decisions_cancel(struct decisions *d);
/* Nothing is being made. */
bool decisions_idle(const struct decisions *d);
/* Loop thread. Takes the results, releases the step and begins the next one. */
void decisions_done(struct decisions *d, struct decisions_step *step);

#endif
