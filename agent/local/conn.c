#include <string.h>

#include "agent/local/internal.h"
#include "lib/base/compiler.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/fd_pass.h"
#include "platform/peer_cred.h"
#include "platform/users.h"

#define TURN_REQUESTS 64 /* handled in one go, then the others come */
#define KEEP_BYTES 16384 /* of a buffer's memory, while there is nothing in it */
#define PAUSE_DIVISOR 4	 /* of queue_bytes: where reading pauses; half of that where it goes on */

/* --- deadlines --- */

/* The earliest loop time at which the peer has had its chance; 0 = none. */
static uint64_t deadline(const struct conn *conn)
{
	const struct local_limits *limits = &conn->local->limits;
	uint64_t at = 0;

	if (conn_unsent(conn) > 0)
		at = conn->active_at + limits->stall_ms;
	else if (conn->n_calls == 0 && conn->held.len == 0)
		at = conn->active_at + limits->idle_ms;
	if (conn->reading && conn->frame_since > 0 &&
	    (at == 0 || conn->frame_since + limits->frame_ms < at))
		at = conn->frame_since + limits->frame_ms;
	if (conn->wants && (at == 0 || conn->wants_since + limits->frame_ms < at))
		at = conn->wants_since + limits->frame_ms;
	return at;
}

static void on_timer(uv_timer_t *timer);

/* The timer is left running towards an earlier moment than needed: it looks again then, which is
 * cheaper than setting it anew for every request. */
