/* Where an environment of a pixi workspace is. */
#ifndef ENVWARDEN_AGENT_CLI_PIXI_H
#define ENVWARDEN_AGENT_CLI_PIXI_H

#include "lib/base/err.h"
#include "platform/paths.h"

/*
 * As pixi finds it: in the workspace of the manifest (a file or its folder), else in the nearest
 * workspace at or above the current directory; there it is <workspace>/.pixi/envs/<name>, which
 * may be a link to where detached environments are. ERR_NOTFOUND: no such workspace, or the
 * environment was not made yet; ERR_INVALID: no environment can have that name.
 */
int pixi_find(const char *manifest, const char *name, char out[PATHS_MAX], struct err *err);

#endif
