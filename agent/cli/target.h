/*
 * Which environment is meant: what was typed, and the surroundings the agent resolves it by as
 * conda does (directory, CONDA_PREFIX, base, environments' folders).
 */
#ifndef ENVWARDEN_AGENT_CLI_TARGET_H
#define ENVWARDEN_AGENT_CLI_TARGET_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "platform/paths.h"
#include "proto/limits.h"
#include "proto/local.pb-c.h"

/* What a command line says; NULL = not given. At most one of the first three. */
struct target_words {
	const char *env;
	const char *prefix;
	const char *name;
	const char *base;
	const char *tool;
};

struct target {
	Envwarden__Local__Target wire; /* its texts live here; paths as text (text_from_path) */
	char *dirs[LIMIT_ENVS_DIRS];
	size_t used;
	char room[65536]; /* of all texts; what finds none is left out */
};

/* Fills *target, of whatever contents (it is too big to be zeroed in passing). ERR_USAGE: more than
 * one environment named, or text that no message can carry. */
int target_init(struct target *target, const struct target_words *words, struct err *err);

/*
 * The prefix that is meant, in the bytes the system has, as far as it can be told without the
 * agent. ERR_NOTFOUND: no directory of that name, or none was named and none is active.
 */
int target_resolve(const struct target *target, char out[PATHS_MAX], struct err *err);

/* A path as messages and stores have it (text_from_path). ERR_LIMIT: too long for them. */
int target_text(const char *path, char out[LIMIT_PATH + 1], struct err *err);

/* What to call it in a message: what was typed, or the last part of the path. */
const char *target_name(const struct target *target);

#endif
