/* News from the outbox, and pushing new signed state to those it is about. */
#include <string.h>

#include "lib/base/log.h"
#include "proto/convert.h"
#include "server/session/hub_impl.h"

#define POLL_ROWS 1000
#define POLL_MEMORY (1U << 20)

/* --- pushing --- */

static int push_answer(struct task *task, const struct buf *timestamp, struct err *err)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Push push = ENVWARDEN__SYNC__PUSH__INIT;

	push.timestamp = wire_bytes(timestamp->data, timestamp->len);
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_PUSH;
	envelope.push = &push;
	return task_reply(task, &envelope, err);
}

static int push_run(struct db_conn *conn, struct task *task, struct err *err)
{
	struct db_machine machine;
	int rc = task_machine(conn, task, &machine, err);

	task->answer = push_answer;
	return rc < 0 ? rc : state_run(conn, task, err);
}

static void push_after(struct session *session, struct task *task)
{
	session->timestamp_ms = task->now_ms;
}

static void pump(struct hub *hub);

static void push_ended(struct session *session)
{
	struct hub *hub = session->hub;

	session->pushing = false;
	hub->pushes--;
	if (session->push_wanted && session->conn && !session->stopping)
		hub_push(hub, session);
	pump(hub);
}

static void push_start(struct hub *hub, struct session *session)
{
	struct task *task;

	if (task_new(session, &task) < 0) {
		session_stop(session);
		return;
	}
	session->push_wanted = false;
	session->pushing = true;
	hub->pushes++;
	task->run = push_run;
	task->after = push_after;
	task->ended = push_ended;
	task_start(task, true);
}

/* A new policy, or other settings, concern all: in turn, beside the agents' own messages.
 */
static void pump(struct hub *hub)
{
	while (hub->push_first && hub->pushes < HUB_PUSHES_MAX) {
		struct session *session = hub->push_first;

		hub_push_forget(hub, session);
		push_start(hub, session);
	}
}

void hub_push_forget(struct hub *hub, struct session *session)
{
	if (!session->push_queued)
		return;
	if (session->prev_push)
		session->prev_push->next_push = session->next_push;
	else
		hub->push_first = session->next_push;
	if (session->next_push)
		session->next_push->prev_push = session->prev_push;
	else
		hub->push_last = session->prev_push;
	session->next_push = session->prev_push = NULL;
	session->push_queued = false;
}

void hub_push(struct hub *hub, struct session *session)
{
	session->push_wanted = true;
	if (!session->welcomed || session->stopping || session->pushing || session->push_queued)
		return;
	session->prev_push = hub->push_last;
	if (hub->push_last)
		hub->push_last->next_push = session;
	else
		hub->push_first = session;
	hub->push_last = session;
	session->push_queued = true;
	pump(hub);
}

/* --- news --- */

static void push_all(struct hub *hub)
{
	struct session *next;

	for (struct session *session = hub->sessions; session; session = next) {
		next = session->next;
		if (session->registered)
			hub_push(hub, session);
	}
}

static void hear(struct hub *hub, const struct db_outbox *row)
{
	struct session *session;

	if (row->kind == DB_OUTBOX_ORG || row->kind == DB_OUTBOX_POLICY) {
		push_all(hub);
		return;
	}
	session = hub_find(hub, &row->machine);
	if (!session)
		return;
	if (row->kind == DB_OUTBOX_STATUS)
		hub_push(hub, session);
	else if (row->kind == DB_OUTBOX_MACHINE)
		session_check(session);
}

static int poll_work(struct db_conn *conn, struct db_job *job)
{
	struct hub_poll *poll = container_of(job, struct hub_poll, base.job);

	return db_outbox_poll(conn, poll->after, POLL_ROWS, &poll->arena, &poll->rows, &poll->n,
			      NULL);
}

static void poll_done(struct db_job *job, int rc)
{
	struct hub_poll *poll = container_of(job, struct hub_poll, base.job);
	struct hub *hub = poll->base.hub;
	bool again = poll->base.again || (rc == 0 && poll->n == POLL_ROWS);

	if (rc < 0)
		log_warn("session", "news could not be read", LOG_STR("code", err_name(rc)));
	for (size_t i = 0; rc == 0 && i < poll->n; i++) {
		poll->after = poll->rows[i].seq;
		if (!hub->stopping)
			hear(hub, &poll->rows[i]);
	}
	arena_deinit(&poll->arena);
	poll->base.busy = false;
	if (again)
		hub_poll_start(hub);
}

void hub_poll_start(struct hub *hub)
{
	struct hub_poll *poll = &hub->poll;

	if (hub->stopping)
		return;
	poll->base.again = poll->base.busy;
	if (poll->base.busy)
		return;
	poll->base.hub = hub;
	poll->base.job.work = poll_work;
	poll->base.job.done = poll_done;
	arena_init(&poll->arena, POLL_MEMORY);
	/* If the queue is full, the next tick tries again. */
	poll->base.busy = db_pool_read(hub->db, &poll->base.job) == 0;
}
