/*
 * The agent's configuration: "key = value" lines, '#' comments. One schema table drives the parser,
 * its errors, --print-config and docs/deployment.md. An unknown key is an error with its line.
 */
#ifndef ENVWARDEN_AGENT_CONFIG_H
#define ENVWARDEN_AGENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define CONFIG_FILE_MAX 65536
#define CONFIG_VALUE_MAX 4096
#define CONFIG_LIST_MAX 64
#define CONFIG_LABEL_MAX 64 /* bytes */

struct config_list {
	const char *items[CONFIG_LIST_MAX];
	size_t n;
};

struct config {
	struct config_list server;  /* host:port, tried in order; before those of the join code */
	struct config_list roots;   /* more folders to search for environments */
	struct config_list exclude; /* folders that are left alone */
	struct config_list
		hash_paths;	   /* patterns of paths that are told as keyed hashes, or "on" */
	struct config_list labels; /* wishes */
	const char *proxy;	   /* host:port of an HTTP proxy, "" none */
	const char *log_level;
	int64_t settle_ms;
	int64_t sweep_s;
	int64_t blocked_look_s; /* at what runs in environments that are blocked */
	int64_t poll_s;
	int64_t journal_max_mb;
	bool running;	/* running programs tell where environments are */
	bool last_used; /* when environments were last used is kept, shown and told */
};

/* The defaults. */
void config_init(struct config *config);

/*
 * Takes over what the text says; strings live in the arena. ERR_INVALID: "line 12: unknown key
 * "setle_ms"; did you mean settle_ms?", ERR_LIMIT, ERR_NOMEM. *config is usable on success only.
 */
int config_parse(const char *text, size_t n, struct arena *arena, struct config *config,
		 struct err *err);

/* Every key with its value and what it means, as a file that parses to the same. */
void config_print(const struct config *config, struct buf *out);

#endif
