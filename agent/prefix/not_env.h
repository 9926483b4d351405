/*
 * What looks like an environment and never is one: what lies in a package cache, and what was
 * thrown away. Told by the path and by the folders on it. Blocking; reader threads only.
 *
 *   package cache   a folder with a file `urls.txt` that is called "pkgs" or also has a file `urls`
 *                   (conda, mamba): neither it nor anything in it
 *   package         an unpacked one: `info/index.json` beside `info/files` or `info/paths.json`
 *                   (conda, mamba, rattler), wherever it lies, and with it its `info/test`
 *   trash           parts of the path that end in .conda_trash, .conda_trash_N, .mamba_trash
 *                   or .c~; a `.trash` of rattler's; a desktop's Trash
 */
#ifndef ENVWARDEN_AGENT_PREFIX_NOT_ENV_H
#define ENVWARDEN_AGENT_PREFIX_NOT_ENV_H

#include <stdbool.h>

/* path: canonical. */
bool not_env(const char *path);

/* By its text alone. */
bool not_env_is_trash(const char *path);

#endif
