/*
 * What a check costs inside the agent: requests on its socket, against a bare server that sends
 * back what it gets. Both servers and this program are pinned to one processor: that compares
 * hardest, since nothing of what the agent does is hidden by processors that wake each other.
 *
 *   bench_check_daemon SOCKET PREFIX         of an agent that runs; bench_check.py starts one
 */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/net/frame.h"
#include "proto/codec.h"
#include "proto/local.pb-c.h"
#include "tests/bench/measure.h"

#define CONNECTIONS 64
#define WINDOW 16 /* requests under way on each, when pipelined */
#define SINGLES 1000
#define PAUSE_US 1000 /* between two of them */
#define TURNS 2000
#define PIPELINED 50000
#define ROUNDS 15
#define PIDS_MAX 16

struct request {
	char bytes[4096];
	size_t n;
};

struct peer {
	int fd;
	size_t unread;	 /* bytes of the frame being read */
	size_t header_n; /* bytes seen of its header */
	uint32_t size;
};

struct load {
	const struct request *request;
	size_t connections;
	size_t window;
	size_t total;
};

/* --- the request --- */

static void make_request(const char *prefix, struct request *out)
{
	Envwarden__Local__Envelope envelope = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__CheckRequest check = ENVWARDEN__LOCAL__CHECK_REQUEST__INIT;
	Envwarden__Local__Target target = ENVWARDEN__LOCAL__TARGET__INIT;
	struct buf frame;

	target.typed = (char *)prefix;
	target.kind = ENVWARDEN__LOCAL__TARGET__KIND__PREFIX;
	target.cwd = (char *)"/";
	check.target = &target;
	envelope.id = 1;
	envelope.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_CHECK;
	envelope.check = &check;
	buf_init(&frame, sizeof out->bytes);
	if (codec_pack_local(&envelope, &frame, NULL) < 0)
		measure_fail("request");
	out->n = frame.len;
	memcpy(out->bytes, frame.data, frame.len);
	buf_deinit(&frame);
}

/* --- the load --- */

static int make_socket(const char *path, struct sockaddr_un *address)
{
	int n;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(address->sun_path, sizeof address->sun_path, "%s", path);
	if (n < 0 || (size_t)n >= sizeof address->sun_path)
		measure_fail("a path that long is no socket's");
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address;
	int fd = make_socket(path, &address);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		measure_fail(path);
	return fd;
}

static void send_requests(const struct peer *peer, const struct request *request, size_t count)
{
	char bytes[WINDOW * sizeof request->bytes];
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		memcpy(bytes + n, request->bytes, request->n);
		n += request->n;
	}
	/* A window is small: it fits into the socket, whatever the other end does. */
	if (n > 0 && send(peer->fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
		measure_fail("send");
}

/* How many frames ended in these bytes. */
static size_t count_frames(struct peer *peer, const unsigned char *p, size_t n)
{
	size_t frames = 0;

	while (n > 0) {
		if (peer->header_n < FRAME_HEADER_SIZE) {
			peer->size = peer->size << 8 | *p++;
			n--;
			if (++peer->header_n < FRAME_HEADER_SIZE)
				continue;
			peer->unread = peer->size;
		} else {
			size_t take = n < peer->unread ? n : peer->unread;

			p += take;
			n -= take;
			peer->unread -= take;
		}
		if (peer->unread == 0) {
			frames++;
			peer->header_n = 0;
			peer->size = 0;
		}
	}
	return frames;
}

static size_t receive(struct peer *peer)
{
	unsigned char bytes[65536];
	ssize_t got = recv(peer->fd, bytes, sizeof bytes, 0);

	if (got <= 0)
		measure_fail("recv");
	return count_frames(peer, bytes, (size_t)got);
}

/* Keeps `window` requests under way on each connection; microseconds for all. */
static double drive(const char *path, const struct load *load)
{
	struct peer peers[CONNECTIONS] = {0};
	struct epoll_event events[CONNECTIONS];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	size_t sent = 0, received = 0;
	double start;

	for (size_t i = 0; i < load->connections; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &peers[i]};

		peers[i].fd = connect_to(path);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, peers[i].fd, &event) < 0)
			measure_fail("epoll");
	}
	start = measure_now_us();
	for (size_t i = 0; i < load->connections; i++, sent += load->window)
		send_requests(&peers[i], load->request, load->window);
	while (received < load->total) {
		int n = epoll_wait(epoll, events, CONNECTIONS, -1);

		for (int i = 0; i < n; i++) {
			size_t answered = receive(events[i].data.ptr);
			size_t more = load->total - sent;

			received += answered;
			more = more < answered ? more : answered;
			send_requests(events[i].data.ptr, load->request, more);
			sent += more;
		}
	}
	start = measure_now_us() - start;
	for (size_t i = 0; i < load->connections; i++)
		(void)close(peers[i].fd);
	(void)close(epoll);
	return start;
}

