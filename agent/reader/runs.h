/*
 * What was seen to run, gathered until the core is told: of each account its newest program in a
 * prefix, and its newest one that is part of a change, as all are while that is under way. Bounded,
 * in all and for each account. Loop thread.
 */
#ifndef ENVWARDEN_AGENT_READER_RUNS_H
#define ENVWARDEN_AGENT_READER_RUNS_H

#include <stddef.h>

#include "agent/reader/discover.h"
#include "proto/reader.pb-c.h"

struct entries;

#define RUNS_MAX 2048	 /* prefixes that an account runs something in */
#define RUNS_PER_UID 512 /* ... one account */

struct runs {
	Envwarden__Reader__RunningProgram items[RUNS_MAX];
	size_t n;
};
void runs_free(struct runs *runs); /* also of a zeroed struct, and twice */

/* entries: tell what is in the middle of a change. What there is no room for is left out. */
void runs_add(struct runs *runs, const struct entries *entries,
	      const struct discover_program *program);
/* All of it, in as many messages as it takes; then none is left. */
void runs_send(struct runs *runs, void *ctx,
	       void (*send)(void *ctx, const Envwarden__Reader__Envelope *message));

#endif
