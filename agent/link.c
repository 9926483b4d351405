#include "agent/link.h"

#include <stdbool.h>
#include <uv.h>

#include "lib/base/arena.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/frame.h"
#include "proto/codec.h"
#include "proto/limits.h"

struct link {
	uv_pipe_t pipe;
	uv_prepare_t turn; /* runs before the loop waits, when there is something to do then: */
	struct buf said;   /* packed in this turn of the loop, written at its end in one piece */
	bool paused;	   /* reading goes on in the next turn, after what others wait for */
	unsigned open_handles;
	struct frame_decoder decoder;
	struct arena arena;
	struct link_callbacks callbacks;
	void *ctx;
	size_t queued;
	int rc; /* why it closes */
	char room[32768];
};

struct pending_write {
	uv_write_t req;
	struct link *link;
	char *data;
	size_t n;
};

static void on_closed(uv_handle_t *handle)
{
	struct link *l = handle->data;
	void (*closed)(void *, int) = l->callbacks.closed;
	void *ctx = l->ctx;
	int rc = l->rc;

	if (--l->open_handles > 0)
		return;
	buf_deinit(&l->said);
	frame_decoder_deinit(&l->decoder);
	arena_deinit(&l->arena);
	mem_free(l);
	closed(ctx, rc);
}

static void link_fail(struct link *l, int rc)
{
	if (uv_is_closing((uv_handle_t *)&l->pipe))
		return;
	l->rc = rc;
	uv_close((uv_handle_t *)&l->pipe, on_closed);
	uv_close((uv_handle_t *)&l->turn, on_closed);
}

static int deliver(struct link *l, const void *payload, size_t n)
{
	Envwarden__Reader__Envelope *message;
	struct err err = ERR_INIT;
	int rc = codec_unpack_reader(payload, n, &l->arena, &message, &err);

	if (rc == 0)
		rc = l->callbacks.message(l->ctx, message);
	else
		log_error("link", "message refused", LOG_ERR(&err));
	arena_reset(&l->arena);
	return rc;
}

static void start_turn(struct link *l);

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	struct link *l = stream->data;
	const char *p = buf->base;
	size_t left = got > 0 ? (size_t)got : 0;

	if (got < 0)
		link_fail(l, got == UV_EOF ? ERR_CLOSED : (int)got);
	while (left > 0 && !uv_is_closing((uv_handle_t *)stream)) {
		const void *payload;
		size_t payload_n;
		size_t used;
		int rc = frame_decode(&l->decoder, p, left, &used, &payload, &payload_n);

		if (rc == 0 && payload != NULL)
			rc = deliver(l, payload, payload_n);
		if (rc < 0) {
			link_fail(l, rc);
			return;
		}
		p += used;
		left -= used;
	}
	/* libuv would go on for as long as there is more. */
	if (got == (ssize_t)sizeof l->room && !uv_is_closing((uv_handle_t *)stream)) {
		l->paused = true;
		(void)uv_read_stop(stream);
		start_turn(l);
	}
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct link *l = handle->data;

	(void)hint;
	*buf = uv_buf_init(l->room, sizeof l->room);
}

static void ignore_closed(void *ctx, int rc)
{
	(void)ctx;
	(void)rc;
}

static void close_file(uv_file file)
{
	uv_fs_t req;

	(void)uv_fs_close(NULL, &req, file, NULL);
	uv_fs_req_cleanup(&req);
}

int link_new(struct uv_loop_s *loop, int fd, const struct link_callbacks *callbacks, void *ctx,
	     struct link **out, struct err *err)
{
	struct link *l = mem_calloc(1, sizeof *l);
	uv_file file = fd;
	int rc;

