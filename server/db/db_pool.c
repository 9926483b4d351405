#include "server/db/db_pool_impl.h"

#include "lib/base/compiler.h"
#include "lib/base/mem.h"

void job_queue_push(struct job_queue *queue, struct db_job *job)
{
	job->next = NULL;
	if (queue->tail)
		queue->tail->next = job;
	else
		queue->head = job;
	queue->tail = job;
	queue->n++;
}

struct db_job *job_queue_pop(struct job_queue *queue)
{
	struct db_job *job = queue->head;

	if (!job)
		return NULL;
	queue->head = job->next;
	if (!queue->head)
		queue->tail = NULL;
	queue->n--;
	return job;
}

/* --- the pool --- */

static int connections_open(struct db_pool *pool, struct db *db, struct err *err)
{
	int rc = db_conn_open(db, true, &pool->writer, err);

	if (rc == 0)
		rc = db_conn_open(db, true, &pool->checkpointer, err);
	for (size_t i = 0; i < pool->n_readers && rc == 0; i++)
		rc = db_conn_open(db, false, &pool->readers[i], err);
	return rc;
}

static int threads_start(struct db_pool *pool, struct err *err)
{
	for (size_t i = 0; i < pool->n_readers + 2; i++) {
		uv_thread_cb body = i == 0   ? db_pool_writer_main
				    : i == 1 ? db_pool_checkpoint_main
					     : db_pool_reader_main;
		int rc = uv_thread_create(&pool->threads[i], body, pool);

		if (rc < 0)
			return err_set(err, rc, "start a thread: %s", uv_strerror(rc));
		pool->n_threads++;
	}
	return 0;
}

int db_pool_start(struct db *db, const struct db_pool_config *config, struct db_pool **out,
		  struct err *err)
{
	struct db_pool *pool;
	int rc;

	if (config->readers < 1 || config->readers > DB_POOL_READERS_MAX || config->queue_max < 1)
		return err_set(err, ERR_INVALID, "readers: wants 1 to %d, and a queue",
			       DB_POOL_READERS_MAX);
	pool = mem_calloc(1, sizeof(*pool));
	if (!pool)
		return err_nomem(err);
	pool->queue_max = config->queue_max;
	pool->n_readers = config->readers;
	CHECK(uv_mutex_init(&pool->lock) == 0 && uv_cond_init(&pool->writes_ready) == 0 &&
	      uv_cond_init(&pool->reads_ready) == 0 && uv_cond_init(&pool->dirty_ready) == 0);
	rc = connections_open(pool, db, err);
	if (rc == 0)
		rc = threads_start(pool, err);
	if (rc < 0) {
		db_pool_stop(pool);
		db_pool_free(pool);
		return rc;
	}
	*out = pool;
	return 0;
}

void db_pool_stop(struct db_pool *pool)
{
	uv_mutex_lock(&pool->lock);
	pool->stopping = true;
	uv_cond_broadcast(&pool->writes_ready);
	uv_cond_broadcast(&pool->reads_ready);
	uv_cond_broadcast(&pool->dirty_ready);
	uv_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->n_threads; i++)
		CHECK(uv_thread_join(&pool->threads[i]) == 0);
	pool->n_threads = 0;
}

void db_pool_free(struct db_pool *pool)
{
	if (!pool)
		return;
	CHECK(pool->n_threads == 0 && !pool->ports);
	for (size_t i = 0; i < pool->n_readers; i++)
		db_conn_close(pool->readers[i]);
	db_conn_close(pool->checkpointer);
	db_conn_close(pool->writer);
	uv_cond_destroy(&pool->dirty_ready);
	uv_cond_destroy(&pool->reads_ready);
	uv_cond_destroy(&pool->writes_ready);
	uv_mutex_destroy(&pool->lock);
	mem_free(pool);
}

/* --- ports --- */

static void on_closed(uv_handle_t *handle)
{
	struct db_port *port = handle->data;
	void (*stopped)(void *ctx) = port->stopped;
	void *ctx = port->stopped_ctx;

	mem_free(port);
	if (stopped)
		stopped(ctx);
}

static void close_when_idle(struct db_port *port)
{
	struct db_port **link = &port->pool->ports;

	if (!port->stopping || port->pending > 0 || port->closing)
		return;
	port->closing = true;
	/* Threads signal ports only under the lock: after this none signals this one. */
	uv_mutex_lock(&port->pool->lock);
	while (*link != port)
		link = &(*link)->next;
	*link = port->next;
	uv_mutex_unlock(&port->pool->lock);
	uv_close((uv_handle_t *)&port->async, on_closed);
}

static void on_signal(uv_async_t *async)
{
	struct db_port *port = async->data;
	struct job_queue done;
	struct db_job *job;
	bool news;

	uv_mutex_lock(&port->pool->lock);
	done = port->done;
	port->done = (struct job_queue){.n = 0};
	news = port->news;
	port->news = false;
	uv_mutex_unlock(&port->pool->lock);
	while ((job = job_queue_pop(&done))) {
		/* Counted down after the call: done() may stop the port, which then waits for us.
		 */
		job->done(job, job->rc);
		port->pending--;
	}
	if (news && port->published && !port->stopping)
		port->published(port->ctx);
	close_when_idle(port);
}

int db_port_open(struct db_pool *pool, uv_loop_t *loop, void (*published)(void *ctx), void *ctx,
		 struct db_port **out, struct err *err)
{
	struct db_port *port = mem_calloc(1, sizeof(*port));
	int rc;

	if (!port)
		return err_nomem(err);
	rc = uv_async_init(loop, &port->async, on_signal);
	if (rc < 0) {
		mem_free(port);
		return err_set(err, rc, "database port: %s", uv_strerror(rc));
	}
	port->async.data = port;
	port->pool = pool;
	port->published = published;
	port->ctx = ctx;
	uv_mutex_lock(&pool->lock);
	port->next = pool->ports;
	pool->ports = port;
	uv_mutex_unlock(&pool->lock);
	*out = port;
	return 0;
}

void db_port_stop(struct db_port *port, void (*stopped)(void *ctx), void *ctx)
{
	if (port->stopping)
		return;
	port->stopping = true;
	port->stopped = stopped;
	port->stopped_ctx = ctx;
	close_when_idle(port);
}

static int submit(struct db_port *port, struct job_queue *queue, uv_cond_t *ready,
		  struct db_job *job)
{
	struct db_pool *pool = port->pool;
	int rc = 0;

	if (port->stopping)
		return ERR_CANCELED;
	job->port = port;
	uv_mutex_lock(&pool->lock);
	if (pool->stopping)
		rc = ERR_CANCELED;
	else if (queue->n >= pool->queue_max)
		rc = ERR_BUSY;
	if (rc == 0) {
		job_queue_push(queue, job);
		uv_cond_signal(ready);
	}
	uv_mutex_unlock(&pool->lock);
	if (rc == 0)
		port->pending++;
	return rc;
}

int db_pool_write(struct db_port *port, struct db_job *job)
{
	return submit(port, &port->pool->writes, &port->pool->writes_ready, job);
}

int db_pool_read(struct db_port *port, struct db_job *job)
{
	return submit(port, &port->pool->reads, &port->pool->reads_ready, job);
}
