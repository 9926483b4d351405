/*
 * Connections over loopback, both ends in one loop. Each test runs its loop until nothing is left
 * in it, so a connection that forgets to end shows as a test that never does.
 */
#include "lib/net/conn.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/net/frame.h"
#include "lib/net/listener.h"
#include "lib/net/tcp.h"
#include "tests/support/fault.h"
#include "tests/support/test_pki.h"

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))
#define NOW_MS (20000 * DAY_MS)
#define NAME "server.org.envwarden.internal"
#define MACHINE "7d2f0a52-6c1b-4b0e-9a57-0f3f0f5b7c11"

static struct test_cert root, other_root, server_cert, machine, stranger;

static int64_t get_now(void *ctx)
{
	(void)ctx;
	return NOW_MS;
}

static int make_certs(void **state)
{
	(void)state;
	test_root_make("CN=Example root", NOW_MS - DAY_MS, NOW_MS + 3650 * DAY_MS, &root);
	test_root_make("CN=Other root", NOW_MS - DAY_MS, NOW_MS + 3650 * DAY_MS, &other_root);
	test_server_make(&root, NAME, NOW_MS - DAY_MS, NOW_MS + DAY_MS, &server_cert);
	test_machine_make(&root, MACHINE, NOW_MS - DAY_MS, NOW_MS + DAY_MS, &machine);
	test_machine_make(&other_root, MACHINE, NOW_MS - DAY_MS, NOW_MS + DAY_MS, &stranger);
	return 0;
}

static int free_certs(void **state)
{
	(void)state;
	test_cert_free(&root);
	test_cert_free(&other_root);
	test_cert_free(&server_cert);
	test_cert_free(&machine);
	test_cert_free(&stranger);
	return 0;
}

/* --- two sides --- */

struct world;

struct side {
	struct world *world;
	struct conn *conn; /* NULL before the start and after the end */
	struct conn_config config;
	unsigned ready, frames, drains, closed;
	size_t bytes;
	int rc;
	char reason[ERR_TEXT_MAX];
	/* What to do; NULL = nothing. */
	void (*when_ready)(struct side *side);
	void (*when_frame)(struct side *side, const void *payload, size_t n);
	void (*when_drain)(struct side *side);
};

struct world {
	uv_loop_t loop;
	struct listener *listener;
	struct side client, server;
	uv_connect_t connect;
	uv_tcp_t *raw; /* a client that is not a conn */
	uv_write_t raw_write;
	uv_timer_t timer;
	struct tls *raw_tls; /* it may speak TLS by hand */
	bool raw_done;
	char raw_chunk[4096];
	void (*raw_act)(struct world *w);
	unsigned count;
};

static void on_ready(struct conn *conn, void *ctx)
{
	struct side *side = ctx;

	assert_ptr_equal(conn, side->conn);
	assert_int_equal(side->closed, 0);
	side->ready++;
	if (side->when_ready)
		side->when_ready(side);
}

static void on_frame(struct conn *conn, const void *payload, size_t n, void *ctx)
{
	struct side *side = ctx;

	assert_ptr_equal(conn, side->conn);
	assert_int_equal(side->ready, 1);
	assert_int_equal(side->closed, 0);
	side->frames++;
	side->bytes += n;
	if (side->when_frame)
		side->when_frame(side, payload, n);
}

static void on_drain(struct conn *conn, void *ctx)
{
	struct side *side = ctx;

	(void)conn;
	side->drains++;
	if (side->when_drain)
		side->when_drain(side);
}

static void on_closed(void *ctx, int rc, const char *reason)
{
	struct side *side = ctx;

	side->conn = NULL;
	side->closed++;
	side->rc = rc;
	snprintf(side->reason, sizeof(side->reason), "%s", reason);
}

static const struct conn_callbacks callbacks = {on_ready, on_frame, on_drain, on_closed};

/* A side that could not even start counts as closed with that error. */
static void side_start(struct side *side, uv_tcp_t *tcp)
{
	struct err err = ERR_INIT;

	if (conn_start(&side->config, tcp, &side->conn, &err) < 0)
		on_closed(side, err.code, err.text);
}

