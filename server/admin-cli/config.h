/*
 * What is remembered between runs: "key = value" lines (server, ca, token) in
 * $ENVWARDEN_ADMIN_CONFIG, else envwarden/admin.conf below the user's configuration folder. It
 * holds the token, so it must be readable by its owner alone.
 */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_CONFIG_H
#define ENVWARDEN_SERVER_ADMIN_CLI_CONFIG_H

#include "lib/base/err.h"
#include "platform/paths.h"

#define CONFIG_SERVER_MAX 512
#define CONFIG_TOKEN_MAX 128

struct config {
	char path[PATHS_MAX]; /* of the file */
	char server[CONFIG_SERVER_MAX];
	char ca[PATHS_MAX];
	char token[CONFIG_TOKEN_MAX];
};

/* A file that is not there is an empty one. ERR_PERM, ERR_INVALID (with the line), ERR_LIMIT. */
int config_load(struct config *out, struct err *err);
int config_save(const struct config *config, struct err *err);

/* The token in a file of its own. */
int config_read_token(const char *path, char token[CONFIG_TOKEN_MAX], struct err *err);

#endif