static void arm(struct conn *conn)
{
	uint64_t now = uv_now(conn->local->loop);
	uint64_t at = deadline(conn);

	if (conn->closing || at == 0 || (conn->timer_at > 0 && conn->timer_at <= at))
		return;
	conn->timer_at = at;
	(void)uv_timer_start(&conn->timer, on_timer, at > now ? at - now : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct conn *conn = timer->data;
	uint64_t at = deadline(conn);

	conn->timer_at = 0;
	if (at > 0 && at <= uv_now(conn->local->loop))
		conn_close(conn);
	else
		arm(conn);
}

/* --- the end --- */

void conn_maybe_free(struct conn *conn)
{
	struct local *local = conn->local;
	struct peer *peer = conn->peer;

	if (conn->open_handles > 0 || conn->n_calls > 0 || conn->in_turn)
		return;
	fd_pass_close(conn->passed);
	frame_decoder_deinit(&conn->decoder);
	buf_deinit(&conn->held);
	buf_deinit(&conn->out);
	buf_deinit(&conn->sending);
	mem_free(conn);
	local_conn_gone(local, peer);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;

	if (conn->open_handles == 1) {
		/* Nobody frees it below while handlers give their calls back. */
		calls_closed(conn);
	}
	conn->open_handles--;
	conn_maybe_free(conn);
}

void conn_close(struct conn *conn)
{
	struct local *local = conn->local;

	if (conn->closing)
		return;
	turns_remove(conn);
	conn->closing = true;
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		local->conns = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	uv_close((uv_handle_t *)&conn->pipe, on_handle_closed);
	uv_close((uv_handle_t *)&conn->timer, on_handle_closed);
	if (conn->peer)
		turns_next_of(conn->peer, local);
}

/* --- out --- */

size_t conn_unsent(const struct conn *conn)
{
	return conn->out.len + (conn->writing ? conn->sending.len : 0);
}

bool conn_drained(const struct conn *conn)
{
	return conn_unsent(conn) <= conn->local->limits.queue_bytes / PAUSE_DIVISOR / 2;
}

/* Memory a burst needed is not kept for the idle time after it. */
static void empty(struct buf *b)
{
	size_t max = b->max;

	if (b->cap <= KEEP_BYTES) {
		buf_clear(b);
		return;
	}
	buf_deinit(b);
	buf_init(b, max);
}

/* A server that stops keeps a connection for its answers only. */
static void close_if_done(struct conn *conn)
{
	if (conn->local->stopping && conn->n_calls == 0 && conn_unsent(conn) == 0)
		conn_close(conn);
}

static void on_written(uv_write_t *write, int status)
{
	struct conn *conn = write->data;

	conn->writing = false;
	empty(&conn->sending);
	if (conn->closing)
		return;
	if (status < 0) {
		conn_close(conn);
		return;
	}
	conn->active_at = uv_now(conn->local->loop);
	conn_flush(conn);
	close_if_done(conn);
	if (conn_drained(conn))
		turns_add_ready(conn); /* waiting handlers, held requests */
}

/* What the socket takes at once needs no request of libuv's. */
static int try_write(struct conn *conn)
{
	uv_buf_t all = uv_buf_init(conn->out.data, (unsigned)conn->out.len);
	int n = uv_try_write((uv_stream_t *)&conn->pipe, &all, 1);

	if (n == UV_EAGAIN)
		return 0;
	if (n < 0)
		return n;
	conn->active_at = uv_now(conn->local->loop);
	buf_consume(&conn->out, (size_t)n);
	return 0;
}

void conn_flush(struct conn *conn)
{
	struct buf spare;
	uv_buf_t all;

	if (conn->closing || conn->writing || conn->out.len == 0)
		return;
	if (try_write(conn) < 0) {
		conn_close(conn);
		return;
	}
	if (conn->out.len == 0) {
		empty(&conn->out);
		return;
	}
	spare = conn->sending;
	conn->sending = conn->out;
	conn->out = spare;
	all = uv_buf_init(conn->sending.data, (unsigned)conn->sending.len);
	if (uv_write(&conn->write, (uv_stream_t *)&conn->pipe, &all, 1, on_written) < 0) {
		conn_close(conn);
		return;
	}
	conn->writing = true;
	arm(conn);
}

/* --- in --- */

/* Its own doing: it has asked much and must take answers first. */
static bool has_enough(const struct conn *conn)
{
	const struct local_limits *limits = &conn->local->limits;

	return conn->n_calls >= limits->calls_per_connection ||
	       conn_unsent(conn) >= limits->queue_bytes / PAUSE_DIVISOR;
}

/* Its account's doing; connections that came before it have the turn. */
static bool must_wait(const struct conn *conn)
{
	return conn->peer->n_calls >= conn->local->limits.calls_per_uid ||
	       (conn->peer->waiting.first && !conn->has_turn);
}

/* Handles frames of [p, p + n) until there are none, too many, or an error; *used counts. */
static int handle_frames(struct conn *conn, const char *p, size_t n, size_t *used)
{
	int rc = 0;

	*used = 0;
	for (unsigned i = 0; i < TURN_REQUESTS && *used < n && !conn->closing; i++) {
		const void *payload;
		size_t payload_n, step;

		if (conn->local->stopping || has_enough(conn) || must_wait(conn))
			break;
		rc = frame_decode(&conn->decoder, p + *used, n - *used, &step, &payload,
				  &payload_n);
		if (rc < 0)
			break;
		*used += step;
		if (payload) {
			conn->frame_since = 0;
			conn->active_at = uv_now(conn->local->loop);
			conn->has_turn = false;
			rc = dispatch(conn, payload, payload_n);
		}
		if (rc < 0)
			break;
	}
	return rc;
}

/* Reads only while everything read was handled: a peer that is held back waits at its socket. */
static void read_on(struct conn *conn);

/* After some frames: whatever is left needs another turn, and decides whether to read. */
static void settle(struct conn *conn)
{
	if (conn->closing)
		return;
	conn_flush(conn);
	close_if_done(conn);
	if (conn->closing)
		return;
	if (frame_decoder_idle(&conn->decoder))
		conn->frame_since = 0;
	else if (conn->frame_since == 0)
		conn->frame_since = uv_now(conn->local->loop);
	if (conn->held.len > 0 && !has_enough(conn)) {
		if (must_wait(conn))
			turns_add_waiting(conn);
		else
			turns_add_ready(conn);
	}
	read_on(conn);
	arm(conn);
}

/* Runs handlers; the connection is not freed meanwhile, whatever they do. */
static void handle_bytes(struct conn *conn, const char *p, size_t n, size_t *used)
{
	int rc;

	conn->in_turn = true;
	call_tell_descriptor(conn); /* it came before these bytes */
	rc = handle_frames(conn, p, n, used);
	conn->in_turn = false;
	if (rc < 0) {
		log_debug("local", "a peer broke the protocol", LOG_INT("uid", conn->peer->uid),
			  LOG_STR("why", err_text(rc)));
		conn_flush(conn); /* answers to what was right before */
		conn_close(conn);
	}
}

void conn_turn(struct conn *conn)
{
	size_t used = 0;

	conn->in_turn = true;
	if (conn_drained(conn))
		calls_writable(conn);
	call_tell_descriptor(conn);
	conn->in_turn = false;
	if (conn->held.len > 0 && !conn->closing) {
		handle_bytes(conn, conn->held.data, conn->held.len, &used);
		buf_consume(&conn->held, used);
		if (conn->held.len == 0)
			empty(&conn->held);
	}
	settle(conn);
	/* A turn it did not use is the next one's of its account. */
	if (conn->queue != QUEUE_READY)
		conn->has_turn = false;
	turns_next_of(conn->peer, conn->local);
	conn_maybe_free(conn);
}

void conn_wake(struct conn *conn)
{
	if (conn->closing || conn->in_turn)
		return;
	close_if_done(conn);
	if (conn->held.len > 0 && !has_enough(conn))
		turns_add_ready(conn);
	arm(conn);
}

/*
 * libuv asks for room when there is something to read, just before it reads; and what it reads
 * itself loses descriptors. So one that is waited for, with its byte, is taken here; whoever waits
 * is told in the next turn.
 */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct conn *conn = handle->data;
	uv_os_fd_t fd;
	size_t n;

	(void)suggested;
	*out = uv_buf_init(conn->local->room, sizeof(conn->local->room));
	if (!conn->wants || conn->passed >= 0 || uv_fileno(handle, &fd) < 0)
		return;
	switch (fd_pass_receive((int)fd, &conn->passed, 1, &n, NULL)) {
	case 0:
		turns_add_ready(conn);
		break;
	case ERR_BUSY:
	case ERR_CLOSED: /* the read that follows says so, too */
		break;
	default:
		conn->broken = true; /* libuv bears no closing in here */
	}
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct conn *conn = stream->data;
	size_t used = 0;

	if (n == 0 && !conn->broken)
		return;
	if (n < 0 || conn->broken) {
		conn_close(conn);
		return;
	}
	CHECK(conn->held.len == 0);
	handle_bytes(conn, bytes->base, (size_t)n, &used);
	if (conn->closing) {
		conn_maybe_free(conn);
		return;
	}
	buf_add(&conn->held, bytes->base + used, (size_t)n - used);
	if (buf_rc(&conn->held) < 0)
		conn_close(conn);
	settle(conn);
}

