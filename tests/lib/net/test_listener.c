#include "lib/net/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net/tcp.h"

static const struct address anywhere = {.host = "127.0.0.1", .port = 0};

struct world {
	uv_loop_t loop;
	unsigned accepted, connected, stopped;
	uv_connect_t connects[4];
};

static void on_accepted(struct listener *listener, uv_tcp_t *tcp, void *ctx)
{
	struct world *w = ctx;

	(void)listener;
	w->accepted++;
	tcp_discard(tcp);
}

static void on_stopped(void *ctx)
{
	((struct world *)ctx)->stopped++;
}

static const struct listener_callbacks callbacks = {on_accepted, on_stopped};

static void on_connect(uv_connect_t *req, int status)
{
	struct world *w = req->data;

	assert_int_equal(status, 0);
	w->connected++;
	tcp_discard((uv_tcp_t *)req->handle);
}

static void connect_to(struct world *w, uv_connect_t *req, uint16_t port)
{
	struct sockaddr_in addr;
	uv_tcp_t *tcp;

	assert_int_equal(uv_ip4_addr("127.0.0.1", port, &addr), 0);
	assert_int_equal(tcp_new(&w->loop, &tcp, NULL), 0);
	req->data = w;
	assert_int_equal(uv_tcp_connect(req, tcp, (struct sockaddr *)&addr, on_connect), 0);
}

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(uv_loop_init(&w->loop), 0);
}

static void world_deinit(struct world *w)
{
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void test_errors(void **state)
{
	static const struct address named = {.host = "localhost", .port = 0};
	struct listener_config config = {.callbacks = &callbacks, .address = &anywhere};
	struct listener *first, *second = NULL;
	struct address taken = anywhere;
	struct err err = ERR_INIT;
	char want[80];
	struct world w;

	(void)state;
	world_init(&w);
	config.loop = &w.loop;
	config.ctx = &w;
	assert_int_equal(listener_start(&config, &first, NULL), 0);
	taken.port = listener_port(first);
	assert_int_not_equal(taken.port, 0);
	config.address = &taken;
	assert_int_equal(listener_start(&config, &second, &err), UV_EADDRINUSE);
	snprintf(want, sizeof(want), "listen on 127.0.0.1:%u: address already in use", taken.port);
	assert_string_equal(err.text, want);
	config.address = &named;
	assert_int_equal(listener_start(&config, &second, &err), ERR_INVALID);
	assert_string_equal(err.text, "listen on localhost:0: not an IP address");
	assert_null(second);
	listener_stop(first);
	listener_stop(first);
	world_deinit(&w);
	assert_int_equal(w.stopped, 1); /* a start that failed calls nobody back */
}

static void run_a_while(struct world *w)
{
	for (int i = 0; i < 50; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
}

/* Connections beyond the slots wait in the backlog, and come when a slot is free. */
static void test_slots(void **state)
{
	struct listener_config config = {.callbacks = &callbacks, .address = &anywhere, .slots = 2};
	struct listener *listener;
	struct world w;

	(void)state;
	world_init(&w);
	config.loop = &w.loop;
	config.ctx = &w;
	assert_int_equal(listener_start(&config, &listener, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		connect_to(&w, &w.connects[i], listener_port(listener));
	run_a_while(&w);
	assert_int_equal(w.connected, 4);
	assert_int_equal(w.accepted, 2);
	listener_release(listener);
	run_a_while(&w);
	assert_int_equal(w.accepted, 3);
	listener_release(listener);
	run_a_while(&w);
	assert_int_equal(w.accepted, 4);
	listener_stop(listener);
	world_deinit(&w);
	assert_int_equal(w.stopped, 1);
}

/* Stopped while libuv holds a connection that nobody has accepted. */
static void test_stop_with_one_waiting(void **state)
{
	struct listener_config config = {.callbacks = &callbacks, .address = &anywhere, .slots = 1};
	struct listener *listener;
	struct world w;

	(void)state;
	world_init(&w);
	config.loop = &w.loop;
	config.ctx = &w;
	assert_int_equal(listener_start(&config, &listener, NULL), 0);
	connect_to(&w, &w.connects[0], listener_port(listener));
	connect_to(&w, &w.connects[1], listener_port(listener));
	run_a_while(&w);
	assert_int_equal(w.accepted, 1);
	listener_stop(listener);
	world_deinit(&w);
	assert_int_equal(w.accepted, 1);
	assert_int_equal(w.stopped, 1);
}

/* A socket that was bound elsewhere. */
static void test_given_socket(void **state)
{
	struct listener_config config = {.callbacks = &callbacks};
	struct sockaddr_in addr;
	struct listener *listener;
	uv_os_sock_t sock;
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &addr), 0);
	sock = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(sock >= 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	config.loop = &w.loop;
	config.ctx = &w;
	config.socket = &sock;
	assert_int_equal(listener_start(&config, &listener, NULL), 0);
	connect_to(&w, &w.connects[0], listener_port(listener));
	run_a_while(&w);
	assert_int_equal(w.accepted, 1);
	listener_stop(listener);
	world_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_stop_with_one_waiting),
		cmocka_unit_test(test_given_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
