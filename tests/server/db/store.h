/*
 * A store in a folder of the test's own, with one writing connection inside a transaction, and
 * journals whose chain is right. Failures end the test.
 */
#ifndef ENVWARDEN_TESTS_SERVER_DB_STORE_H
#define ENVWARDEN_TESTS_SERVER_DB_STORE_H

#include "lib/conda/change.h"
#include "server/db/db_journal.h"
#include "server/db/db_machine.h"
#include "tests/support/tmpdir.h"

#define T0 INT64_C(1764000000000)

struct store {
	struct tmpdir dir;
	char path[TMPDIR_PATH_MAX];
	struct db *db;
	struct db_conn *conn;
	struct arena arena;
	struct err err;
};

/* For cmocka: *state is a struct store with an open transaction. */
int store_setup(void **state);
int store_teardown(void **state);
void store_commit(struct store *s); /* and begins the next */

struct uuid id_of(unsigned char n);			     /* 16 bytes made from a number */
struct uuid store_machine(struct store *s, unsigned char n); /* enrols machine n, "host-<n>" */

/* A journal being written: each change continues the chain. */
struct journal_writer {
	struct uuid machine;
	struct uuid epoch;
	uint64_t head;
	unsigned char hash[SHA256_SIZE];
};

/* A package of a name and version, and with `requested`. */
struct package package_of(const char *name, const char *version);

/* A change of a kind on environment n at its prefix; package lists are added by the test. */
struct change change_of(enum change_kind kind, unsigned char env, const char *prefix);

/*
 * Numbers and chains the change and appends it alone; returns what db_journal_append returns. On
 * success the writer's head moves. The change's package arrays are freed.
 */
int journal_write(struct store *s, struct journal_writer *w, struct change *c);

/* journal_write of a `created` with these packages ("name=version", NULL at the end). */
void env_make(struct store *s, struct journal_writer *w, unsigned char env, const char *prefix,
	      const char *const *packages);

#endif
