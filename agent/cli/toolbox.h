/*
 * Where a tool is that may change an environment: the one that owns it before any other of its
 * name. Looks at the file system, the environment's history and this process's variables.
 */
#ifndef ENVWARDEN_AGENT_CLI_TOOLBOX_H
#define ENVWARDEN_AGENT_CLI_TOOLBOX_H

#include "lib/base/err.h"
#include "platform/paths.h"

/*
 * The path of a repair step's tool (repair.h) for the environment at `prefix`. conda, mamba and
 * micromamba: in the prefix if it is a base, in the base whose envs folder it lies in, where its
 * last change was made from, what CONDA_EXE or MAMBA_EXE name, PATH. ERR_NOTFOUND.
 */
int toolbox_find(const char *tool, const char *prefix, char out[PATHS_MAX], struct err *err);

#endif