static void read_on(struct conn *conn)
{
	bool wanted = !conn->local->stopping && conn->held.len == 0 && !has_enough(conn);

	if (wanted == conn->reading)
		return;
	conn->reading = wanted;
	if (conn->frame_since > 0)
		conn->frame_since = uv_now(conn->local->loop); /* not its fault until now */
	if (!wanted)
		(void)uv_read_stop((uv_stream_t *)&conn->pipe);
	else if (uv_read_start((uv_stream_t *)&conn->pipe, on_alloc, on_read) < 0)
		conn_close(conn);
}

/* --- the beginning --- */

static struct peer *peer_of(struct local *local, uint32_t uid)
{
	struct peer *peer = local->peers;

	while (peer && peer->uid != uid)
		peer = peer->next;
	if (peer)
		return peer;
	peer = mem_calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	peer->uid = uid;
	peer->next = local->peers;
	local->peers = peer;
	return peer;
}

/* Whether the one at the other end may be here, and its account's books. */
static int admit(struct local *local, const uv_pipe_t *pipe, struct peer **out)
{
	struct peer_cred cred;
	struct peer *peer;
	uv_os_fd_t fd;
	int rc = uv_fileno((const uv_handle_t *)pipe, &fd);

	if (rc >= 0)
		rc = peer_cred_get((intptr_t)fd, &cred, NULL);
	if (rc < 0)
		return rc;
	if (!local->for_everybody && cred.uid != 0 && cred.uid != users_current())
		return ERR_PERM;
	peer = peer_of(local, cred.uid);
	if (!peer)
		return ERR_NOMEM;
	if (peer->n_conns >= local->limits.connections_per_uid)
		return ERR_LIMIT;
	*out = peer;
	return 0;
}

static void conn_init(struct conn *conn, struct local *local)
{
	conn->local = local;
	conn->passed = -1;
	conn->active_at = uv_now(local->loop);
	frame_decoder_init(&conn->decoder, FRAME_LOCAL_MAX);
	buf_init(&conn->held, READ_SIZE);
	buf_init(&conn->out, SIZE_MAX / 2);
	buf_init(&conn->sending, SIZE_MAX / 2);
	CHECK(uv_pipe_init(local->loop, &conn->pipe, 0) == 0);
	CHECK(uv_timer_init(local->loop, &conn->timer) == 0);
	conn->open_handles = 2;
	conn->pipe.data = conn;
	conn->timer.data = conn;
	conn->write.data = conn;
	conn->next = local->conns;
	if (conn->next)
		conn->next->prev = conn;
	local->conns = conn;
	local->n_conns++;
}

int conn_accept(struct local *local)
{
	struct conn *conn;
	int rc;

	if (local->n_conns >= local->limits.connections)
		return ERR_LIMIT;
	conn = mem_calloc(1, sizeof(*conn));
	if (!conn)
		return ERR_NOMEM;
	conn_init(conn, local);
	rc = local_server_accept(local->listener, &conn->pipe);
	if (rc == 0)
		rc = admit(local, &conn->pipe, &conn->peer);
	if (rc < 0) {
		log_debug("local", "turned away", LOG_STR("why", err_text(rc)));
		conn_close(conn);
		return rc;
	}
	conn->peer->n_conns++;
	settle(conn);
	return 0;
}
