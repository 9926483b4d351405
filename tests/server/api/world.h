/*
 * A running admin API over a store of its own, and a client for it: an organisation, the accounts
 * ada (admin), olga (operator) and vic (viewer), all with WORLD_PASSWORD, two machines host-1 and
 * host-2, and environments 11 to 13 ("/home/ana/envs/alpha", "beta", and one whose name has control
 * characters) on host-1, 21 ("/srv/envs/alpha") on host-2. Failures end the test.
 */
#ifndef ENVWARDEN_TESTS_SERVER_API_WORLD_H
#define ENVWARDEN_TESTS_SERVER_API_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "server/api/api.h"
#include "tests/support/tmpdir.h"

#define WORLD_PASSWORD "correct horse battery"
#define WORLD_HOSTILE "/home/ana/envs/ev\x1b[31mil\xe2\x80\xae"

struct db_pool;
struct store;

struct world {
	struct store *store;
	struct signer *signer;
	struct db_pool *pool;
	struct api *api;
	struct clock_fixed clock;
	struct tmpdir dir;
	char ca[TMPDIR_PATH_MAX]; /* PEM file the client is to trust */
	char url[64];		  /* "https://127.0.0.1:PORT" */
	atomic_int changed;	  /* calls of status_changed */
	atomic_int connected;	  /* number of the machine that is; 0 = none */
};

/* For cmocka: *state is a struct world. */
int world_setup(void **state);
int world_teardown(void **state);

struct reply {
	long status;  /* 0 = the server ended the connection instead */
	json_t *json; /* NULL when the body is none */
	struct buf body;
	struct buf headers; /* lower case names not promised; ended lines */
};
void reply_deinit(struct reply *reply);

/* One request; path below /api/v1. token, body and header may be NULL. */
struct reply world_call(const struct world *w, const char *method, const char *path,
			const char *token, const char *body, const char *header);

/* Machine n says that it acts on this version of its status bundle. Any thread. */
void world_report(const struct world *w, unsigned char machine, uint64_t version);

/* A token of one of the accounts, in memory of the caller's (mem_free). */
char *world_login(const struct world *w, const char *user);

/* "0b0b...": the id of environment n as text. */
void world_env_id(unsigned char n, char out[37]);

#endif