	if (l == NULL) {
		close_file(file);
		return err_nomem(err);
	}
	l->callbacks = *callbacks;
	l->ctx = ctx;
	l->pipe.data = l;
	l->turn.data = l;
	l->open_handles = 2;
	buf_init(&l->said, LINK_QUEUE_MAX);
	frame_decoder_init(&l->decoder, LIMIT_READER_FRAME);
	arena_init(&l->arena, LIMIT_READER_MEMORY);
	CHECK(uv_pipe_init(loop, &l->pipe, 0) == 0);
	CHECK(uv_prepare_init(loop, &l->turn) == 0);
	rc = uv_pipe_open(&l->pipe, file);
	if (rc < 0)
		close_file(file);
	else
		rc = uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read);
	if (rc < 0) {
		l->callbacks.closed = ignore_closed; /* nobody knows it yet */
		link_fail(l, rc);
		return err_set(err, rc, "open the link: %s", uv_strerror(rc));
	}
	*out = l;
	return 0;
}

static void on_written(uv_write_t *req, int status)
{
	struct pending_write *w = container_of(req, struct pending_write, req);
	struct link *l = w->link;

	l->queued -= w->n;
	mem_free(w->data);
	mem_free(w);
	if (status < 0)
		link_fail(l, status);
}

/* Takes the buffer's memory. */
static int write_frames(struct link *l, struct buf *frames)
{
	struct pending_write *w = mem_calloc(1, sizeof *w);
	uv_buf_t piece;
	int rc;

	if (w == NULL)
		return ERR_NOMEM;
	w->link = l;
	w->data = buf_take(frames, &w->n);
	if (w->data == NULL) {
		mem_free(w);
		return ERR_NOMEM;
	}
	l->queued += w->n;
	piece = uv_buf_init(w->data, (unsigned)w->n);
	rc = uv_write(&w->req, (uv_stream_t *)&l->pipe, &piece, 1, on_written);
	if (rc < 0) {
		l->queued -= w->n;
		mem_free(w->data);
		mem_free(w);
		link_fail(l, rc);
	}
	return rc;
}

/* What the other end can't take at once waits in libuv's queue. */
static int write_said(struct link *l)
{
	uv_buf_t piece = uv_buf_init(l->said.data, (unsigned)l->said.len);
	int n = l->queued == 0 ? uv_try_write((uv_stream_t *)&l->pipe, &piece, 1) : 0;

	if (n > 0)
		buf_consume(&l->said, (size_t)n);
	return l->said.len > 0 ? write_frames(l, &l->said) : 0;
}

static void on_turn(uv_prepare_t *turn)
{
	struct link *l = turn->data;

	uv_prepare_stop(turn);
	if (write_said(l) < 0) {
		link_fail(l, ERR_NOMEM);
		return;
	}
	if (!l->paused)
		return;
	l->paused = false;
	CHECK(uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read) == 0);
}

static void start_turn(struct link *l)
{
	CHECK(uv_prepare_start(&l->turn, on_turn) == 0);
}

/* Room for n bytes more? */
static int link_room(const struct link *l, size_t n)
{
	if (uv_is_closing((const uv_handle_t *)&l->pipe))
		return ERR_CLOSED;
	return l->queued + l->said.len + n > LINK_QUEUE_MAX ? ERR_LIMIT : 0;
}

int link_send_frames(struct link *l, struct buf *frames)
{
	int rc = buf_rc(frames);

	if (rc < 0 || frames->len == 0)
		return rc;
	rc = link_room(l, frames->len);
	if (rc == 0 && l->said.len > 0)
		rc = write_said(l); /* comes first */
	return rc == 0 ? write_frames(l, frames) : rc;
}

int link_send(struct link *l, const Envwarden__Reader__Envelope *message)
{
	struct err err = ERR_INIT;
	int rc = link_room(l, 0);

	if (rc == 0)
		rc = codec_pack_reader(message, &l->said, &err);
	if (rc == 0)
		start_turn(l);
	else if (rc != ERR_CLOSED)
		log_error("link", "message not packed", LOG_INT("code", rc), LOG_ERR(&err));
	return rc;
}

void link_stop(struct link *l)
{
	link_fail(l, ERR_CANCELED);
}
