/*
 * From what somebody typed to the prefixes it may mean, in the order conda tries them. Pure: which
 * of them exists, the reader tells.
 */
#ifndef ENVWARDEN_AGENT_CORE_RESOLVE_H
#define ENVWARDEN_AGENT_CORE_RESOLVE_H

#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define RESOLVE_CANDIDATES_MAX 96

enum resolve_kind {
	RESOLVE_DEFAULT, /* the active environment */
	RESOLVE_ENV,	 /* a name or, with a slash in it, a path */
	RESOLVE_PREFIX,
	RESOLVE_NAME,
};

struct resolve_input {
	enum resolve_kind kind;
	const char *typed;
	const char *cwd;
	const char *conda_prefix;     /* $CONDA_PREFIX, "" none */
	const char *base;	      /* root prefix, "" unknown */
	const char *home;	      /* of who asks, "" unknown */
	const char *const *envs_dirs; /* CONDA_ENVS_DIRS */
	size_t n_envs_dirs;
};

struct resolved {
	const char *candidates[RESOLVE_CANDIDATES_MAX]; /* absolute, normalised; in the arena */
	size_t n;
};

/*
 * ERR_INVALID with one line for the member: nothing typed and no environment active, a relative
 * path without a folder to start from, a name with characters no name has. ERR_NOMEM.
 */
int resolve(const struct resolve_input *in, struct arena *arena, struct resolved *out,
	    struct err *err);

/* Adds a candidate unless it is there already. ERR_NOMEM; ignored when there is no room. */
int resolve_add(struct resolved *out, struct arena *arena, const char *path);

#endif
