#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/frame.h"
#include "proto/convert.h"
#include "proto/limits.h"
#include "server/session/session_impl.h"
#include "server/session/state.h"

int task_new(struct session *session, struct task **out)
{
	struct task *task = mem_calloc(1, sizeof(*task));

	if (!task)
		return ERR_NOMEM;
	task->session = session;
	task->config = hub_config(session->hub);
	task->machine = session->machine;
	memcpy(task->key_hash, session->key_hash, sizeof(task->key_hash));
	task->now_ms = hub_now_ms(session->hub);
	arena_init(&task->arena, LIMIT_SYNC_MEMORY);
	buf_init(&task->reply, FRAME_HEADER_SIZE + LIMIT_SYNC_FRAME);
	*out = task;
	return 0;
}

void task_free(struct task *task)
{
	if (!task)
		return;
	state_free(task->state);
	arena_deinit(&task->arena);
	buf_deinit(&task->reply);
	mem_free(task);
}

int task_reply(struct task *task, const Envwarden__Sync__Envelope *envelope, struct err *err)
{
	buf_clear(&task->reply);
	return codec_pack_sync(envelope, &task->reply, err);
}

int task_refuse(struct task *task, int code, const char *text, struct err *err)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Error error = ENVWARDEN__SYNC__ERROR__INIT;

	error.code = code;
	error.text = wire_text(text);
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_ERROR;
	envelope.error = &error;
	task->refused = true;
	return task_reply(task, &envelope, err);
}

int task_machine(struct db_conn *conn, struct task *task, struct db_machine *out, struct err *err)
{
	int rc = db_machine_get(conn, &task->machine, &task->arena, out, err);

	if (rc == ERR_NOTFOUND)
		return err_set(err, ERR_PERM,
			       "the organisation's server does not know this machine: enrol it "
			       "again");
	if (rc < 0)
		return rc;
	if (out->state == DB_MACHINE_REVOKED)
		return err_set(err, ERR_PERM,
			       "this machine was revoked: ask your administrator, then enrol it "
			       "again");
	if (out->state == DB_MACHINE_RETIRED)
		return err_set(err, ERR_PERM, "this machine was retired: enrol it again");
	if (out->clone_suspected)
		return err_set(err, ERR_PERM, "clone suspected: enrol again");
	if (!crypto_equal(out->key_hash, task->key_hash, SHA256_SIZE))
		return err_set(err, ERR_PERM,
			       "this is not the machine's newest certificate: enrol again");
	return 0;
}

static int on_work(struct db_conn *conn, struct db_job *job)
{
	struct task *task = container_of(job, struct task, job);
	int rc;

	task->next = NULL;
	rc = task->run(conn, task, &task->err);

	if (rc < 0)
		task->err.code = rc;
	return rc;
}

/* Ours to mend, and none of the agent's business. */
static bool is_internal(int rc)
{
	switch (rc) {
	case ERR_NOMEM:
	case ERR_IO:
	case ERR_FULL:
	case ERR_CORRUPT:
	case ERR_INTERNAL:
	case ERR_BUSY:
	case ERR_CANCELED:
		return true;
	default:
		return rc > ERR_NOMEM; /* libuv's */
	}
}

#define RETRY_MS 30000

static void failed(struct session *session, const struct task *task, int rc)
{
	struct err err = task->err;

	if (rc != err.code)
		(void)err_set(&err, rc, "%s", err_text(rc)); /* the commit */
	if (!is_internal(rc)) {
		session_error(session, &err, 0);
		return;
	}
	log_error("session", "a message was not handled", LOG_STR("code", err_name(rc)),
		  LOG_ERR(&err));
	(void)err_set(&err, ERR_BUSY, "the organisation's server has a problem; try again later");
	session_error(session, &err, RETRY_MS);
}

static void finished(struct session *session, struct task *task, int rc)
{
	if (rc < 0) {
		if (task->failed)
			task->failed(session, task, rc);
		failed(session, task, rc);
	} else {
		if (task->after && !task->refused)
			task->after(session, task);
		if (task->reply.len > 0 && session->conn && !session->stopping &&
		    conn_send(session->conn, task->reply.data + FRAME_HEADER_SIZE,
			      task->reply.len - FRAME_HEADER_SIZE, NULL) < 0)
			session_stop(session); /* it does not read */
		if (task->refused)
			session_finish(session);
	}
	if (task->paused && session->conn && !session->stopping && session->sending != task)
		conn_resume(session->conn);
}

/* The session is kept by its count of tasks until here. */
static void release(struct session *session)
{
	struct hub *hub = session->hub;

	if (--session->tasks > 0 || session->conn)
		return;
	mem_free(session);
	hub_session_freed(hub);
}

static int submit(struct task *task, bool write)
{
	struct db_port *port = hub_db(task->session->hub);

	return write ? db_pool_write(port, &task->job) : db_pool_read(port, &task->job);
}

/* Whether it goes on; *rc becomes the failure to. */
static bool goes_on(struct task *task, int *rc)
{
	if (*rc < 0 || !task->next || task->refused || task->session->stopping)
		return false;
	task->run = task->next;
	*rc = submit(task, task->next_writes);
	return *rc == 0;
}

static void on_done(struct db_job *job, int rc)
{
	struct task *task = container_of(job, struct task, job);
	struct session *session = task->session;

	if (goes_on(task, &rc))
		return;
	if (!session->stopping)
		finished(session, task, rc);
	if (task->ended)
		task->ended(session);
	if (session->sending == task)
		bundle_send(session); /* which ends it */
	else
		task_free(task);
	release(session);
}

void task_start(struct task *task, bool write)
{
	struct session *session = task->session;
	int rc;

	task->job.work = on_work;
	task->job.done = on_done;
	if (task->paused)
		conn_pause(session->conn);
	rc = submit(task, write);
	if (rc < 0) {
		failed(session, task, rc);
		if (task->ended)
			task->ended(session);
		task_free(task);
		return;
	}
	session->tasks++;
}
