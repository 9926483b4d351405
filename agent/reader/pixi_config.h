/*
 * Where pixi puts environments apart from their projects: the top-level key `detached-environments`
 * of its config.toml. No TOML library in C is packaged for Debian, and one key needs none: this is
 * a scanner that knows as much of TOML as it takes to find the key and to not mistake for it what
 * stands in a string, a comment, an array or a table. Pure.
 */
#ifndef ENVWARDEN_AGENT_READER_PIXI_CONFIG_H
#define ENVWARDEN_AGENT_READER_PIXI_CONFIG_H

#include <stddef.h>

#include "lib/base/err.h"

#define PIXI_CONFIG_MAX (256 * 1024)
#define PIXI_PATH_MAX 4096

enum pixi_detached {
	PIXI_DETACHED_NO,
	PIXI_DETACHED_DEFAULT, /* `true`: the folder "envs" of pixi's cache */
	PIXI_DETACHED_PATH,
};

struct pixi_config {
	enum pixi_detached detached;
	char path[PIXI_PATH_MAX]; /* as written, perhaps with a "~" in front */
};

/* ERR_INVALID: the key has a value of another kind, or the text ends inside a string; ERR_LIMIT. */
int pixi_config_parse(const void *data, size_t n, struct pixi_config *out, struct err *err);

#endif
