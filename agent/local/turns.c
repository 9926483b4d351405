#include "agent/local/internal.h"

static void push(struct turn_queue *queue, struct conn *conn)
{
	conn->queue_next = NULL;
	if (queue->last)
		queue->last->queue_next = conn;
	else
		queue->first = conn;
	queue->last = conn;
	queue->n++;
}

static struct conn *pop(struct turn_queue *queue)
{
	struct conn *conn = queue->first;

	if (!conn)
		return NULL;
	queue->first = conn->queue_next;
	if (!queue->first)
		queue->last = NULL;
	queue->n--;
	conn->queue_next = NULL;
	conn->queue = QUEUE_NONE;
	return conn;
}

static void unlink_from(struct turn_queue *queue, struct conn *conn)
{
	struct conn *before = NULL;

	for (struct conn *c = queue->first; c != conn; c = c->queue_next)
		before = c;
	if (before)
		before->queue_next = conn->queue_next;
	else
		queue->first = conn->queue_next;
	if (queue->last == conn)
		queue->last = before;
	queue->n--;
	conn->queue_next = NULL;
}

void turns_remove(struct conn *conn)
{
	if (conn->queue == QUEUE_READY)
		unlink_from(&conn->local->ready, conn);
	else if (conn->queue == QUEUE_WAITING)
		unlink_from(&conn->peer->waiting, conn);
	conn->queue = QUEUE_NONE;
}

void turns_add_ready(struct conn *conn)
{
	struct local *local = conn->local;

	if (conn->queue != QUEUE_NONE || conn->closing)
		return;
	conn->queue = QUEUE_READY;
	push(&local->ready, conn);
	(void)uv_idle_start(&local->turns, turns_run);
}

void turns_add_waiting(struct conn *conn)
{
	if (conn->queue != QUEUE_NONE || conn->closing)
		return;
	conn->queue = QUEUE_WAITING;
	push(&conn->peer->waiting, conn);
}

void turns_next_of(struct peer *peer, struct local *local)
{
	struct conn *conn;

	if (peer->n_calls >= local->limits.calls_per_uid)
		return;
	conn = pop(&peer->waiting);
	if (!conn)
		return;
	conn->has_turn = true;
	turns_add_ready(conn);
}

/* One turn for each that is ready now; those who become ready meanwhile come next time. */
void turns_run(uv_idle_t *idle)
{
	struct local *local = idle->data;

	for (size_t n = local->ready.n; n > 0 && local->ready.first; n--)
		conn_turn(pop(&local->ready));
	if (!local->ready.first)
		(void)uv_idle_stop(idle);
}
