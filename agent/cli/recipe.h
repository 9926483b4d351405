/*
 * The files from which an environment can be made again, as conda documents them. What packages
 * say of themselves is a claim of whoever owns the files: nothing of it can add a line or leave the
 * value it stands in, and what no such file can carry is left out with a comment.
 */
#ifndef ENVWARDEN_AGENT_CLI_RECIPE_H
#define ENVWARDEN_AGENT_CLI_RECIPE_H

#include "lib/base/buf.h"
#include "lib/conda/package.h"

struct recipe {
	const char *name;
	const char *platform;
	const struct package_list *packages;
};

/* "@EXPLICIT" and a URL with its hash for each package of conda's; pip's are comments. */
void recipe_explicit(const struct recipe *r, struct buf *out);

/* environment.yml: name, channels, every package pinned to its build, and a pip section. */
void recipe_yaml(const struct recipe *r, struct buf *out);

#endif
