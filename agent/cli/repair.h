/*
 * What is to be run to lift a warning or block. Pure: a decision in, steps out. A reason's fix is
 * text that an administrator wrote, or that the evaluator made (lib/policy/remedy.h); it is taken
 * apart without a shell, must begin with a tool that is known, and is made to be about this
 * environment and no other: by its path, whatever name or active environment it relied on.
 */
#ifndef ENVWARDEN_AGENT_CLI_REPAIR_H
#define ENVWARDEN_AGENT_CLI_REPAIR_H

#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/words.h"
#include "proto/convert.h"

#define REPAIR_PYTHON "python" /* the environment's own interpreter, running pip */

struct repair_step {
	const struct reason *reason; /* the first one it is for */
	const char *why;	     /* why there is nothing to run; NULL: there is */
	const char *tool;	     /* conda, mamba, micromamba, pixi, uv, or REPAIR_PYTHON */
	struct words words;	     /* the first is the tool, to be replaced by its program */
	const char *command;	     /* the words quoted for a shell, to be shown */
};

struct repair {
	struct repair_step *steps; /* as the reasons stand; the same command once */
	size_t n;
	size_t n_runnable;
};

struct repair_input {
	const struct environment_info *environment;
	const struct decision *decision;
	const char *prefix; /* the environment's, in the bytes the system has */
};

/* Everything in *out is in the arena, or the input's. ERR_NOMEM. */
int repair_plan(const struct repair_input *in, struct arena *arena, struct repair *out);

#endif
