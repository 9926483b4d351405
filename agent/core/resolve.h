/*
 * From what somebody typed to the prefixes it may mean, in the order conda tries them (conda:
 * conda/activate.py `_resolve_prefix`, conda/base/context.py `locate_prefix_by_name`; libmamba:
 * api/configuration.cpp `compute_prefix_from_name`). Pure: which of them exists, the reader tells.
 * The first that is a directory is meant, whether it is an environment or not.
 */
#ifndef ENVWARDEN_AGENT_CORE_RESOLVE_H
#define ENVWARDEN_AGENT_CORE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/core/expand.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"

#define RESOLVE_CANDIDATES_MAX 512

enum resolve_kind {
	RESOLVE_DEFAULT, /* the active environment */
	RESOLVE_ENV,	 /* a name or, with a slash in it, a path */
	RESOLVE_PREFIX,
	RESOLVE_NAME,
};

struct resolve_input {
	enum resolve_kind kind;
	const char *typed;
	struct expand_context where; /* of who asks: home, cwd, base, active environment */
	bool mamba;		     /* mamba or micromamba asks, not conda */
	bool base_read_only;	     /* for who asks: conda then looks into ~/.conda/envs first */
	/* The folders that hold named environments as configured, in order; not yet expanded. */
	const char *const *envs_dirs;
	size_t n_envs_dirs;
};

struct resolved {
	const char *candidates[RESOLVE_CANDIDATES_MAX]; /* absolute, normalised; in the arena */
	size_t n;
};

/* Whether it is looked for in folders, and so envs_dirs matter. */
bool resolve_by_name(enum resolve_kind kind, const char *typed);

/*
 * What is no name may mean one path only, absolute and normalised then. ERR_INVALID with one line
 * for the member: no environment active, or a relative path without a folder to start from.
 */
int resolve_path(const struct resolve_input *in, char out[EXPAND_PATH_MAX], struct err *err);

/*
 * Whatever is meant. ERR_INVALID with one line for the member: nothing typed and no environment
 * active, a relative path without a folder to start from, a name with characters no name has.
 * ERR_NOMEM.
 */
int resolve(const struct resolve_input *in, struct arena *arena, struct resolved *out,
	    struct err *err);

/* Adds a candidate unless it is there already. ERR_NOMEM; ignored when there is no room. */
int resolve_add(struct resolved *out, struct arena *arena, const char *path);

#endif