/* --- the reference --- */

static void serve_echo(int listener)
{
	struct epoll_event events[CONNECTIONS];
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
	static char bytes[65536];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int n = epoll_wait(epoll, events, CONNECTIONS, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			ssize_t got;

			if (fd == listener) {
				event.data.fd = accept(listener, NULL, NULL);
				(void)epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
				continue;
			}
			got = recv(fd, bytes, sizeof bytes, 0);
			if (got <= 0 || send(fd, bytes, (size_t)got, MSG_NOSIGNAL) != got)
				(void)close(fd);
		}
	}
}

static pid_t start_echo(const char *path)
{
	struct sockaddr_un address;
	int fd = make_socket(path, &address);
	pid_t pid;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(fd, CONNECTIONS) < 0)
		measure_fail(path);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve_echo(fd);
	}
	(void)close(fd);
	return pid;
}

/* --- the agent's processes --- */

struct family {
	pid_t pids[PIDS_MAX];
	size_t n;
};

/* The fields of /proc/PID/stat behind the program's name. */
static void read_stat(pid_t pid, char out[1024])
{
	char path[64];
	FILE *f;
	size_t n;
	const char *end;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	n = f != NULL ? fread(out, 1, 1023, f) : 0;
	if (n == 0)
		measure_fail(path);
	(void)fclose(f);
	out[n] = '\0';
	end = strrchr(out, ')');
	memmove(out, end + 2, strlen(end + 2) + 1);
}

static long stat_field(const char *fields, int number)
{
	char *end = (char *)fields + 1; /* the state is a letter */
	long value = 0;

	for (int i = 4; i <= number; i++)
		value = strtol(end, &end, 10);
	return value;
}

