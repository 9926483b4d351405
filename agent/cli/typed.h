/*
 * What a command line of conda, mamba, micromamba or pixi is about to activate: the shell
 * integrations pass it on as it was typed, so that it is read in one place and not in each shell's
 * language. Read as those tools read it (conda/activate.py; libmamba's activate and run; pixi's
 * shell, shell-hook and run); what they would refuse may come out as anything. Pure.
 */
#ifndef ENVWARDEN_AGENT_CLI_TYPED_H
#define ENVWARDEN_AGENT_CLI_TYPED_H

#include <stddef.h>

enum typed_kind {
	TYPED_NOTHING, /* it activates nothing, or nobody can tell what */
	TYPED_ACTIVE,  /* what is active already; the base if nothing is */
	TYPED_ENV,     /* by name or path */
	TYPED_NAME,
	TYPED_PREFIX,
	TYPED_PIXI, /* an environment of a workspace of pixi */
};

struct typed {
	enum typed_kind kind;
	const char *what;     /* name or path; TYPED_PIXI: its name */
	const char *manifest; /* TYPED_PIXI: the workspace's manifest or its folder; NULL = here */
};

/* words: without the tool itself. The result points into them. */
struct typed typed_read(const char *tool, size_t n, char *const *words);

#endif
