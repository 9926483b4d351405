/*
 * The server's state folder: what is where, and taking it into use. It belongs to one account, is
 * closed to all others, and is served by one process at a time; tools may write to the database
 * meanwhile.
 */
#ifndef ENVWARDEN_SERVER_STATE_DIR_H
#define ENVWARDEN_SERVER_STATE_DIR_H

#include <stdbool.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/net/address.h"
#include "platform/paths.h"
#include "server/config.h"

#define STATE_CONFIG "server.conf"
#define STATE_DATABASE "envwarden.db"
#define STATE_ROOT_PEM "ca.pem"	    /* the root certificate, for admins' tools */
#define STATE_LOCK "lock"	    /* held by `serve` */
#define STATE_LISTENING "listening" /* where the last `serve` listened */
#define STATE_ADMIN_CERT "admin.crt.pem"
#define STATE_ADMIN_KEY "admin.key.pem"

/*
 * Checks that it is a server's, and ours (ERR_NOTFOUND, ERR_PERM: texts say what to do), and reads
 * its configuration.
 */
int state_open(const char *dir, struct arena *arena, struct server_config *config, struct err *err);

/*
 * Where the database is. ERR_NOTFOUND: it is not there; it is made by `init` and `restore` alone,
 * since an empty one would be taken for a server that has forgotten everything.
 */
int state_database(const char *dir, char out[PATHS_MAX], struct err *err);

/* Where a server listens for agents, or did when it did not end properly; false: not known. */
bool state_listening(const char *dir, struct address *out);

/*
 * The addresses join codes carry: those of the configuration, else `listening` (NULL = not known),
 * else where the configuration says to listen. A wildcard is told as this machine's name. Returns
 * how many (1 to JOIN_CODE_ADDRESSES_MAX).
 */
size_t state_public_addresses(const struct server_config *config, const struct address *listening,
			      struct address out[JOIN_CODE_ADDRESSES_MAX]);

/* 0.0.0.0 or ::, which listen everywhere and cannot be dialled. */
bool address_is_wildcard(const struct address *address);

/* The lines "agent=host:port" and "admin=host:port", replaced as a whole. */
int state_write_listening(const char *path, const struct address *agent,
			  const struct address *admin, struct err *err);

#endif
