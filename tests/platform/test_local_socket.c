#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include <cmocka.h>

#include "platform/clock.h"
#include "platform/local_socket.h"
#include "platform/peer_cred.h"
#include "tests/support/tmpdir.h"

#define CLIENTS_MAX 4

struct place {
	struct tmpdir tmp;
	char path[TMPDIR_PATH_MAX];
	uv_loop_t loop;
	struct local_server *server;
	uv_pipe_t clients[CLIENTS_MAX];
	int accepted;
	int waited;
	bool turn_away;
	bool stop_in_callback;
	int stopped;
};

static int64_t in_ms(int64_t ms)
{
	return clock_system()->mono_ms(clock_system()) + ms;
}

static void on_stopped(void *owner)
{
	struct place *p = owner;
	p->stopped++;
}

static void on_waiting(void *ctx, struct local_server *server)
{
	struct place *p = ctx;
	p->waited++;
	if (p->stop_in_callback)
		local_server_stop(server, on_stopped, p);
	if (p->turn_away || p->stop_in_callback)
		return;
	assert_in_range(p->accepted, 0, CLIENTS_MAX - 1);
	uv_pipe_t *client = &p->clients[p->accepted++];
	assert_int_equal(uv_pipe_init(&p->loop, client, 0), 0);
	assert_int_equal(local_server_accept(server, client), 0);
}

