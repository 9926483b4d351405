/*
 * A path as people write it into a configuration file or type it, made absolute as conda makes it:
 * variables, then "~", then relative to a folder, then "." and ".." by text (conda:
 * conda/common/path `expand`). Pure. Of variables those of the asking user that the agent can know
 * count: HOME, USER, LOGNAME, CONDA_PREFIX, CONDA_ROOT. Any other stays as it is written, as one
 * does in conda that is not set.
 */
#ifndef ENVWARDEN_AGENT_CORE_EXPAND_H
#define ENVWARDEN_AGENT_CORE_EXPAND_H

#include <stdbool.h>
#include <stddef.h>

#define EXPAND_PATH_MAX 4096

/* Texts may be NULL or "": unknown. */
struct expand_context {
	const char *home;
	const char *user; /* the account's name */
	const char *conda_prefix;
	const char *base;
	const char *cwd; /* what a relative path starts from */
	/* The home of another account, for "~name/"; false: there is none. May be NULL. */
	bool (*home_of)(void *ctx, const char *name, char home[EXPAND_PATH_MAX]);
	void *ctx;
};

/* ERR_INVALID: what comes out is no absolute path; ERR_LIMIT: too long. */
int expand_path(const struct expand_context *context, const char *text, char out[EXPAND_PATH_MAX]);

/* Whether what it comes to depends on who asks. */
bool expand_is_personal(const char *text);

/* "/a//b/./c/../d" -> "/a/b/d", in place, by text: what is a link is not asked. */
void expand_normalise(char *path);

#endif
