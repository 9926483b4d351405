/*
 * The decision on an activation, whatever happens: from the agents, else from what they left in
 * their fallback files (formats.md 6), else "allow". Where both a machine agent and another are
 * asked, the stricter answer holds.
 */
#ifndef ENVWARDEN_AGENT_CLI_ASK_H
#define ENVWARDEN_AGENT_CLI_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/cli/target.h"
#include "lib/base/arena.h"
#include "proto/convert.h"

/* One agent: where it listens, and what it leaves for the time it does not. */
struct ask_place {
	const char *socket;   /* NULL = there is none */
	const char *fallback; /* NULL = none */
};

struct ask {
	struct ask_place machine;
	struct ask_place own; /* the named socket's, or this account's own */
	const struct target *target;
	bool interactive;    /* somebody is activating it */
	bool active;	     /* it is active already */
	int64_t deadline_ms; /* for all of it, clock_system's mono_ms */
};

/* Room for the paths of both, one behind the other, so that few pages are touched. */
struct ask_places {
	size_t used;
	char room[4 * PATHS_MAX];
};

/* Fills in whom to ask: the machine agent's fixed places, and those of the named socket (NULL:
 * none) or else this account's own. They point into *places. */
void ask_find_places(struct ask_places *places, const char *named, struct ask *request);

/* Cannot fail. *out points into the arena, the request and the target; its source is "agent",
 * "fallback" or "default", and without an agent its notice says why. One thread only. */
void ask(const struct ask *request, struct arena *arena, struct decision_reply *out);

#endif