static void on_accepted(struct listener *listener, uv_tcp_t *tcp, void *ctx)
{
	struct world *w = ctx;

	listener_stop(listener);
	w->listener = NULL;
	side_start(&w->server, tcp);
}

static void on_listener_stopped(void *ctx)
{
	(void)ctx;
}

static const struct listener_callbacks listener_callbacks = {on_accepted, on_listener_stopped};

static int client_context(const struct test_cert *cert, const struct test_cert *trusted,
			  struct tls_context **out)
{
	return tls_context_new_client(&(struct tls_client_config){.root = trusted->chain,
								  .root_n = trusted->chain_n,
								  .chain = cert->chain,
								  .chain_n = cert->chain_n,
								  .key = cert->key,
								  .server_name = NAME,
								  .now_ms = get_now},
				      out, NULL);
}

static int server_context(struct tls_context **out)
{
	static const struct tls_ticket_key key = {"name", "key", NOW_MS};
	int rc = tls_context_new_server(&(struct tls_server_config){.chain = server_cert.chain,
								    .chain_n = server_cert.chain_n,
								    .key = server_cert.key,
								    .client_root = root.chain,
								    .client_root_n = root.chain_n,
								    .now_ms = get_now},
					out, NULL);

	if (rc == 0)
		tls_context_set_ticket_keys(*out, &key, 1);
	return rc;
}

static int world_try_init(struct world *w, const struct test_cert *cert)
{
	int rc;

	memset(w, 0, sizeof(*w));
	w->client.world = w->server.world = w;
	w->client.config.callbacks = w->server.config.callbacks = &callbacks;
	w->client.config.ctx = &w->client;
	w->server.config.ctx = &w->server;
	assert_int_equal(uv_loop_init(&w->loop), 0);
	rc = client_context(cert, &root, &w->client.config.context);
	if (rc == 0)
		rc = server_context(&w->server.config.context);
	return rc;
}

static void world_init(struct world *w)
{
	assert_int_equal(world_try_init(w, &machine), 0);
}

static void world_deinit(struct world *w)
{
	assert_int_equal(uv_loop_close(&w->loop), 0);
	tls_free(w->raw_tls);
	tls_context_free(w->client.config.context);
	tls_context_free(w->server.config.context);
}

static int listen_and_connect(struct world *w, uv_connect_cb cb)
{
	static const struct address anywhere = {.host = "127.0.0.1", .port = 0};
	struct listener_config config = {
		.callbacks = &listener_callbacks, .address = &anywhere, .loop = &w->loop, .ctx = w};
	struct sockaddr_in addr;
	uv_tcp_t *tcp;
	int rc = listener_start(&config, &w->listener, NULL);

	if (rc < 0)
		return rc;
	assert_int_equal(uv_ip4_addr("127.0.0.1", listener_port(w->listener), &addr), 0);
	rc = tcp_new(&w->loop, &tcp, NULL);
	if (rc < 0) {
		listener_stop(w->listener);
		return rc;
	}
	w->connect.data = w;
	assert_int_equal(uv_tcp_connect(&w->connect, tcp, (struct sockaddr *)&addr, cb), 0);
	return 0;
}

static void on_connect(uv_connect_t *req, int status)
{
	struct world *w = req->data;

	assert_int_equal(status, 0);
	side_start(&w->client, (uv_tcp_t *)req->handle);
}

static void run(struct world *w)
{
	assert_int_equal(listen_and_connect(w, on_connect), 0);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(w->client.closed, 1);
	assert_int_equal(w->server.closed, 1);
}

static void assert_ended(const struct side *side, int rc)
{
	if (side->rc != rc)
		fail_msg("ended with %d %s", side->rc, side->reason);
}

/* --- talking --- */

static void send_three(struct side *side)
{
	static char big[FRAME_SYNC_MAX];

	assert_int_equal(conn_send(side->conn, "hello", 5, NULL), 0);
	assert_int_equal(conn_send(side->conn, "", 0, NULL), 0);
	assert_int_equal(conn_send(side->conn, big, sizeof(big), NULL), 0);
	assert_int_equal(conn_send(side->conn, big, sizeof(big) + 1, NULL), ERR_LIMIT);
}

