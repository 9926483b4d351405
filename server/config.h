/*
 * The server's configuration, server.conf in its state folder: "key = value" lines, '#' comments.
 * One schema table drives the parser, its errors and the file that `init` writes. An unknown key is
 * an error with its line. Pure.
 */
#ifndef ENVWARDEN_SERVER_CONFIG_H
#define ENVWARDEN_SERVER_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/net/address.h"
#include "proto/join_code.h"

#define CONFIG_FILE_MAX 65536
#define CONFIG_VALUE_MAX 512
#define CONFIG_AGENT_PORT 7443
#define CONFIG_ADMIN_PORT 7444

struct server_config {
	struct address agent_address; /* where agents are awaited; an IP address */
	struct address admin_address; /* the admin API; an IP address */
	/* What join codes tell agents to dial; none = worked out (addresses.h). */
	struct address public_address[JOIN_CODE_ADDRESSES_MAX];
	size_t n_public;
	const char *log_level;
	int64_t readers; /* threads that answer queries */
};

void config_init(struct server_config *config); /* the defaults */

/*
 * Takes over what the text says; texts live in the arena. ERR_INVALID: "line 3: unknown key "x"",
 * ERR_LIMIT, ERR_NOMEM. *config is usable on success only.
 */
int config_parse(const char *text, size_t n, struct arena *arena, struct server_config *config,
		 struct err *err);

/* Single values, as the command line gives them; the same rules and errors. */
int config_set(struct server_config *config, const char *key, const char *value, struct err *err);

/* Every key with its value and what it means, as a file that parses to the same. */
void config_print(const struct server_config *config, struct buf *out);

#endif
