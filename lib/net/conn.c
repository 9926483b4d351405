#include "lib/net/conn.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/net/frame.h"
#include "lib/net/tcp.h"

#define HANDSHAKE_TIMEOUT_MS 30000
#define KEEPALIVE_S 240 /* the kernel probes; no wake-up of ours */
#define READ_SIZE (16 * 1024)
#define CHUNK_SIZE 4096 /* plain bytes a step */

/*
 * handshake -> open -> finishing -> stopping, with short cuts. Finishing: sends what is queued,
 * says goodbye, and throws away what comes, because closing a socket with unread bytes may destroy
 * those the peer has not read yet. Stopping: the handles are closing, on_closed is near.
 */
enum conn_state {
	CONN_HANDSHAKE,
	CONN_OPEN,
	CONN_FINISHING,
	CONN_STOPPING
};

struct conn {
	struct conn_config config; /* session pointers are not kept */
	enum conn_state state;
	bool paused;
	bool want_drain; /* a conn_send found the queue full */
	bool write_active;
	bool shutdown_begun; /* finishing: everything is sent */
	unsigned pending;    /* open handles */
	uv_tcp_t *tcp;
	uv_timer_t timer; /* handshake and finishing: the deadline; open: frames after a resume */
	uv_write_t write; /* one at a time; meanwhile bytes gather in tls_out */
	uv_buf_t writing;
	uv_shutdown_t shutdown;
	struct tls *tls;
	struct frame_decoder decoder;
	int rc; /* why it ended */
	char reason[256];
	char peer_name[TCP_NAME_MAX];
};

static void flush(struct conn *conn);

/* --- the end --- */

static void conn_free(struct conn *conn)
{
	tls_free(conn->tls);
	frame_decoder_deinit(&conn->decoder);
	mem_free(conn);
}

static void release(struct conn *conn)
{
	struct conn_config config = conn->config;
	char reason[sizeof(conn->reason)];
	int rc = conn->rc;

	if (--conn->pending > 0)
		return;
	memcpy(reason, conn->reason, sizeof(reason));
	conn_free(conn);
	config.callbacks->on_closed(config.ctx, rc, reason);
}

static void on_tcp_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;

	tcp_free_closed(handle);
	release(conn);
}

static void on_timer_closed(uv_handle_t *handle)
{
	release(handle->data);
}

/* Goodbye or alert, if the socket takes it at once. Behind a write in flight it would be cut in. */
static void last_words(struct conn *conn)
{
	struct buf *out = tls_out(conn->tls);

	if (conn->state == CONN_OPEN && tls_state(conn->tls) == TLS_OPEN)
		tls_close_notify(conn->tls);
	if (!conn->write_active && out->len > 0 && buf_rc(out) == 0) {
		uv_buf_t bytes = uv_buf_init(out->data, (unsigned)out->len);

		uv_try_write((uv_stream_t *)conn->tcp, &bytes, 1);
	}
}

static void end(struct conn *conn, int rc, const char *reason)
{
	if (conn->state == CONN_STOPPING)
		return;
	last_words(conn);
	conn->state = CONN_STOPPING;
	conn->rc = rc;
	snprintf(conn->reason, sizeof(conn->reason), "%s", reason);
	uv_close((uv_handle_t *)conn->tcp, on_tcp_closed);
	uv_close((uv_handle_t *)&conn->timer, on_timer_closed);
}

static void end_err(struct conn *conn, const struct err *err)
{
	end(conn, err->code, err->text);
}

static void end_uv(struct conn *conn, int rc)
{
	end(conn, rc, uv_strerror(rc));
}

void conn_stop(struct conn *conn)
{
	end(conn, 0, "stopped");
}

/* --- sending --- */

size_t conn_queued(const struct conn *conn)
{
	return (conn->write_active ? conn->writing.len : 0) + tls_out(conn->tls)->len;
}

bool conn_writable(const struct conn *conn, size_t n)
{
	size_t queued = conn_queued(conn);

	return conn->state == CONN_OPEN && n <= conn->config.frame_max &&
	       (queued == 0 ||
		(queued <= conn->config.queue_max && n <= conn->config.queue_max - queued));
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
	(void)req;
	(void)status; /* the peer's end of stream or the timer ends it */
}

/* Finishing, and nothing is left to send. */
static void begin_shutdown(struct conn *conn)
{
	int rc;

	conn->shutdown_begun = true;
	rc = uv_shutdown(&conn->shutdown, (uv_stream_t *)conn->tcp, on_shutdown);
	if (rc < 0)
		end(conn, 0, "finished");
}

static void after_write(struct conn *conn)
{
	flush(conn);
	if (conn->state == CONN_FINISHING && !conn->write_active && !conn->shutdown_begun)
		begin_shutdown(conn);
	if (conn->state == CONN_OPEN && conn->want_drain &&
	    conn_queued(conn) <= conn->config.queue_max / 2) {
		conn->want_drain = false;
		if (conn->config.callbacks->on_drain)
			conn->config.callbacks->on_drain(conn, conn->config.ctx);
	}
}

