/*
 * How long to wait before the next try: doubling from 1 s to 15 min, with jitter so that a fleet
 * does not come back in step, never earlier than the server asked for, and from the beginning again
 * after a connection that held for a while. Pure arithmetic; the caller brings time and chance.
 */
#ifndef ENVWARDEN_LIB_NET_BACKOFF_H
#define ENVWARDEN_LIB_NET_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS (15 * 60 * 1000)
#define BACKOFF_HEALTHY_MS (60 * 1000)	     /* a connection this long was a good one */
#define BACKOFF_HINT_MAX_MS (60 * 60 * 1000) /* a server may ask for this much patience */

struct backoff {
	unsigned failures; /* in a row; a zeroed struct is the start */
};

/* A connection that lived for so long ended: forgets the failures if it was healthy. */
void backoff_ended(struct backoff *b, int64_t lived_ms);

/*
 * Counts one more failure and returns the wait in ms: d/2 + chance * d/2 for d = 1 s, 2 s, 4 s ...
 * 15 min; with hint_ms > 0 at least hint + chance * hint/4. chance: 32 random bits.
 */
int64_t backoff_next(struct backoff *b, uint32_t chance, int64_t hint_ms);

#endif
