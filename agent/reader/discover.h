/*
 * Where environments may be: the places of one kind or other, and what is found in each. Blocking;
 * reader threads only. What it says are candidates; whether one is an environment, examine() tells.
 */
#ifndef ENVWARDEN_AGENT_READER_DISCOVER_H
#define ENVWARDEN_AGENT_READER_DISCOVER_H

#include <stdbool.h>

#include "lib/base/err.h"

enum place_kind {
	PLACE_HOME,	/* of an account: the usual folders in it */
	PLACE_REGISTRY, /* a ~/.conda: environments.txt, and its envs */
	PLACE_ENVS,	/* its folders are environments */
	PLACE_WALK,	/* a configured root: walked to a bounded depth */
};

#define DISCOVER_DEPTH 6       /* of a walk */
#define DISCOVER_FOLDERS 20000 /* folders opened in one walk */
#define DISCOVER_REGISTRY_MAX (1 << 20)
#define DISCOVER_REGISTRY_LINES 10000 /* of an environments.txt that count */

struct discovery {
	/* A prefix to look at. The path is borrowed. */
	int (*candidate)(void *ctx, const char *path);
	/* Another place to look at, and to watch. */
	int (*place)(void *ctx, enum place_kind kind, const char *path);
	void *ctx;
};

/*
 * ERR_NOTFOUND: the place does not exist (yet). A non-zero answer of a callback ends the walk and
 * is the result.
 */
int discover(enum place_kind kind, const char *path, const struct discovery *to);

/* The places that belong to no account: /opt/conda and the like. */
int discover_system(const struct discovery *to);

/* Whether an entry's coming or going in a place of this kind says that it must be looked at again.
 */
bool discover_cares(enum place_kind kind, const char *name);

#endif
