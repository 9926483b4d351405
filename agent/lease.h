/*
 * Leave for the core to answer for an environment without asking the reader each time.
 *
 * A check is answered when the reader has said that nothing has happened to the environment since
 * its last facts. As long as that goes on to be so, asking again is two changes of process for the
 * same answer. So the reader, when it is asked, lends its word on it: a lease is good until
 *   - the reader takes all leases back: one of the environments lent is not at rest any more,
 *   - the reader is awake: it may be about to take them back,
 *   - an event of any watch waits to be read: it may be about that environment.
 * The first two are one number in shared memory that the reader writes: twice the epoch of the
 * leases that are good, plus one while it is awake. The last is asked of the system: the core has
 * the queue of the reader's watches too, and never reads it.
 *
 * Why nothing is missed: a change that had ended before the check came has put its event into the
 * queue before the core looks. Either it is still there, or the reader has taken it out, and it
 * says that it is awake before it does, and takes the leases back before it rests again. So the
 * holder looks at the queue first, then at the number.
 *
 * (The idea is that of callbacks in AFS and of delegations in NFSv4, RFC 8881 section 10.)
 *
 * The supervisor makes both ends and gives them to the two processes. Where a system has no such
 * queue or memory there are no leases, and the reader is asked. Each end is one thread's.
 */
#ifndef ENVWARDEN_AGENT_LEASE_H
#define ENVWARDEN_AGENT_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

#define LEASE_NONE 0 /* no epoch */

/* Descriptors; -1: there is none. */
struct lease_ends {
	int word;  /* shared_word.h */
	int queue; /* of watches, watch.h */
};

/* On failure there is none of them. */
int lease_ends_new(struct lease_ends *out, struct err *err);
void lease_ends_close(struct lease_ends *ends); /* idempotent */

/* --- the reader --- */

struct lease_lender {
	_Atomic uint64_t *word; /* NULL: nobody borrows */
	bool awake;
};

/* Awake, nothing lent. The descriptor stays the caller's. */
int lease_lender_open(struct lease_lender *lender, int word, struct err *err);
void lease_lender_close(struct lease_lender *lender);

/* Before anything is taken out of the queue; cheap when it is awake. */
void lease_wake(struct lease_lender *lender);
/* Nothing is under way any more: leases of this epoch (> LEASE_NONE) are good. */
void lease_rest(struct lease_lender *lender, uint64_t epoch);

/* --- the core --- */

struct lease_holder {
	const _Atomic uint64_t *word; /* NULL: none is ever good */
	int queue;
	int mounts;	   /* mounts.h: these tell no queue */
	uint64_t remounts; /* changes of them noticed so far */
};

/* Takes over both descriptors, on failure too; -1 are fine, nothing is good then. */
int lease_holder_open(struct lease_holder *holder, struct lease_ends *ends, struct err *err);
void lease_holder_close(struct lease_holder *holder);

/*
 * What is at a path may be another thing after a mount, of which no watch tells. A lease is good
 * only while this is what it was when the reader was asked for it.
 */
uint64_t lease_remounts(struct lease_holder *holder);
/* Whether a lease of that epoch is good now. */
bool lease_is_good(const struct lease_holder *holder, uint64_t epoch);

#endif
