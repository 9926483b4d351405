/*
 * The fleet's package dictionary. A definition is a package with all its attributes but
 * `requested`, known by its 16-byte key (proto/canonical.h), which is computed here from what
 * arrived and never taken from a machine.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_PACKAGE_H
#define ENVWARDEN_SERVER_DB_DB_PACKAGE_H

#include "lib/conda/package.h"
#include "proto/canonical.h"
#include "server/db/db.h"

struct db_package {
	int64_t id;
	unsigned char key[PACKAGE_KEY_SIZE];
	struct package package; /* requested: in this environment, when listed for one */
	int64_t env_count;	/* live environments that have it */
	int64_t first_seen_ms;
};

/* Gets or creates; *created says which (may be NULL). Fields over their limits: ERR_LIMIT. */
int db_package_put(struct db_conn *conn, const struct package *package, int64_t now_ms, int64_t *id,
		   bool *created, struct err *err);
int db_package_get(struct db_conn *conn, const unsigned char key[PACKAGE_KEY_SIZE],
		   struct arena *arena, struct db_package *out, struct err *err); /* ERR_NOTFOUND */
/*
 * Of n keys (16 bytes each, end to end) those not known, in their order; *missing has room for all.
 */
int db_package_missing(struct db_conn *conn, const unsigned char *keys, size_t n,
		       unsigned char *missing, size_t *n_missing, struct err *err);

/*
 * The dictionary as proto/convert.h asks for it: {.find = db_dictionary_find, .ctx = dictionary}.
 * Packages live in the arena. `rc` keeps the first error other than "not there"; look at it when a
 * conversion fails.
 */
struct db_dictionary {
	struct db_conn *conn;
	struct arena *arena;
	int rc;
};
const struct package *db_dictionary_find(void *dictionary,
					 const unsigned char key[PACKAGE_KEY_SIZE]);

struct db_package_filter {
	const char *text;    /* substring of the name; NULL or "" = any */
	const char *name;    /* exact name; NULL or "" = any */
	const char *manager; /* NULL or "" = any */
};
/* By name, then id; continue with the last row's {name as text, id}. */
int db_package_list(struct db_conn *conn, const struct db_package_filter *filter,
		    const struct db_cursor *after, size_t limit, struct arena *arena,
		    struct db_package **out, size_t *n, struct err *err);

#endif