static void echo(struct side *side, const void *payload, size_t n)
{
	assert_int_equal(conn_send(side->conn, payload, n, NULL), 0);
}

static void finish_after_three(struct side *side, const void *payload, size_t n)
{
	if (side->frames == 1)
		assert_memory_equal(payload, "hello", n);
	if (side->frames == 3) {
		conn_finish(side->conn);
		conn_finish(side->conn);
		assert_int_equal(conn_send(side->conn, "x", 1, NULL), ERR_CLOSED);
	}
}

static void check_peer(struct side *side)
{
	struct tls_peer peer;

	assert_int_equal(tls_peer(conn_tls(side->conn), &peer, NULL), 0);
	assert_int_equal(peer.class, TLS_PEER_GOOD);
	assert_true(peer.has_machine);
	assert_int_equal(strncmp(conn_peer_name(side->conn), "127.0.0.1:", 10), 0);
}

static void test_echo_and_finish(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.client.when_ready = send_three;
	w.client.when_frame = finish_after_three;
	w.server.when_ready = check_peer;
	w.server.when_frame = echo;
	run(&w);
	assert_int_equal(w.client.frames, 3);
	assert_int_equal(w.client.bytes, FRAME_SYNC_MAX + 5);
	assert_ended(&w.client, 0);
	assert_ended(&w.server, ERR_CLOSED);
	world_deinit(&w);
}

/* A last answer is not lost although much of what the peer sent was never read. */
static void refuse(struct side *side, const void *payload, size_t n)
{
	(void)payload;
	(void)n;
	assert_int_equal(conn_send(side->conn, "no", 2, NULL), 0);
	conn_finish(side->conn);
}

static void test_finish_delivers_the_answer(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.client.when_ready = send_three;
	w.server.when_frame = refuse;
	run(&w);
	assert_int_equal(w.server.frames, 1);
	assert_int_equal(w.client.frames, 1);
	assert_int_equal(w.client.bytes, 2);
	assert_ended(&w.server, 0);
	assert_ended(&w.client, ERR_CLOSED);
	world_deinit(&w);
}

static void stop(struct side *side)
{
	conn_stop(side->conn);
	conn_stop(side->conn);
	conn_finish(side->conn);
	assert_int_equal(conn_send(side->conn, "x", 1, NULL), ERR_CLOSED);
}

static void stop_at_frame(struct side *side, const void *payload, size_t n)
{
	(void)payload;
	(void)n;
	stop(side);
}

static void test_stop_inside_callbacks(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.client.when_ready = stop;
	run(&w);
	assert_ended(&w.client, 0);
	assert_ended(&w.server, ERR_CLOSED);
	world_deinit(&w);

	world_init(&w);
	w.client.when_ready = send_three;
	w.server.when_frame = stop_at_frame;
	run(&w);
	assert_ended(&w.server, 0);
	assert_int_equal(w.server.frames, 1); /* nothing after the stop */
	assert_int_not_equal(w.client.rc, 0);
	world_deinit(&w);
}

/* Stopped after any number of turns of the loop, from outside. */
static void test_stop_any_time(void **state)
{
	(void)state;
	for (int turns = 0; turns < 14; turns++) {
		struct world w;

		world_init(&w);
		w.client.when_ready = send_three;
		assert_int_equal(listen_and_connect(&w, on_connect), 0);
		while (!w.client.conn)
			uv_run(&w.loop, UV_RUN_ONCE);
		for (int i = 0; i < turns; i++)
			uv_run(&w.loop, UV_RUN_NOWAIT);
		conn_stop(w.client.conn);
		uv_run(&w.loop, UV_RUN_DEFAULT);
		assert_int_equal(w.client.closed, 1);
		assert_int_equal(w.server.closed, 1);
		assert_ended(&w.client, 0);
		world_deinit(&w);
	}
}

/* --- back pressure --- */

#define PIECE 60000
#define QUEUE_MAX 300000
#define PIECES 400 /* more than the kernel's buffers take */

static void pause_reading(struct side *side)
{
	conn_pause(side->conn);
}

