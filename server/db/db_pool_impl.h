/* The pool's insides, shared by its loop side (db_pool.c) and its threads (db_pool_threads.c). */
#ifndef ENVWARDEN_SERVER_DB_DB_POOL_IMPL_H
#define ENVWARDEN_SERVER_DB_DB_POOL_IMPL_H

#include "server/db/db_pool.h"

struct job_queue {
	struct db_job *head;
	struct db_job *tail;
	size_t n;
};
void job_queue_push(struct job_queue *queue, struct db_job *job);
struct db_job *job_queue_pop(struct job_queue *queue); /* NULL when empty */

struct db_port {
	struct db_pool *pool;
	uv_async_t async;
	void (*published)(void *ctx);
	void *ctx;
	struct db_port *next; /* in the pool's list; under the lock, as are these: */
	struct job_queue done;
	bool news; /* a commit added to the outbox */
	/* loop thread only: */
	size_t pending; /* jobs not delivered yet */
	bool stopping;
	bool closing;
	void (*stopped)(void *ctx);
	void *stopped_ctx;
};

struct db_pool {
	uv_mutex_t lock;
	uv_cond_t writes_ready;
	uv_cond_t reads_ready;
	uv_cond_t dirty_ready;
	/* under the lock: */
	struct job_queue writes;
	struct job_queue reads;
	struct db_port *ports;
	bool stopping;
	bool dirty; /* committed since the last checkpoint */
	/* fixed from the start: */
	size_t queue_max;
	struct db_conn *writer;
	struct db_conn *checkpointer;
	struct db_conn *readers[DB_POOL_READERS_MAX];
	size_t n_readers;
	size_t next_reader; /* the connection for the reader that starts next; under the lock */
	uv_thread_t threads[DB_POOL_READERS_MAX + 2];
	size_t n_threads;
};

/* Thread bodies; the argument is the pool. */
void db_pool_writer_main(void *pool);
void db_pool_reader_main(void *pool);
void db_pool_checkpoint_main(void *pool);

#endif