static double cpu_us(const struct family *family)
{
	long ticks = 0;
	char fields[1024];

	for (size_t i = 0; i < family->n; i++) {
		read_stat(family->pids[i], fields);
		ticks += stat_field(fields, 14) + stat_field(fields, 15);
	}
	return (double)ticks * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

/* Who answers on the socket, and the other children of what started it. */
static void find_family(const char *path, struct family *out)
{
	char fields[1024];
	char list[64];
	struct ucred peer;
	socklen_t n = sizeof peer;
	int fd = connect_to(path);
	FILE *f;
	long supervisor, pid;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		measure_fail("peer");
	(void)close(fd);
	read_stat(peer.pid, fields);
	supervisor = stat_field(fields, 4);
	(void)snprintf(list, sizeof list, "/proc/%ld/task/%ld/children", supervisor, supervisor);
	f = fopen(list, "r");
	if (f == NULL)
		measure_fail(list);
	out->n = 0;
	while (out->n < PIDS_MAX && fscanf(f, "%ld", &pid) == 1)
		out->pids[out->n++] = (pid_t)pid;
	(void)fclose(f);
}

static void pin(pid_t pid, int cpu)
{
	char path[64];
	struct dirent *task;
	cpu_set_t set;
	DIR *dir;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (dir == NULL)
		measure_fail(path);
	while ((task = readdir(dir)) != NULL)
		if (task->d_name[0] != '.')
			(void)sched_setaffinity((pid_t)strtol(task->d_name, NULL, 10), sizeof set,
						&set);
	(void)closedir(dir);
}

/* --- the rows --- */

struct result { /* medians of the rounds, for one request */
	double check_us;
	double echo_us;
	double ratio; /* of the two in one round */
	double cpu_us;
};

static struct result compare(const char *agent, const char *echo, const struct family *family,
			     const struct load *load)
{
	double checks[ROUNDS], echoes[ROUNDS], ratios[ROUNDS];
	double cpu = cpu_us(family);

	for (int i = 0; i < ROUNDS; i++) {
		checks[i] = drive(agent, load) / (double)load->total;
		echoes[i] = drive(echo, load) / (double)load->total;
		ratios[i] = checks[i] / echoes[i];
	}
	return (struct result){.check_us = measure_percentile(checks, ROUNDS, 0.5),
			       .echo_us = measure_percentile(echoes, ROUNDS, 0.5),
			       .ratio = measure_percentile(ratios, ROUNDS, 0.5),
			       .cpu_us = (cpu_us(family) - cpu) / (double)(ROUNDS * load->total)};
}

static void print_turns(const char *what, const struct result *r)
{
	measure_print(&(struct measure_row){.what = what,
					    .figure = r->check_us,
					    .reference = r->echo_us,
					    .ratio = r->ratio,
					    .unit = "us",
					    .budget = "<= 3.5 x",
					    .ok = r->ratio <= 3.5});
}

static void print_pipelined(const struct result *r)
{
	measure_print(&(struct measure_row){.what = "checks a second, pipelined, against echoes",
					    .figure = 1e6 / r->check_us,
					    .reference = 1e6 / r->echo_us,
					    .unit = "/s",
					    .budget = ">= 50000 /s",
					    .ok = r->check_us <= 20});
	measure_print(&(struct measure_row){.what = "processor time of a check, all processes",
					    .figure = r->cpu_us,
					    .unit = "us",
					    .budget = "<= 10 us",
					    .ok = r->cpu_us <= 10});
}

/* One after the other with a pause, as shells ask: the p99 in microseconds, to stdout. */
static int print_p99(const char *agent, const struct load *load)
{
	static double us[SINGLES];

	for (int i = 0; i < SINGLES; i++) {
		us[i] = drive(agent, load);
		(void)usleep(PAUSE_US);
	}
	(void)printf("%.1f\n", measure_percentile(us, SINGLES, 0.99));
	return 0;
}

int main(int argc, char **argv)
{
	static struct request request;
	struct load load = {.request = &request, .connections = 1, .window = 1, .total = TURNS};
	struct family family;
	struct result result;
	char echo[128];
	pid_t echo_pid;
	int last = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;

	if (argc != 3 && !(argc == 4 && strcmp(argv[3], "p99") == 0)) {
		(void)fprintf(stderr, "usage: bench_check_daemon SOCKET PREFIX [p99]\n");
		return 2;
	}
	make_request(argv[2], &request);
	if (argc == 4) {
		load.total = 1;
		return print_p99(argv[1], &load);
	}
	(void)snprintf(echo, sizeof echo, "%s.echo", argv[1]);
	(void)unlink(echo);
	echo_pid = start_echo(echo);
	find_family(argv[1], &family);
	for (size_t i = 0; i < family.n; i++)
		pin(family.pids[i], last);
	pin(echo_pid, last);
	pin(getpid(), last);
	(void)drive(argv[1], &load);
	result = compare(argv[1], echo, &family, &load);
	print_turns("check on one connection, in turns, against an echo", &result);
	load.connections = CONNECTIONS;
	load.total = PIPELINED;
	result = compare(argv[1], echo, &family, &load);
	print_turns("check on 64 connections, in turns, against an echo", &result);
	load.window = WINDOW;
	result = compare(argv[1], echo, &family, &load);
	print_pipelined(&result);
	(void)kill(echo_pid, SIGKILL);
	(void)waitpid(echo_pid, NULL, 0);
	(void)unlink(echo);
	return 0;
}