/* Sends until the queue is full, on and on until all pieces are accepted. */
static void fill_queue(struct side *side)
{
	static const char piece[PIECE];
	struct world *w = side->world;
	int rc = 0;

	while (w->count < PIECES && rc == 0) {
		bool fits = conn_writable(side->conn, PIECE);

		rc = conn_send(side->conn, piece, PIECE, NULL);
		assert_int_equal(rc, fits ? 0 : ERR_LIMIT);
		assert_true(conn_queued(side->conn) <= QUEUE_MAX);
		w->count += rc == 0;
	}
	if (w->count == PIECES)
		conn_finish(side->conn);
}

static void on_resume_timer(uv_timer_t *timer)
{
	struct world *w = timer->data;

	assert_int_equal(w->server.frames, 0);
	assert_true(w->count <
		    PIECES); /* the peer's silence is felt, behind the kernel's buffers */
	conn_resume(w->server.conn);
	conn_resume(w->server.conn);
	assert_int_equal(w->server.frames, 0); /* not from inside */
	uv_close((uv_handle_t *)timer, NULL);
}

static void test_slow_peer(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.client.config.queue_max = QUEUE_MAX;
	w.client.when_ready = fill_queue;
	w.client.when_drain = fill_queue;
	w.server.when_ready = pause_reading;
	uv_timer_init(&w.loop, &w.timer);
	w.timer.data = &w;
	uv_timer_start(&w.timer, on_resume_timer, 300, 0);
	run(&w);
	assert_true(w.client.drains > 0);
	assert_int_equal(w.server.frames, PIECES);
	assert_int_equal(w.server.bytes, PIECES * (size_t)PIECE);
	assert_ended(&w.client, 0);
	assert_ended(&w.server, ERR_CLOSED);
	world_deinit(&w);
}

static void send_ten_and_finish(struct side *side)
{
	for (int i = 0; i < 10; i++)
		assert_int_equal(conn_send(side->conn, "0123456789", 10, NULL), 0);
	conn_finish(side->conn);
}

static void on_resume_later(uv_timer_t *timer)
{
	struct world *w = timer->data;

	conn_resume(w->server.conn);
}

/* One frame, then a pause, again and again: none is lost, though the peer is long gone. */
static void pause_each(struct side *side, const void *payload, size_t n)
{
	struct world *w = side->world;

	(void)payload;
	(void)n;
	assert_false(uv_is_active((uv_handle_t *)&w->timer));
	conn_pause(side->conn);
	if (side->frames == 10) {
		uv_close((uv_handle_t *)&w->timer, NULL);
		conn_stop(side->conn);
		return;
	}
	uv_timer_start(&w->timer, on_resume_later, 5, 0);
}

static void test_pause_keeps_frames(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.client.when_ready = send_ten_and_finish;
	w.server.when_frame = pause_each;
	uv_timer_init(&w.loop, &w.timer);
	w.timer.data = &w;
	run(&w);
	assert_int_equal(w.server.frames, 10);
	world_deinit(&w);
}

/* --- peers that misbehave --- */

static void send_101(struct side *side)
{
	static const char payload[101];

	assert_int_equal(conn_send(side->conn, payload, sizeof(payload), NULL), 0);
}

static void test_frame_over_limit(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.server.config.frame_max = 100;
	w.client.when_ready = send_101;
	run(&w);
	assert_ended(&w.server, ERR_LIMIT);
	assert_int_equal(w.server.frames, 0);
	world_deinit(&w);
}

static void test_bad_certificate(void **state)
{
	struct world w;

	(void)state;
	assert_int_equal(world_try_init(&w, &stranger), 0);
	run(&w);
	assert_ended(&w.server, ERR_VERIFY);
	assert_string_equal(w.server.reason,
			    "the machine's certificate is not signed by this organisation");
	assert_int_equal(w.server.ready, 0);
	assert_ended(&w.client, ERR_PROTOCOL);
	assert_int_equal(w.client.ready, 0);
	world_deinit(&w);
}

static void raw_close(struct world *w)
{
	tcp_discard(w->raw);
	w->raw = NULL;
}

