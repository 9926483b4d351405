/*
 * What the agent wants done in conda bases (proto/wanted.h), as whoever may do it takes it: by the
 * file in the agent's state folder. Root believes nothing of it: the file is taken and read in a
 * process that has become the folder's owner, must be a regular file that nobody else may write to,
 * and what is in it are candidates, no more.
 */
#ifndef ENVWARDEN_AGENT_CLI_WANTED_H
#define ENVWARDEN_AGENT_CLI_WANTED_H

#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "proto/wanted.h"

/*
 * Takes the request away and reads it; what comes later is another one. *n is 0 when there is none.
 * state_dir: NULL = of the agent that is asked by default. Whatever is wrong with it, it is gone
 * afterwards, so that nobody is started for it again. ERR_PERM, ERR_INVALID: no file that is to be
 * trusted; ERR_CORRUPT, ERR_UNSUPPORTED, ERR_LIMIT: not such a file.
 */
int wanted_take(const char *state_dir, struct arena *arena, const struct wanted_base **out,
		size_t *n, struct err *err);

#endif
