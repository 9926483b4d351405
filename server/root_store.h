/* The newest root and what hangs on it, for `root`: a state folder that no server is serving. */
#ifndef ENVWARDEN_SERVER_ROOT_STORE_H
#define ENVWARDEN_SERVER_ROOT_STORE_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "platform/files.h"
#include "proto/signed.h"
#include "server/db/db.h"

struct root_store {
	const char *dir;
	struct arena arena;
	struct files_lock *lock; /* NULL: only read */
	struct db *db;
	struct db_conn *conn;
	struct root_info root; /* the newest */
};

/*
 * To change something takes the folder's lock (ERR_BUSY while it is served: the server has the keys
 * in memory and would go on with them). Close whatever open returned.
 */
int root_store_open(struct root_store *store, const char *dir, bool change, struct err *err);
void root_store_close(struct root_store *store);

/* What comes with a root: private keys to sign with from now on. */
struct root_key_file {
	const char *role;
	const char *path;
};

/*
 * Makes the signed root in the file the newest one: it must follow the one there is, and list the
 * keys this server signs with, those that come with it included (ERR_INVALID). Statuses are then
 * signed anew. Doing it again is harmless. *version is the new one's; *policy_min is 0, or the
 * version from which the policy has to be signed again by keys that count.
 */
int root_store_publish(struct root_store *store, const char *path, const struct root_key_file *keys,
		       size_t n_keys, uint64_t *version, uint64_t *policy_min, struct err *err);

#endif
