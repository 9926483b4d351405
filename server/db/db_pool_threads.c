#include "lib/base/log.h"
#include "server/db/db_pool_impl.h"
#include "server/db/sql.h"

#define GROUP_MAX 512			   /* jobs in one commit */
#define GROUP_NS UINT64_C(5000000)	   /* jobs that come this long after the first still join */
#define CHECKPOINT_NS UINT64_C(1000000000) /* from the first commit to the checkpoint */

/* Under the lock. */
static void deliver(struct db_job *job)
{
	job_queue_push(&job->port->done, job);
	CHECK(uv_async_send(&job->port->async) == 0);
}

/* --- writing --- */

/* One job in its savepoint; negative only when the whole transaction is lost. */
static int run_one(struct db_conn *conn, struct db_job *job)
{
	int rc = db_savepoint(conn, NULL);

	job->rc = 0;
	if (rc == 0) {
		job->rc = job->work(conn, job);
		rc = job->rc < 0 ? db_savepoint_undo(conn, NULL) : db_savepoint_keep(conn, NULL);
	}
	if (rc == 0 && db_in_transaction(conn))
		return 0;
	/* Given up by the engine while the job ran: the job knows why, the savepoint is just gone.
	 */
	if (!db_in_transaction(conn) && job->rc < 0)
		rc = job->rc;
	job->rc = rc < 0 ? rc : ERR_IO;
	return job->rc;
}

/* Runs waiting jobs, and those that come meanwhile, in the open transaction; fills the group. */
static int run_group(struct db_pool *pool, struct job_queue *group)
{
	uint64_t start = uv_hrtime();
	int rc = 0;

	while (rc == 0 && group->n < GROUP_MAX && uv_hrtime() - start < GROUP_NS) {
		struct db_job *job;

		uv_mutex_lock(&pool->lock);
		job = job_queue_pop(&pool->writes);
		uv_mutex_unlock(&pool->lock);
		if (!job)
			break;
		rc = run_one(pool->writer, job);
		job_queue_push(group, job);
	}
	return rc;
}

static void finish_group(struct db_pool *pool, struct job_queue *group, int rc, bool news)
{
	struct db_job *job;

	uv_mutex_lock(&pool->lock);
	if (rc == 0 && !pool->dirty) {
		pool->dirty = true;
		uv_cond_signal(&pool->dirty_ready);
	}
	while ((job = job_queue_pop(group))) {
		if (rc < 0 && job->rc >= 0)
			job->rc = rc;
		deliver(job);
	}
	for (struct db_port *port = pool->ports; news && port; port = port->next) {
		port->news = true;
		CHECK(uv_async_send(&port->async) == 0);
	}
	uv_mutex_unlock(&pool->lock);
}

static void write_group(struct db_pool *pool)
{
	struct job_queue group = {.n = 0};
	struct err err = ERR_INIT;
	bool news = false;
	int rc = db_begin(pool->writer, &err);

	if (rc == 0) {
		rc = run_group(pool, &group);
		if (rc < 0)
			(void)err_set(&err, rc, "%s", err_text(rc));
	} else {
		uv_mutex_lock(&pool->lock);
		group = pool->writes;
		pool->writes = (struct job_queue){.n = 0};
		uv_mutex_unlock(&pool->lock);
		for (struct db_job *job = group.head; job; job = job->next)
			job->rc = rc;
	}
	if (rc == 0) {
		news = sql_outbox(pool->writer)->n > 0;
		rc = db_commit(pool->writer, &err);
	} else {
		db_rollback(pool->writer);
	}
	if (rc < 0)
		log_error("store", "commit failed", LOG_ERR(&err), LOG_INT("jobs", group.n));
	finish_group(pool, &group, rc, news && rc == 0);
}

void db_pool_writer_main(void *arg)
{
	struct db_pool *pool = arg;

	uv_mutex_lock(&pool->lock);
	for (;;) {
		while (pool->writes.n == 0 && !pool->stopping)
			uv_cond_wait(&pool->writes_ready, &pool->lock);
		if (pool->writes.n == 0)
			break;
		uv_mutex_unlock(&pool->lock);
		write_group(pool);
		uv_mutex_lock(&pool->lock);
	}
	uv_mutex_unlock(&pool->lock);
}

/* --- reading --- */

static int read_one(struct db_conn *conn, struct db_job *job)
{
	int rc = db_begin(conn, NULL);

	if (rc == 0)
		rc = job->work(conn, job);
	db_rollback(conn);
	return rc;
}

void db_pool_reader_main(void *arg)
{
	struct db_pool *pool = arg;
	struct db_conn *conn;
	struct db_job *job;

	uv_mutex_lock(&pool->lock);
	conn = pool->readers[pool->next_reader++];
	for (;;) {
		while (pool->reads.n == 0 && !pool->stopping)
			uv_cond_wait(&pool->reads_ready, &pool->lock);
		job = job_queue_pop(&pool->reads);
		if (!job)
			break;
		uv_mutex_unlock(&pool->lock);
		job->rc = read_one(conn, job);
		uv_mutex_lock(&pool->lock);
		deliver(job);
	}
	uv_mutex_unlock(&pool->lock);
}

/* --- checkpoints --- */

void db_pool_checkpoint_main(void *arg)
{
	struct db_pool *pool = arg;
	struct err err = ERR_INIT;

	uv_mutex_lock(&pool->lock);
	while (!pool->stopping) {
		if (!pool->dirty) {
			uv_cond_wait(&pool->dirty_ready, &pool->lock);
			continue;
		}
		(void)uv_cond_timedwait(&pool->dirty_ready, &pool->lock, CHECKPOINT_NS);
		pool->dirty = false;
		uv_mutex_unlock(&pool->lock);
		if (sql_checkpoint(pool->checkpointer, &err) < 0)
			log_warn("store", "checkpoint failed", LOG_ERR(&err));
		uv_mutex_lock(&pool->lock);
	}
	uv_mutex_unlock(&pool->lock);
}