static void on_raw_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct world *w = handle->data;

	(void)hint;
	*buf = uv_buf_init(w->raw_chunk, sizeof(w->raw_chunk));
}

/* Everything the hand-made client has to say goes out at once: loopback takes that little. */
static void raw_send(struct world *w, const char *data, size_t n)
{
	uv_buf_t bytes = uv_buf_init((char *)(uintptr_t)data, (unsigned)n);

	if (n > 0)
		assert_int_equal(uv_try_write((uv_stream_t *)w->raw, &bytes, 1), n);
}

static void raw_flush(struct world *w)
{
	struct buf *out = tls_out(w->raw_tls);

	raw_send(w, out->data, out->len);
	buf_consume(out, out->len);
}

static void on_raw_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct world *w = stream->data;

	if (n < 0) {
		raw_close(w);
		return;
	}
	if (!w->raw_tls || w->raw_done)
		return;
	assert_int_equal(tls_feed(w->raw_tls, buf->base, (size_t)n, NULL), 0);
	raw_flush(w);
	if (tls_state(w->raw_tls) == TLS_OPEN) {
		w->raw_done = true;
		w->raw_act(w);
	}
}

static void on_raw_connect(uv_connect_t *req, int status)
{
	struct world *w = req->data;

	assert_int_equal(status, 0);
	w->raw = (uv_tcp_t *)req->handle;
	w->raw->data = w;
	assert_int_equal(uv_read_start(req->handle, on_raw_alloc, on_raw_read), 0);
	if (w->raw_tls) {
		assert_int_equal(tls_handshake(w->raw_tls, NULL), 0);
		raw_flush(w);
	} else {
		w->raw_act(w);
	}
}

static void act_nothing(struct world *w)
{
	(void)w;
}

static void act_http(struct world *w)
{
	raw_send(w, "GET / HTTP/1.1\r\n\r\n", 18);
}

static void act_half_record(struct world *w)
{
	raw_send(w, "\x16\x03\x01\x02\x00\x01", 6);
	raw_close(w);
}

static void act_frames(struct world *w, const char *data, size_t n, bool goodbye)
{
	assert_int_equal(tls_write(w->raw_tls, data, n, NULL), 0);
	if (goodbye)
		tls_close_notify(w->raw_tls);
	raw_flush(w);
	raw_close(w);
}

static void act_no_goodbye(struct world *w)
{
	act_frames(w, "\0\0\0\2ab", 6, false);
}

static void act_goodbye_in_frame(struct world *w)
{
	act_frames(w, "\0\0\0\2ab\0\0\0\7abc", 13, true);
}

static void act_goodbye(struct world *w)
{
	act_frames(w, "\0\0\0\2ab", 6, true);
}

static void act_garbage_later(struct world *w)
{
	raw_send(w, "\x17\x03\x03\x00\x20now this is no encrypted record..", 38);
}

