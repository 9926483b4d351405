/*
 * Where environments may be: the places of one kind or other, and what is found in each. Blocking;
 * reader threads only. What it says are candidates; whether one is an environment, examine() tells.
 *
 * An environment is a folder with a folder `conda-meta` in it. One whose conda-meta is empty is
 * half made: it is watched, and counts from its first record or history on. A conda-meta that is a
 * file or a link is none, since nothing in a prefix is followed. Whatever is looked at is one
 * folder, however many names, links and mounts lead to it.
 *
 * Everything is bounded, and what a bound left out is counted in `struct discovery`.
 */
#ifndef ENVWARDEN_AGENT_READER_DISCOVER_H
#define ENVWARDEN_AGENT_READER_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct condarc_cache;
struct exclude;
struct mount_table;

enum place_kind {
	PLACE_HOME,	/* of an account: the usual folders in it, its condarc and pixi files */
	PLACE_REGISTRY, /* a ~/.conda: environments.txt, and its envs */
	PLACE_ENVS,	/* its folders are environments */
	PLACE_WALK,	/* a configured root: walked to a bounded depth */
	PLACE_PREFIX,	/* an environment or base: its envs, its condarc, its pixi project */
	PLACE_HOMES,	/* a folder of homes: those in it that nobody lists */
	PLACE_PIXI,	/* the .pixi of a project: its folders of environments, its config */
	PLACE_DETACHED, /* pixi's folder of projects' environments, apart from the projects */
	PLACE_SYSTEM,	/* no folder: what belongs to no account, the accounts, what runs */
};
#define PLACE_KINDS (PLACE_SYSTEM + 1)

#define DISCOVER_DEPTH 6       /* of a walk */
#define DISCOVER_FOLDERS 20000 /* folders opened in one walk, and entries of one folder */
/* A folder in a place is a candidate before it has a conda-meta if it changed so recently: it may
   have come just before the place was watched. So many of one place. */
#define DISCOVER_YOUNG_MS 60000
#define DISCOVER_YOUNG_MAX 64
#define DISCOVER_REGISTRY_MAX (1 << 20)
#define DISCOVER_REGISTRY_LINES 10000 /* of an environments.txt that count */

struct accounts;

/* A program that runs in a prefix. */
struct discover_program {
	const char *prefix; /* canonical */
	const char *named;  /* as the program names it */
	int64_t started_ms; /* monotonic; 0 unknown */
	uint32_t uid;
	bool repair; /* by its command line, part of a change (repairing.h) */
};

struct discovery {
	/* A prefix to look at. The path is borrowed. */
	int (*candidate)(void *ctx, const char *path);
	/* Another place to look at, and to watch. */
	int (*place)(void *ctx, enum place_kind kind, const char *path);
	/* Something runs in this prefix. NULL: running programs are not looked at. */
	int (*runs)(void *ctx, const struct discover_program *program);
	void *ctx;

	const struct exclude *exclude; /* never opened, nor what is below; NULL none */
	struct condarc_cache *condarc;
	struct accounts *accounts; /* NULL: the system is asked, which may take a while */
	/* What may be opened from this lane (platform/route.h); what lies elsewhere is told unseen,
	   to be looked at in its own. NULL: everything. */
	const struct mount_table *mounts;
	uint64_t group;
	const char *const *homes; /* known so far: shared configuration may name "~" */
	size_t n_homes;
	bool all_accounts; /* of the whole machine, not of the current account alone */
	int64_t now_ms;	   /* wall clock; 0: nothing is young */

	/* out */
	size_t cut;	  /* times a bound was reached */
	bool no_accounts; /* not listed in time: look again when they are told */
	bool personal; /* what it names differs from home to home: look again when there are more */
};

/*
 * ERR_NOTFOUND: the place does not exist (yet). A non-zero answer of a callback ends the walk and
 * is the result.
 */
int discover(enum place_kind kind, const char *path, struct discovery *to);

/* Whether an entry's coming or going in a place of this kind says that it must be looked at again.
 */
bool discover_cares(enum place_kind kind, const char *name);

#endif
