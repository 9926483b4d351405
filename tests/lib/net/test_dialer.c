#include "lib/net/dialer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net/listener.h"
#include "lib/net/tcp.h"
#include "tests/support/fault.h"

/* A server, or a proxy that answers what the test wants, and a dialer that is looking for it. */
struct world {
	uv_loop_t loop;
	struct listener *listener;
	uint16_t port;
	unsigned accepted;
	uv_tcp_t *accepted_tcp; /* kept open, as a proxy */
	const char *proxy_says; /* NULL = nothing */
	char request[512];
	size_t request_n;
	char chunk[512];
	uv_write_t write;

	struct dialer *dialer;
	unsigned connects_wanted; /* stop after so many */
	unsigned connected, failed, stopped;
	unsigned failures_wanted; /* stop after so many; 0 = never */
	int64_t next_ms;
	char connected_to[ADDRESS_TEXT_MAX];
	struct err why;
};

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct world *w = handle->data;

	(void)hint;
	*buf = uv_buf_init(w->chunk, sizeof(w->chunk));
}

static void on_proxy_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct world *w = stream->data;

	if (n < 0) {
		tcp_discard(w->accepted_tcp);
		w->accepted_tcp = NULL;
		return;
	}
	assert_true(w->request_n + (size_t)n < sizeof(w->request));
	memcpy(w->request + w->request_n, buf->base, (size_t)n);
	w->request_n += (size_t)n;
	w->request[w->request_n] = '\0';
	if (w->proxy_says && strstr(w->request, "\r\n\r\n")) {
		uv_buf_t answer = uv_buf_init((char *)(uintptr_t)w->proxy_says,
					      (unsigned)strlen(w->proxy_says));

		assert_int_equal(uv_write(&w->write, stream, &answer, 1, NULL), 0);
	}
}

static void on_accepted(struct listener *listener, uv_tcp_t *tcp, void *ctx)
{
	struct world *w = ctx;

	listener_release(listener);
	w->accepted++;
	if (w->accepted_tcp)
		tcp_discard(w->accepted_tcp);
	w->accepted_tcp = tcp;
	w->request_n = 0;
	tcp->data = w;
	assert_int_equal(uv_read_start((uv_stream_t *)tcp, on_alloc, on_proxy_read), 0);
}

static void on_listener_stopped(void *ctx)
{
	(void)ctx;
}

static void finish(struct world *w)
{
	dialer_stop(w->dialer);
	dialer_stop(w->dialer);
	if (w->listener)
		listener_stop(w->listener);
	w->listener = NULL;
}

static void on_connected(struct dialer *dialer, uv_tcp_t *tcp, const struct address *address,
			 void *ctx)
{
	struct world *w = ctx;

	assert_null(tcp->data);
	assert_false(uv_is_closing((uv_handle_t *)tcp));
	address_format(address, w->connected_to);
	tcp_discard(tcp);
	w->connected++;
	if (w->connected >= w->connects_wanted) {
		finish(w);
		return;
	}
	dialer_lost(dialer, 0);
	dialer_lost(dialer, 0); /* told twice: once is enough */
	dialer_hurry(dialer);
}

static void on_failed(struct dialer *dialer, const struct err *why, int64_t next_ms, void *ctx)
{
	struct world *w = ctx;

	w->why = *why;
	w->next_ms = next_ms;
	w->failed++;
	if (w->failed == w->failures_wanted)
		finish(w);
	else
		dialer_hurry(dialer);
}

static void on_stopped(void *ctx)
{
	struct world *w = ctx;

	w->stopped++;
	if (w->accepted_tcp)
		tcp_discard(w->accepted_tcp);
	w->accepted_tcp = NULL;
}

static const struct dialer_callbacks callbacks = {on_connected, on_failed, on_stopped};
static const struct listener_callbacks listener_callbacks = {on_accepted, on_listener_stopped};

static void world_init(struct world *w)
{
	static const struct address anywhere = {.host = "127.0.0.1", .port = 0};
	struct listener_config config = {
		.callbacks = &listener_callbacks, .address = &anywhere, .loop = &w->loop, .ctx = w};

	memset(w, 0, sizeof(*w));
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(listener_start(&config, &w->listener, NULL), 0);
	w->port = listener_port(w->listener);
	w->connects_wanted = 1;
}

/* A port where nobody listens: one that was free a moment ago. */
static uint16_t dead_port(struct world *w)
{
	struct sockaddr_in addr;
	char name[TCP_NAME_MAX];
	uint16_t port;
	struct address a;
	uv_tcp_t *tcp;

	assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &addr), 0);
	assert_int_equal(tcp_new(&w->loop, &tcp, NULL), 0);
	assert_int_equal(uv_tcp_bind(tcp, (struct sockaddr *)&addr, 0), 0);
	tcp_own_name(tcp, name);
	tcp_discard(tcp);
	assert_int_equal(address_parse(name, 0, &a, NULL), 0);
	port = a.port;
	assert_int_not_equal(port, 0);
	return port;
}

static struct address local(uint16_t port)
{
	struct address a = {.host = "127.0.0.1", .port = port};

	return a;
}