static void test_raw_peers(void **state)
{
	static const struct {
		const char *name;
		bool tls;
		void (*act)(struct world *w);
		int rc;
		unsigned frames;
	} cases[] = {
		{"silent", false, act_nothing, ERR_TIMEOUT, 0},
		{"not TLS", false, act_http, ERR_PROTOCOL, 0},
		{"cut handshake", false, act_half_record, ERR_TRUNCATED, 0},
		{"no goodbye", true, act_no_goodbye, ERR_TRUNCATED, 1},
		{"goodbye inside a frame", true, act_goodbye_in_frame, ERR_TRUNCATED, 1},
		{"goodbye", true, act_goodbye, ERR_CLOSED, 1},
		{"garbage later", true, act_garbage_later, ERR_PROTOCOL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world w;

		world_init(&w);
		w.raw_act = cases[i].act;
		w.server.config.handshake_timeout_ms = cases[i].rc == ERR_TIMEOUT ? 50 : 5000;
		if (cases[i].tls)
			assert_int_equal(tls_new(w.client.config.context, &w.raw_tls, NULL), 0);
		assert_int_equal(listen_and_connect(&w, on_raw_connect), 0);
		uv_run(&w.loop, UV_RUN_DEFAULT);
		if (w.server.closed != 1 || w.server.rc != cases[i].rc ||
		    w.server.frames != cases[i].frames)
			fail_msg("%s: %u %d %s, %u frames", cases[i].name, w.server.closed,
				 w.server.rc, w.server.reason, w.server.frames);
		world_deinit(&w);
	}
}

/* A peer that never says goodbye in its turn does not keep us. */
static void finish(struct side *side)
{
	conn_finish(side->conn);
}

static void test_finish_ends_by_itself(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.raw_act = act_nothing;
	w.server.when_ready = finish;
	w.server.config.handshake_timeout_ms = 1000;
	assert_int_equal(tls_new(w.client.config.context, &w.raw_tls, NULL), 0);
	assert_int_equal(listen_and_connect(&w, on_raw_connect), 0);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(w.server.closed, 1);
	assert_ended(&w.server, 0);
	world_deinit(&w);
}

/* --- sessions --- */

static struct buf session;

static void keep_session(struct side *side)
{
	assert_int_equal(tls_session_export(conn_tls(side->conn), &session, NULL), 0);
	conn_finish(side->conn);
}

static void expect_resumed(struct side *side)
{
	struct tls_peer peer;

	assert_int_equal(tls_peer(conn_tls(side->conn), &peer, NULL), 0);
	assert_true(peer.resumed);
	assert_true(peer.has_machine);
}

static void test_session(void **state)
{
	struct world w;

	(void)state;
	buf_init(&session, TLS_SESSION_MAX);
	world_init(&w);
	w.client.when_ready = keep_session;
	run(&w);
	world_deinit(&w);

	world_init(&w);
	w.client.config.session = session.data;
	w.client.config.session_n = session.len;
	w.client.when_ready = finish;
	w.server.when_ready = expect_resumed;
	run(&w);
	assert_int_equal(w.server.ready, 1);
	world_deinit(&w);

	world_init(&w); /* one that does not fit is no obstacle */
	w.client.config.session = "nonsense";
	w.client.config.session_n = 8;
	w.client.when_ready = finish;
	run(&w);
	assert_int_equal(w.server.ready, 1);
	world_deinit(&w);
	buf_deinit(&session);
}

/* --- no memory --- */

static void send_hello(struct side *side)
{
	if (conn_send(side->conn, "hello", 5, NULL) < 0)
		conn_stop(side->conn);
}

static void echo_or_stop(struct side *side, const void *payload, size_t n)
{
	if (conn_send(side->conn, payload, n, NULL) < 0)
		conn_stop(side->conn);
}

static void finish_at_frame(struct side *side, const void *payload, size_t n)
{
	(void)payload;
	(void)n;
	conn_finish(side->conn);
}

/* Whatever allocation fails: both ends end, nothing leaks, nobody waits for ever. */
static int talk_body(void *ctx)
{
	struct world w;
	int rc = world_try_init(&w, &machine);

	(void)ctx;
	w.server.config.handshake_timeout_ms = w.client.config.handshake_timeout_ms = 2000;
	w.client.when_ready = send_hello;
	w.client.when_frame = finish_at_frame;
	w.server.when_frame = echo_or_stop;
	if (rc == 0)
		rc = listen_and_connect(&w, on_connect);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	if (rc == 0 && w.client.frames == 0)
		rc = ERR_NOMEM;
	world_deinit(&w);
	return rc;
}

static void test_no_memory(void **state)
{
	(void)state;
	fault_each_alloc(talk_body, NULL, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo_and_finish),
		cmocka_unit_test(test_finish_delivers_the_answer),
		cmocka_unit_test(test_stop_inside_callbacks),
		cmocka_unit_test(test_stop_any_time),
		cmocka_unit_test(test_slow_peer),
		cmocka_unit_test(test_pause_keeps_frames),
		cmocka_unit_test(test_frame_over_limit),
		cmocka_unit_test(test_bad_certificate),
		cmocka_unit_test(test_raw_peers),
		cmocka_unit_test(test_finish_ends_by_itself),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_no_memory),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* as every program with sockets does */
	return cmocka_run_group_tests(tests, make_certs, free_certs);
}