static void on_written(uv_write_t *req, int status)
{
	struct conn *conn = req->data;

	mem_free(conn->writing.base);
	conn->writing = uv_buf_init(NULL, 0);
	conn->write_active = false;
	if (conn->state == CONN_STOPPING)
		return;
	if (status < 0)
		end_uv(conn, status);
	else
		after_write(conn);
}

static void flush(struct conn *conn)
{
	struct buf *out = tls_out(conn->tls);
	size_t n;
	char *data;
	int rc;

	if (conn->write_active || out->len == 0 || conn->state == CONN_STOPPING)
		return;
	data = buf_take(out, &n);
	if (!data) {
		end(conn, ERR_NOMEM, err_text(ERR_NOMEM));
		return;
	}
	conn->writing = uv_buf_init(data, (unsigned)n);
	conn->write.data = conn;
	rc = uv_write(&conn->write, (uv_stream_t *)conn->tcp, &conn->writing, 1, on_written);
	if (rc < 0) {
		mem_free(data);
		conn->writing = uv_buf_init(NULL, 0);
		end_uv(conn, rc);
		return;
	}
	conn->write_active = true;
}

static int send_frame(struct conn *conn, const void *payload, size_t n, struct err *err)
{
	struct buf frame;
	int rc;

	buf_init(&frame, FRAME_HEADER_SIZE + n);
	rc = frame_encode(&frame, payload, n, conn->config.frame_max);
	if (rc < 0)
		err_set(err, rc, "send: %s", err_text(rc));
	else
		rc = tls_write(conn->tls, frame.data, frame.len, err); /* one record if it fits */
	buf_deinit(&frame);
	return rc;
}

int conn_send(struct conn *conn, const void *payload, size_t n, struct err *err)
{
	int rc;

	if (conn->state != CONN_OPEN)
		return err_set(err, ERR_CLOSED, "connection is not open");
	if (n > conn->config.frame_max)
		return err_set(err, ERR_LIMIT, "message is over %zu bytes", conn->config.frame_max);
	if (!conn_writable(conn, n)) {
		conn->want_drain = true;
		return err_set(err, ERR_LIMIT, "too much is waiting to be sent");
	}
	rc = send_frame(conn, payload, n, err);
	if (rc < 0 && tls_state(conn->tls) != TLS_OPEN)
		end(conn, rc, "sending failed");
	else
		flush(conn);
	return rc;
}

/* --- receiving --- */

/* Decodes one step; false when there is nothing more to do now. */
static bool deliver_some(struct conn *conn)
{
	unsigned char chunk[CHUNK_SIZE];
	size_t want = frame_decoder_want(&conn->decoder), n, used, payload_n;
	struct err err = ERR_INIT;
	const void *payload;
	int rc;

	/* Never past the frame, so that a pause leaves nothing half handled here. */
	rc = tls_read(conn->tls, chunk, want < sizeof(chunk) ? want : sizeof(chunk), &n, &err);
	if (rc == ERR_CLOSED && !frame_decoder_idle(&conn->decoder))
		end(conn, ERR_TRUNCATED, "closed by the peer inside a message");
	else if (rc < 0)
		end_err(conn, &err);
	if (rc < 0 || n == 0)
		return false;
	rc = frame_decode(&conn->decoder, chunk, n, &used, &payload, &payload_n);
	if (rc < 0) {
		end(conn, rc, rc == ERR_LIMIT ? "the peer's message is too long" : err_text(rc));
		return false;
	}
	if (payload)
		conn->config.callbacks->on_frame(conn, payload, payload_n, conn->config.ctx);
	return true;
}

static void deliver(struct conn *conn)
{
	while (conn->state == CONN_OPEN && !conn->paused) {
		if (!deliver_some(conn))
			break;
	}
	flush(conn);
}

static void on_handshake_done(struct conn *conn)
{
	conn->state = CONN_OPEN;
	uv_timer_stop(&conn->timer);
	flush(conn);
	if (conn->state == CONN_OPEN)
		conn->config.callbacks->on_ready(conn, conn->config.ctx);
}

static void on_bytes(struct conn *conn, const char *data, size_t n)
{
	struct err err = ERR_INIT;

	if (conn->state == CONN_FINISHING)
		return;
	if (tls_feed(conn->tls, data, n, &err) < 0) {
		end_err(conn, &err);
		return;
	}
	if (conn->state == CONN_HANDSHAKE && tls_state(conn->tls) == TLS_OPEN)
		on_handshake_done(conn);
	deliver(conn);
}

static void on_end_of_stream(struct conn *conn)
{
	deliver(conn); /* after a resume, this may come before the frames kept */
	if (conn->state == CONN_FINISHING)
		end(conn, 0, "finished");
	else if (conn->state == CONN_HANDSHAKE)
		end(conn, ERR_TRUNCATED, "closed by the peer during the handshake");
	else if (!conn->paused)
		end(conn, ERR_TRUNCATED, "closed by the peer without a goodbye");
}