static void run(struct world *w, struct dialer_config *config)
{
	config->loop = &w->loop;
	config->callbacks = &callbacks;
	config->ctx = w;
	assert_int_equal(dialer_start(config, &w->dialer, NULL), 0);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(w->stopped, 1);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void test_connects_and_again(void **state)
{
	struct world w;
	struct address a;

	(void)state;
	world_init(&w);
	w.connects_wanted = 3;
	a = local(w.port);
	run(&w, &(struct dialer_config){.addresses = &a, .addresses_n = 1});
	assert_int_equal(w.connected, 3);
	assert_int_equal(w.failed, 0);
}

static void test_next_address(void **state)
{
	struct address a[3];
	char want[ADDRESS_TEXT_MAX];
	struct world w;

	(void)state;
	world_init(&w);
	a[0] = local(dead_port(&w));
	a[1] = (struct address){.host = "no such name", .port = 1};
	a[2] = local(w.port);
	run(&w, &(struct dialer_config){.addresses = a, .addresses_n = 3});
	assert_int_equal(w.connected, 1);
	assert_int_equal(w.failed, 0);
	address_format(&a[2], want);
	assert_string_equal(w.connected_to, want);
}

static void test_all_fail(void **state)
{
	struct address a;
	char want[128];
	struct world w;

	(void)state;
	world_init(&w);
	w.failures_wanted = 3;
	a = local(dead_port(&w));
	run(&w, &(struct dialer_config){.addresses = &a, .addresses_n = 1});
	assert_int_equal(w.connected, 0);
	assert_int_equal(w.why.code, UV_ECONNREFUSED);
	snprintf(want, sizeof(want), "connect to 127.0.0.1:%u: connection refused", a.port);
	assert_string_equal(w.why.text, want);
	assert_in_range(w.next_ms, 2000, 3999); /* the third wait */
}

static void test_proxy(void **state)
{
	static const struct {
		const char *says;
		int rc; /* 0 = the tunnel stands */
	} cases[] = {
		{"HTTP/1.1 200 Connection established\r\n\r\n", 0},
		{"HTTP/1.1 407 No\r\n\r\n", ERR_PERM},
		{"HTTP/1.1 502 No\r\n\r\n", ERR_UNREACHABLE},
		{"hello, this is not HTTP", ERR_PROTOCOL},
		{NULL, ERR_TIMEOUT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address target = {.host = "server.example", .port = 7443}, proxy;
		struct world w;

		world_init(&w);
		w.failures_wanted = 1;
		w.proxy_says = cases[i].says;
		proxy = local(w.port);
		run(&w, &(struct dialer_config){.addresses = &target,
						.addresses_n = 1,
						.proxy = &proxy,
						.proxy_credentials = "a:b",
						.connect_timeout_ms = cases[i].says ? 5000 : 50});
		assert_string_equal(w.request, "CONNECT server.example:7443 HTTP/1.1\r\n"
					       "Host: server.example:7443\r\n"
					       "Proxy-Authorization: Basic YTpi\r\n\r\n");
		if (w.why.code != cases[i].rc || w.connected != (cases[i].rc == 0))
			fail_msg("%zu: %s", i, w.why.text);
	}
}

/* Stopped at every moment of its life: it must always end, once, and leave the loop empty. */
static void test_stop_any_time(void **state)
{
	(void)state;
	for (int turns = 0; turns < 12; turns++) {
		struct address target = {.host = "server.example", .port = 7443}, proxy;
		struct dialer_config config = {.addresses = &target,
					       .addresses_n = 1,
					       .proxy = &proxy,
					       .callbacks = &callbacks};
		struct world w;

		world_init(&w);
		proxy = local(w.port);
		config.loop = &w.loop;
		config.ctx = &w;
		assert_int_equal(dialer_start(&config, &w.dialer, NULL), 0);
		for (int i = 0; i < turns; i++) {
			uv_run(&w.loop, UV_RUN_NOWAIT);
			uv_sleep(1); /* a name is looked up in another thread */
		}
		finish(&w);
		uv_run(&w.loop, UV_RUN_DEFAULT);
		assert_int_equal(w.stopped, 1);
		assert_int_equal(uv_loop_close(&w.loop), 0);
	}
}

static int dial_body(void *ctx)
{
	struct address a = {.host = "server.example", .port = 1}, proxy = local(*(uint16_t *)ctx);
	struct dialer_config config = {.addresses = &a,
				       .addresses_n = 1,
				       .proxy = &proxy,
				       .proxy_credentials = "a:b",
				       .callbacks = &callbacks};
	struct world w = {.failures_wanted = 1};
	int rc;

	assert_int_equal(uv_loop_init(&w.loop), 0);
	config.loop = &w.loop;
	config.ctx = &w;
	rc = dialer_start(&config, &w.dialer, NULL);
	if (rc == 0) {
		uv_run(&w.loop, UV_RUN_DEFAULT);
		assert_int_equal(w.stopped, 1);
		rc = w.why.code == ERR_NOMEM ? ERR_NOMEM : 0;
	}
	assert_int_equal(uv_loop_close(&w.loop), 0);
	return rc;
}

static void test_no_memory(void **state)
{
	struct world w;
	uint16_t port;

	(void)state;
	world_init(&w);
	port = dead_port(&w);
	w.stopped = 1;
	listener_stop(w.listener);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w.loop), 0);
	fault_each_alloc(dial_body, &port, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connects_and_again), cmocka_unit_test(test_next_address),
		cmocka_unit_test(test_all_fail),	   cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_stop_any_time),	   cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
