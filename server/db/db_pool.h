/*
 * The store's threads: one writer that commits jobs in groups, readers beside it, and one that
 * checkpoints so that no commit has to.
 *
 * A job's work() runs on a pool thread with that thread's connection; its done() runs later on the
 * loop thread it was submitted from. A loop takes part through one db_port. A write job runs in a
 * transaction shared with others but in a savepoint of its own: work() < 0 undoes that job alone,
 * and done() hears 0 only when the commit is durable; a commit that fails fails all its jobs. A
 * read job sees one state of the store from its beginning to its end. work() keeps its results in
 * the struct that embeds the job (with an arena of its own) and touches nothing else.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_POOL_H
#define ENVWARDEN_SERVER_DB_DB_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "lib/base/err.h"
#include "server/db/db.h"

#define DB_POOL_READERS_MAX 16

struct db_pool;
struct db_port;

struct db_job {
	/* Any thread of the pool. Returns 0 or ERR_*. */
	int (*work)(struct db_conn *conn, struct db_job *job);
	/* The port's loop thread, exactly once, unless submitting failed. May free the job. */
	void (*done)(struct db_job *job, int rc);
	/* private */
	struct db_port *port;
	struct db_job *next;
	int rc;
};

struct db_pool_config {
	size_t readers;	  /* 1 .. DB_POOL_READERS_MAX */
	size_t queue_max; /* jobs waiting per queue (writes; reads); past it ERR_BUSY */
};

int db_pool_start(struct db *db, const struct db_pool_config *config, struct db_pool **out,
		  struct err *err);
/*
 * Refuses new jobs (ERR_CANCELED), runs those already taken and ends the threads. Blocks. The ports
 * still deliver what is finished, so stop and await them afterwards.
 */
void db_pool_stop(struct db_pool *pool);
void db_pool_free(struct db_pool *pool); /* after db_pool_stop and all ports; NULL is fine */

/* Loop thread. `published` (may be NULL) is called there after a commit that added to the outbox.
 */
int db_port_open(struct db_pool *pool, uv_loop_t *loop, void (*published)(void *ctx), void *ctx,
		 struct db_port **out, struct err *err);
/* Loop thread. Waits for the jobs under way, delivers them, then calls stopped (may be NULL) and
 * frees the port. New jobs are refused (ERR_CANCELED). */
void db_port_stop(struct db_port *port, void (*stopped)(void *ctx), void *ctx);

/* Loop thread of the port. ERR_BUSY: queue full; ERR_CANCELED: stopping. Then done() is not called.
 */
int db_pool_write(struct db_port *port, struct db_job *job);
int db_pool_read(struct db_port *port, struct db_job *job);

#endif