/* Read memory lives only while there is something to read: most connections are idle. */
static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	char *data = mem_alloc(READ_SIZE);

	(void)handle;
	(void)hint;
	*buf = uv_buf_init(data, data ? READ_SIZE : 0);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
	struct conn *conn = stream->data;

	if (conn->state != CONN_STOPPING) {
		if (nread > 0)
			on_bytes(conn, buf->base, (size_t)nread);
		else if (nread == UV_EOF)
			on_end_of_stream(conn);
		else if (nread == UV_ENOBUFS)
			end(conn, ERR_NOMEM, err_text(ERR_NOMEM));
		else if (nread < 0 && conn->state == CONN_FINISHING)
			end(conn, 0, "finished");
		else if (nread < 0)
			end_uv(conn, (int)nread);
	}
	mem_free(buf->base);
}

static void on_timer(uv_timer_t *timer)
{
	struct conn *conn = timer->data;

	if (conn->state == CONN_OPEN)
		deliver(conn);
	else if (conn->state == CONN_HANDSHAKE)
		end(conn, ERR_TIMEOUT, "no handshake in time");
	else if (conn->shutdown_begun)
		end(conn, 0, "finished");
	else
		end(conn, ERR_TIMEOUT, "the last bytes could not be sent in time");
}

void conn_pause(struct conn *conn)
{
	conn->paused = true;
	if (conn->state == CONN_OPEN)
		uv_read_stop((uv_stream_t *)conn->tcp);
}

void conn_resume(struct conn *conn)
{
	int rc;

	if (!conn->paused)
		return;
	conn->paused = false;
	if (conn->state != CONN_OPEN)
		return;
	rc = uv_read_start((uv_stream_t *)conn->tcp, on_alloc, on_read);
	if (rc < 0 && rc != UV_EALREADY)
		end_uv(conn, rc);
	else
		uv_timer_start(&conn->timer, on_timer, 0, 0);
}

void conn_finish(struct conn *conn)
{
	if (conn->state == CONN_HANDSHAKE)
		conn_stop(conn);
	if (conn->state != CONN_OPEN)
		return;
	tls_close_notify(conn->tls);
	conn->state = CONN_FINISHING;
	uv_timer_start(&conn->timer, on_timer, conn->config.handshake_timeout_ms, 0);
	if (conn->paused)
		uv_read_start((uv_stream_t *)conn->tcp, on_alloc, on_read);
	after_write(conn);
}

/* --- the start --- */

static void set_defaults(struct conn_config *config)
{
	if (config->frame_max == 0)
		config->frame_max = FRAME_SYNC_MAX;
	if (config->queue_max == 0)
		config->queue_max = 2 * (size_t)FRAME_SYNC_MAX;
	if (config->handshake_timeout_ms == 0)
		config->handshake_timeout_ms = HANDSHAKE_TIMEOUT_MS;
	config->session = NULL;
	config->session_n = 0;
}

/* All that can fail before there is anything to close. */
static int conn_setup(struct conn *conn, const struct conn_config *config, struct err *err)
{
	int rc = tls_new(config->context, &conn->tls, err);

	if (rc < 0)
		return rc;
	if (config->session &&
	    tls_session_import(conn->tls, config->session, config->session_n, NULL) == ERR_NOMEM)
		return err_nomem(err);
	rc = tls_handshake(conn->tls, err);
	if (rc < 0)
		return rc;
	rc = uv_read_start((uv_stream_t *)conn->tcp, on_alloc, on_read);
	return rc < 0 ? err_set(err, rc, "read: %s", uv_strerror(rc)) : 0;
}

int conn_start(const struct conn_config *config, uv_tcp_t *tcp, struct conn **out, struct err *err)
{
	struct conn *conn = mem_calloc(1, sizeof(*conn));
	int rc;

	if (!conn) {
		tcp_discard(tcp);
		return err_nomem(err);
	}
	conn->config = *config;
	set_defaults(&conn->config);
	frame_decoder_init(&conn->decoder, conn->config.frame_max);
	conn->tcp = tcp;
	tcp->data = conn;
	rc = conn_setup(conn, config, err);
	if (rc < 0) {
		conn_free(conn);
		tcp_discard(tcp);
		return rc;
	}
	tcp_peer_name(tcp, conn->peer_name);
	uv_tcp_nodelay(tcp, 1);
	uv_tcp_keepalive(tcp, 1, KEEPALIVE_S);
	uv_timer_init(tcp->loop, &conn->timer);
	conn->timer.data = conn;
	conn->pending = 2;
	uv_timer_start(&conn->timer, on_timer, conn->config.handshake_timeout_ms, 0);
	flush(conn);
	*out = conn;
	return 0;
}

struct tls *conn_tls(struct conn *conn)
{
	return conn->tls;
}

const char *conn_peer_name(const struct conn *conn)
{
	return conn->peer_name;
}