static int start(struct place *p, const char *path, bool for_everybody, struct local_server **out,
		 struct err *err)
{
	const struct local_server_options options = {
		.loop = &p->loop,
		.path = path,
		.for_everybody = for_everybody,
		.waiting = on_waiting,
		.ctx = p,
	};
	return local_server_start(&options, out, err);
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	tmpdir_make(&p->tmp);
	tmpdir_path(&p->tmp, "run/agent.sock", p->path);
	assert_int_equal(uv_loop_init(&p->loop), 0);
	assert_int_equal(start(p, p->path, false, &p->server, NULL), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	local_server_stop(p->server, on_stopped, p);
	local_server_stop(p->server, on_stopped, p);
	for (int i = 0; i < p->accepted; i++)
		if (!uv_is_closing((uv_handle_t *)&p->clients[i]))
			uv_close((uv_handle_t *)&p->clients[i], NULL);
	assert_int_equal(uv_run(&p->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(p->stopped, 1);
	assert_int_equal(uv_loop_close(&p->loop), 0);
	assert_int_not_equal(access(p->path, F_OK), 0); /* the socket's file is gone */
	tmpdir_remove(&p->tmp);
	free(p);
	return 0;
}

static unsigned mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void connect_one(struct place *p, struct local_client *client)
{
	assert_int_equal(local_client_open(p->path, in_ms(1000), client, NULL), 0);
	uv_run(&p->loop, UV_RUN_NOWAIT);
}

static void room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	static char bytes[64];
	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(bytes, sizeof(bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	if (n <= 0)
		return;
	uv_buf_t back = uv_buf_init(buf->base, (unsigned)n);
	assert_int_equal(uv_try_write(stream, &back, 1), n);
}

static void talks(void **state)
{
	struct place *p = *state;
	struct local_client client = LOCAL_CLIENT_NONE;
	struct peer_cred cred = {0};
	char text[16];
	size_t n = 0;
	uv_os_fd_t fd;
	connect_one(p, &client);
	assert_int_equal(p->accepted, 1);
	assert_int_equal(uv_read_start((uv_stream_t *)&p->clients[0], room, on_read), 0);
	assert_int_equal(local_client_send(&client, "hello", 5, in_ms(1000), NULL), 0);
	uv_run(&p->loop, UV_RUN_ONCE);
	assert_int_equal(local_client_recv(&client, text, sizeof(text), in_ms(1000), &n, NULL), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(text, "hello", 5);

	/* each end sees the other */
	assert_int_equal(peer_cred_get(client.handle, &cred, NULL), 0);
	assert_int_equal(cred.uid, geteuid());
	assert_int_equal(cred.pid, getpid());
	cred = (struct peer_cred){0};
	assert_int_equal(uv_fileno((uv_handle_t *)&p->clients[0], &fd), 0);
	assert_int_equal(peer_cred_get(fd, &cred, NULL), 0);
	assert_int_equal(cred.pid, getpid());

	int64_t before = in_ms(0);
	assert_int_equal(local_client_recv(&client, text, sizeof(text), before + 30, &n, NULL),
			 ERR_TIMEOUT);
	assert_in_range(in_ms(0) - before, 29, 5000);
	uv_close((uv_handle_t *)&p->clients[0], NULL);
	uv_run(&p->loop, UV_RUN_NOWAIT);
	assert_int_equal(local_client_recv(&client, text, sizeof(text), in_ms(1000), &n, NULL),
			 ERR_CLOSED);
	assert_int_equal(local_client_send(&client, "x", 1, in_ms(1000), NULL), ERR_CLOSED);
	local_client_close(&client);
	local_client_close(&client);
	assert_int_equal(client.handle, -1);
}

/* A peer that never reads can't hold the command for longer than it wants to wait. */
static void send_has_a_deadline(void **state)
{
	struct place *p = *state;
	struct local_client client = LOCAL_CLIENT_NONE;
	static const char big[8 << 20];
	connect_one(p, &client);
	assert_int_equal(local_client_send(&client, big, sizeof(big), in_ms(30), NULL),
			 ERR_TIMEOUT);
	local_client_close(&client);
}

static void rights(void **state)
{
	struct place *p = *state;
	struct local_server *public_server;
	char path[TMPDIR_PATH_MAX];
	assert_int_equal(mode_of(p->path), 0600);
	tmpdir_path(&p->tmp, "run", path);
	assert_int_equal(mode_of(path), 0700);
	tmpdir_path(&p->tmp, "public/agent.sock", path);
	mode_t before = umask(077);
	assert_int_equal(start(p, path, true, &public_server, NULL), 0);
	(void)umask(before);
	assert_int_equal(mode_of(path), 0666);
	tmpdir_path(&p->tmp, "public", path);
	assert_int_equal(mode_of(path), 0755);
	local_server_stop(public_server, NULL, NULL);
}

static void already_served(void **state)
{
	struct place *p = *state;
	struct local_server *second = NULL;
	struct err err = ERR_INIT;
	char want[64];
	assert_int_equal(start(p, p->path, false, &second, &err), ERR_EXISTS);
	assert_null(second);
	snprintf(want, sizeof(want), "in use by another agent (pid %ld)", (long)getpid());
	assert_non_null(strstr(err.text, want));
	assert_int_equal(access(p->path, F_OK), 0);
	p->turn_away = true; /* the question itself was a client that has gone again */
	uv_run(&p->loop, UV_RUN_NOWAIT);
}

static int raw_listener(const char *path, int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void stale_is_replaced(void **state)
{
	struct place *p = *state;
	struct local_server *server;
	struct local_client client = LOCAL_CLIENT_NONE;
	char path[TMPDIR_PATH_MAX];
	tmpdir_path(&p->tmp, "stale", path);
	assert_int_equal(close(raw_listener(path, 1)), 0);
	assert_int_equal(local_client_open(path, in_ms(1000), &client, NULL), ERR_UNREACHABLE);
	assert_int_equal(start(p, path, false, &server, NULL), 0);
	assert_int_equal(local_client_open(path, in_ms(1000), &client, NULL), 0);
	local_client_close(&client);
	local_server_stop(server, NULL, NULL);
}

static void bad_places(void **state)
{
	struct place *p = *state;
	struct local_server *server = NULL;
	struct local_client client = LOCAL_CLIENT_NONE;
	struct err err = ERR_INIT;
	char path[TMPDIR_PATH_MAX];
	char name[140];
	tmpdir_write_text(&p->tmp, "file", "precious");
	tmpdir_path(&p->tmp, "file", path);
	assert_int_equal(start(p, path, false, &server, &err), ERR_EXISTS);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(local_client_open(path, in_ms(1000), &client, NULL), ERR_UNREACHABLE);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	tmpdir_path(&p->tmp, name, path);
	assert_int_equal(start(p, path, false, &server, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "1 to 107 bytes"));
	assert_int_equal(local_client_open(path, in_ms(1000), &client, NULL), ERR_LIMIT);
	assert_int_equal(local_client_open("", in_ms(1000), &client, NULL), ERR_LIMIT);
	tmpdir_path(&p->tmp, "missing", path);
	assert_int_equal(local_client_open(path, in_ms(1000), &client, NULL), ERR_NOTFOUND);
	tmpdir_path(&p->tmp, "missing/agent.sock", path);
	assert_int_equal(local_client_open(path, in_ms(1000), &client, NULL), ERR_NOTFOUND);
	assert_int_equal(client.handle, -1);
	assert_null(server);
}

/* 0600: another account is refused, and told so. */
static void not_permitted(void **state)
{
	struct place *p = *state;
	char dir[TMPDIR_PATH_MAX];
	if (geteuid() != 0) {
		print_message("skipped: only root can be another account\n");
		skip();
	}
	tmpdir_path(&p->tmp, "run", dir);
	assert_int_equal(chmod(p->tmp.path, 0755), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	pid_t child = fork();
	if (child == 0) {
		struct local_client client = LOCAL_CLIENT_NONE;
		if (setresuid(12345, 12345, 12345) < 0)
			_exit(1);
		_exit(local_client_open(p->path, in_ms(1000), &client, NULL) == ERR_PERM ? 0 : 2);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void too_busy(void **state)
{
	struct place *p = *state;
	struct local_client clients[8];
	char path[TMPDIR_PATH_MAX];
	int rc = 0;
	int n = 0;
	tmpdir_path(&p->tmp, "busy", path);
	int fd = raw_listener(path, 0); /* and never accepts */
	while (n < 8 && rc == 0) {
		clients[n] = LOCAL_CLIENT_NONE;
		rc = local_client_open(path, in_ms(20), &clients[n++], NULL);
	}
	assert_int_equal(rc, ERR_TIMEOUT);
	while (n > 0)
		local_client_close(&clients[--n]);
	assert_int_equal(close(fd), 0);
}

/* Those not accepted are closed at once, however many, and the server goes on. */
static void turned_away(void **state)
{
	struct place *p = *state;
	struct local_client clients[3];
	char c;
	size_t n;
	p->turn_away = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(local_client_open(p->path, in_ms(1000), &clients[i], NULL), 0);
	for (int i = 0; i < 20 && p->waited < 3; i++)
		uv_run(&p->loop, UV_RUN_NOWAIT);
	uv_run(&p->loop, UV_RUN_NOWAIT);
	uv_run(&p->loop, UV_RUN_NOWAIT);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(local_client_recv(&clients[i], &c, 1, in_ms(1000), &n, NULL),
				 ERR_CLOSED);
		local_client_close(&clients[i]);
	}
	p->turn_away = false;
	connect_one(p, &clients[0]);
	assert_int_equal(p->accepted, 1);
	local_client_close(&clients[0]);
}

static void stop_in_callback(void **state)
{
	struct place *p = *state;
	struct local_client client = LOCAL_CLIENT_NONE;
	p->stop_in_callback = true;
	assert_int_equal(local_client_open(p->path, in_ms(1000), &client, NULL), 0);
	assert_int_equal(uv_run(&p->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(p->stopped, 1);
	local_client_close(&client);
	assert_int_equal(uv_loop_close(&p->loop), 0);
	tmpdir_remove(&p->tmp);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(talks, setup, teardown),
		cmocka_unit_test_setup_teardown(send_has_a_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(rights, setup, teardown),
		cmocka_unit_test_setup_teardown(already_served, setup, teardown),
		cmocka_unit_test_setup_teardown(stale_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_places, setup, teardown),
		cmocka_unit_test_setup_teardown(not_permitted, setup, teardown),
		cmocka_unit_test_setup_teardown(too_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(turned_away, setup, teardown),
		cmocka_unit_test_setup(stop_in_callback, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
