#include "agent/local/server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/net/frame.h"
#include "proto/codec.h"
#include "proto/limits.h"
#include "tests/support/tmpdir.h"

#define HELD_MAX 256
#define STREAM_FRAMES 200
#define WAIT_MS 30000 /* a busy machine's slowness fails no test */

/* What the handlers do, and what they saw. */
enum mode {
	MODE_ANSWER, /* checks at once */
	MODE_HOLD    /* checks stay under way until the test ends them */
};

struct fixture {
	uv_loop_t loop;
	struct tmpdir dir;
	char path[TMPDIR_PATH_MAX];
	struct local *local;
	enum mode mode;
	struct local_call *held[HELD_MAX];
	char held_name[HELD_MAX][16]; /* what the held check asked for */
	size_t n_held;
	size_t n_checks;
	size_t n_closed;
	size_t n_writable;
	size_t n_refused; /* sends that failed with ERR_LIMIT */
	size_t n_pieces;  /* of the report under way */
	size_t n_early;	  /* ... before its descriptor */
	int proved;	  /* 1 = by a directory, < 0 = not; 0 = not told yet */
	int second_want;  /* how asking for another one went */
	unsigned stopped;
};

static struct fixture *current; /* for callbacks that get a call only */

/* --- handlers --- */

static void answer_check(struct local_call *call, const char *name)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Decision decision = ENVWARDEN__DECISION__INIT;

	decision.name = (char *)(uintptr_t)name;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION;
	answer.decision = &decision;
	local_call_end(call, &answer);
}

static void on_closed(struct local_call *call)
{
	(void)call;
	current->n_closed++;
}

static void on_check(void *ctx, struct local_call *call, const Envwarden__Local__CheckRequest *m)
{
	struct fixture *f = ctx;

	f->n_checks++;
	if (f->mode == MODE_ANSWER) {
		answer_check(call, m->target->typed);
		return;
	}
	assert_true(f->n_held < HELD_MAX);
	snprintf(f->held_name[f->n_held], sizeof(f->held_name[0]), "%s", m->target->typed);
	local_call_on_closed(call, on_closed);
	f->held[f->n_held++] = call;
}

/* Ends the n-th held call. */
static void release(struct fixture *f, size_t at)
{
	struct local_call *call = f->held[at];
	char name[16];

	assert_non_null(call);
	memcpy(name, f->held_name[at], sizeof(name));
	f->held[at] = NULL;
	answer_check(call, name);
}

/* STREAM_FRAMES frames of about 40 KiB, waiting whenever the peer has enough. */
static void stream_on(struct local_call *call)
{
	static char text[1001];
	static uint8_t id[16] = {1};
	size_t sent = (size_t)(uintptr_t)local_call_data(call);
	int rc = 0;

	memset(text, 'x', sizeof(text) - 1);
	while (rc == 0 && sent < STREAM_FRAMES) {
		Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
		Envwarden__Local__EnvironmentItem item = ENVWARDEN__LOCAL__ENVIRONMENT_ITEM__INIT;
		Envwarden__Environment environment = ENVWARDEN__ENVIRONMENT__INIT;
		char *lines[40];

		for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
			lines[i] = text;
		environment.degraded = lines;
		environment.n_degraded = ARRAY_SIZE(lines);
		environment.package_count = sent;
		environment.id = (ProtobufCBinaryData){.len = sizeof(id), .data = id};
		item.environment = &environment;
		answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT;
		answer.environment = &item;
		rc = local_call_send(call, &answer);
		sent += rc == 0;
	}
	local_call_set_data(call, (void *)(uintptr_t)sent);
	assert_true(rc == 0 || rc == ERR_LIMIT || rc == ERR_CLOSED);
	if (rc == ERR_LIMIT) {
		current->n_refused++;
		local_call_on_writable(call, stream_on);
		return;
	}
	local_call_end(call, NULL);
}

static void on_list(void *ctx, struct local_call *call, const Envwarden__Local__ListRequest *m)
{
	(void)ctx;
	(void)m;
	local_call_on_closed(call, on_closed);
	stream_on(call);
}

static void on_show(void *ctx, struct local_call *call, const Envwarden__Local__ShowRequest *m)
{
	(void)ctx;
	(void)m;
	local_call_fail(call, ERR_NOTFOUND, "no such environment");
}

/* An answer larger than any frame. */
static void on_status(void *ctx, struct local_call *call, const Envwarden__Local__StatusRequest *m)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__StatusReply status = ENVWARDEN__LOCAL__STATUS_REPLY__INIT;
	Envwarden__Local__Degraded line = ENVWARDEN__LOCAL__DEGRADED__INIT;
	Envwarden__Local__Degraded *lines[LIMIT_DEGRADED];
	static char text[1001];

	(void)ctx;
	(void)m;
	memset(text, 'y', sizeof(text) - 1);
	line.what = text;
	line.why = text;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		lines[i] = &line;
	status.degraded = lines;
	status.n_degraded = ARRAY_SIZE(lines);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS_REPLY;
	answer.status_reply = &status;
	local_call_end(call, &answer);
}

/* A report wants a descriptor, counts its pieces, and ends with the last of them. */
static void on_piece(struct local_call *call, const Envwarden__Local__Envelope *piece)
{
	current->n_pieces++;
	current->n_early += current->proved == 0;
	if (piece->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_END)
		local_call_end(call, NULL);
}

static void on_descriptor(struct local_call *call, int rc, int fd)
{
	struct stat st;

	if (rc < 0) {
		assert_int_equal(fd, -1);
		current->proved = rc;
		local_call_end(call, NULL);
		return;
	}
	assert_int_equal(fstat(fd, &st), 0);
	current->proved = S_ISDIR(st.st_mode) ? 1 : -1;
	close(fd);
}

static void on_report(void *ctx, struct local_call *call, const Envwarden__Local__ReportBegin *m)
{
	struct fixture *f = ctx;
	int rc = local_call_want_descriptor(call, m->prefix, on_descriptor);

	if (rc < 0) {
		f->second_want = rc;
		local_call_fail(call, rc, "one at a time");
		return;
	}
	local_call_on_piece(call, on_piece);
}

static const struct local_handlers handlers = {.check = on_check,
					       .list = on_list,
					       .show = on_show,
					       .status = on_status,
					       .report = on_report};

/* --- the fixture --- */

static void start(struct fixture *f, const struct local_limits *limits)
{
	struct local_config config = {
		.loop = &f->loop,
		.path = f->path,
		.for_everybody = true,
		.handlers = &handlers,
		.ctx = f,
		.limits = limits,
	};
	struct err err = ERR_INIT;

	if (local_start(&config, &f->local, &err) < 0)
		fail_msg("%s", err.text);
}

static int set_up(void **state)
{
	struct fixture *f = mem_calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	tmpdir_make(&f->dir);
	tmpdir_path(&f->dir, "agent.sock", f->path);
	current = f;
	*state = f;
	return 0;
}

static void on_stopped(void *owner)
{
	struct fixture *f = owner;

	f->stopped++;
	f->local = NULL;
}

static void give_back(struct fixture *f)
{
	for (size_t i = 0; i < f->n_held; i++) {
		if (f->held[i])
			release(f, i);
	}
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	give_back(f);
	if (f->local) {
		local_stop(f->local, on_stopped, f);
		give_back(f);
	}
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->stopped, 1);
	assert_int_equal(uv_loop_close(&f->loop), 0); /* every handle was closed */
	tmpdir_remove(&f->dir);
	mem_free(f);
	return 0;
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* Runs the loop for a while. */
static void run_for(struct fixture *f, uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	do {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	} while (now_ms() < end);
}

/* Runs the loop until the condition holds; the test fails after a while. */
#define RUN_UNTIL(f, condition)                                                                    \
	do {                                                                                       \
		uint64_t end_ = now_ms() + WAIT_MS;                                                \
		while (!(condition)) {                                                             \
			if (now_ms() > end_)                                                       \
				fail_msg("never: %s", #condition);                                 \
			uv_run(&(f)->loop, UV_RUN_NOWAIT);                                         \
			usleep(200);                                                               \
		}                                                                                  \
	} while (0)

/* --- clients --- */

struct client {
	int fd;
	struct frame_decoder decoder;
	struct arena arena;
	struct buf unread;
	bool ended;
};

static void client_open(struct fixture *f, struct client *c)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	assert_true(strlen(f->path) < sizeof(address.sun_path));
	memcpy(address.sun_path, f->path, strlen(f->path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(c->fd >= 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
	frame_decoder_init(&c->decoder, FRAME_LOCAL_MAX);
	arena_init(&c->arena, LIMIT_LOCAL_MEMORY);
	buf_init(&c->unread, 1 << 20);
	c->ended = false;
}

static void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	frame_decoder_deinit(&c->decoder);
	arena_deinit(&c->arena);
	buf_deinit(&c->unread);
}

static void client_send(struct client *c, const void *data, size_t n)
{
	assert_int_equal(send(c->fd, data, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void add_check(struct buf *out, uint64_t id, const char *typed)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__CheckRequest check = ENVWARDEN__LOCAL__CHECK_REQUEST__INIT;
	Envwarden__Local__Target target = ENVWARDEN__LOCAL__TARGET__INIT;

	target.typed = (char *)(uintptr_t)typed;
	check.target = &target;
	m.id = id;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_CHECK;
	m.check = &check;
	assert_int_equal(codec_pack_local(&m, out, NULL), 0);
}

/* n checks with ids from 1 on, each asking for the given name. */
static void client_checks(struct client *c, size_t n, const char *typed)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	for (size_t i = 1; i <= n; i++)
		add_check(&out, i, typed);
	client_send(c, out.data, out.len);
	buf_deinit(&out);
}

/* A request without fields. */
static void client_ask(struct client *c, uint64_t id, Envwarden__Local__Envelope__KindCase kind)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ListRequest list = ENVWARDEN__LOCAL__LIST_REQUEST__INIT;
	Envwarden__Local__ShowRequest show = ENVWARDEN__LOCAL__SHOW_REQUEST__INIT;
	Envwarden__Local__StatusRequest status = ENVWARDEN__LOCAL__STATUS_REQUEST__INIT;
	Envwarden__Local__EnrollRequest enroll = ENVWARDEN__LOCAL__ENROLL_REQUEST__INIT;
	Envwarden__Local__End end = ENVWARDEN__LOCAL__END__INIT;
	struct buf out;

	m.id = id;
	m.kind_case = kind;
	if (kind == ENVWARDEN__LOCAL__ENVELOPE__KIND_LIST)
		m.list = &list;
	else if (kind == ENVWARDEN__LOCAL__ENVELOPE__KIND_SHOW)
		m.show = &show;
	else if (kind == ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS)
		m.status = &status;
	else if (kind == ENVWARDEN__LOCAL__ENVELOPE__KIND_ENROLL)
		m.enroll = &enroll;
	else if (kind == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
		m.end = &end;
	buf_init(&out, 1 << 16);
	assert_int_equal(codec_pack_local(&m, &out, NULL), 0);
	client_send(c, out.data, out.len);
	buf_deinit(&out);
}

/* One step of reading; true: *out is a message (valid until the next step). */
static bool client_poll(struct client *c, Envwarden__Local__Envelope **out)
{
	char room[8192];
	ssize_t got = recv(c->fd, room, sizeof(room), 0);
	const void *payload;
	size_t used, n;

	if (got > 0)
		buf_add(&c->unread, room, (size_t)got);
	else if (got == 0 || errno == ECONNRESET)
		c->ended = true;
	if (c->unread.len == 0)
		return false;
	assert_int_equal(
		frame_decode(&c->decoder, c->unread.data, c->unread.len, &used, &payload, &n), 0);
	buf_consume(&c->unread, used);
	if (!payload)
		return false;
	arena_reset(&c->arena);
	assert_int_equal(codec_unpack_local(payload, n, &c->arena, out, NULL), 0);
	return true;
}

static Envwarden__Local__Envelope *client_next(struct fixture *f, struct client *c)
{
	Envwarden__Local__Envelope *m = NULL;

	RUN_UNTIL(f, client_poll(c, &m));
	return m;
}

static void client_expect_end(struct fixture *f, struct client *c)
{
	Envwarden__Local__Envelope *m = NULL;

	RUN_UNTIL(f, client_poll(c, &m) || c->ended);
	assert_null(m);
	assert_true(c->ended);
}

/* --- tests --- */

static void test_pipelining(void **state)
{
	struct fixture *f = *state;
	struct client c;

	start(f, NULL);
	client_open(f, &c);
	client_checks(&c, 1000, "churn");
	for (uint64_t id = 1; id <= 1000; id++) {
		Envwarden__Local__Envelope *m = client_next(f, &c);

		assert_int_equal(m->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION);
		assert_int_equal(m->id, id);
		assert_string_equal(m->decision->name, "churn");
	}
	assert_int_equal(f->n_checks, 1000);
	client_close(&c);
}

static void test_byte_by_byte(void **state)
{
	struct fixture *f = *state;
	struct client c;
	struct buf out;

	start(f, NULL);
	client_open(f, &c);
	buf_init(&out, 1024);
	add_check(&out, 7, "slow");
	for (size_t i = 0; i < out.len; i++) {
		client_send(&c, out.data + i, 1);
		run_for(f, 1);
	}
	assert_int_equal(client_next(f, &c)->id, 7);
	buf_deinit(&out);
	client_close(&c);
}

/* A newer version's kind, kinds that only answer, kinds nobody handles; an error's code and text.
 */
static void test_kinds(void **state)
{
	static const Envwarden__Local__Envelope__KindCase kinds[] = {
		ENVWARDEN__LOCAL__ENVELOPE__KIND__NOT_SET,
		ENVWARDEN__LOCAL__ENVELOPE__KIND_END,
		ENVWARDEN__LOCAL__ENVELOPE__KIND_ENROLL,
	};
	struct fixture *f = *state;
	Envwarden__Local__Envelope *m;
	struct client c;

	start(f, NULL);
	client_open(f, &c);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		client_ask(&c, 40 + i, kinds[i]);
		m = client_next(f, &c);
		assert_int_equal(m->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND_UNSUPPORTED);
		assert_int_equal(m->id, 40 + i);
	}
	client_ask(&c, 50, ENVWARDEN__LOCAL__ENVELOPE__KIND_SHOW);
	m = client_next(f, &c);
	assert_int_equal(m->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND_ERROR);
	assert_int_equal(m->error->code, ERR_NOTFOUND);
	assert_string_equal(m->error->text, "no such environment");
	client_ask(&c, 51, ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS); /* an answer over a frame */
	m = client_next(f, &c);
	assert_int_equal(m->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND_ERROR);
	assert_int_equal(m->error->code, ERR_INTERNAL);
	assert_int_equal(m->id, 51);
	client_close(&c);
}

/* What was right before the nonsense is answered; then the peer is closed. */
static void test_nonsense(void **state)
{
	static const struct {
		const char *name;
		const char *bytes;
		size_t n;
	} cases[] = {
		{"no message", "\0\0\0\4\377\377\377\377", 8},
		{"too big a frame", "\0\1\0\1", 4},
		{"hugest frame", "\377\377\377\377", 4},
		{"text of another protocol", "GET / HTTP/1.1\r\n\r\n", 18},
	};
	struct fixture *f = *state;

	start(f, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct client c;
		struct buf out;

		client_open(f, &c);
		buf_init(&out, 1024);
		add_check(&out, 1, "fine");
		buf_add(&out, cases[i].bytes, cases[i].n);
		add_check(&out, 2, "never");
		client_send(&c, out.data, out.len);
		assert_int_equal(client_next(f, &c)->id, 1);
		client_expect_end(f, &c);
		buf_deinit(&out);
		client_close(&c);
	}
	assert_int_equal(f->n_checks, ARRAY_SIZE(cases));
}

static void test_deadlines(void **state)
{
	struct local_limits limits = local_limits_default;
	struct fixture *f = *state;
	struct client half, idle, busy;

	limits.frame_ms = 60;
	limits.idle_ms = 1000;
	start(f, &limits);
	f->mode = MODE_HOLD;
	client_open(f, &half);
	client_open(f, &idle);
	client_open(f, &busy);
	client_checks(&busy, 1, "long");
	client_send(&half, "\0\0", 2);
	RUN_UNTIL(f, f->n_held == 1);
	client_expect_end(f, &half);
	assert_false(client_poll(&idle, &(Envwarden__Local__Envelope *){NULL}));
	assert_false(idle.ended);
	client_expect_end(f, &idle);
	run_for(f, 1200);
	release(f, 0);
	assert_int_equal(client_next(f, &busy)->id, 1); /* a call under way keeps it open */
	client_expect_end(f, &busy);
	client_close(&half);
	client_close(&idle);
	client_close(&busy);
}

/* A peer that asks for more than its share is answered completely, but never more at a time. */
static void test_calls_of_a_connection(void **state)
{
	struct local_limits limits = local_limits_default;
	struct fixture *f = *state;
	struct client c;

	limits.calls_per_connection = 8;
	start(f, &limits);
	f->mode = MODE_HOLD;
	client_open(f, &c);
	client_checks(&c, 100, "x");
	RUN_UNTIL(f, f->n_held == 8);
	run_for(f, 20);
	assert_int_equal(f->n_held, 8);
	for (size_t i = 0; i < 100; i++) {
		RUN_UNTIL(f, f->n_held > i);
		assert_true(f->n_held <= i + 8);
		release(f, i);
		assert_int_equal(client_next(f, &c)->id, i + 1);
	}
	client_close(&c);
}

/* Connections of one account take turns; another account does not wait for them. */
static void test_calls_of_an_account(void **state)
{
	struct local_limits limits = local_limits_default;
	struct fixture *f = *state;
	struct client c[3], other;
	bool root = geteuid() == 0;

	limits.calls_per_uid = 3;
	start(f, &limits);
	f->mode = MODE_HOLD;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		client_open(f, &c[i]);
		run_for(f, 5); /* accepted in this order */
	}
	client_checks(&c[0], 20, "a");
	RUN_UNTIL(f, f->n_held == 3);
	client_checks(&c[1], 20, "b");
	client_checks(&c[2], 20, "c");
	run_for(f, 20);
	assert_int_equal(f->n_held, 3);
	if (root) {
		assert_int_equal(chmod(f->dir.path, 0755), 0);
		assert_int_equal(seteuid(65534), 0);
		client_open(f, &other);
		assert_int_equal(seteuid(0), 0);
		client_checks(&other, 1, "other");
		RUN_UNTIL(f, f->n_held == 4);
		assert_string_equal(f->held_name[3], "other");
		release(f, 3);
		assert_int_equal(client_next(f, &other)->id, 1);
		client_close(&other);
	}
	for (size_t i = 0, seen = f->n_held; i < 12; i++, seen++) {
		size_t at = i < 3 ? i : i + root;

		release(f, at);
		RUN_UNTIL(f, f->n_held == seen + 1);
		run_for(f, 2);
		assert_int_equal(f->n_held, seen + 1); /* one for one */
		assert_int_equal(f->held_name[seen][0], 'a' + (int)(i % 3));
	}
	f->mode = MODE_ANSWER;
	for (size_t i = 12; i < f->n_held; i++) {
		if (f->held[i])
			release(f, i);
	}
	RUN_UNTIL(f, f->n_checks == 60 + (size_t)root);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		client_close(&c[i]);
}

static void test_connections(void **state)
{
	struct local_limits limits = local_limits_default;
	struct fixture *f = *state;
	struct client c[3], more;

	limits.connections = 4;
	limits.connections_per_uid = 3;
	start(f, &limits);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		client_open(f, &c[i]);
		run_for(f, 5);
	}
	client_open(f, &more); /* one too many for this account */
	client_expect_end(f, &more);
	client_close(&more);
	client_close(&c[0]);
	run_for(f, 10);
	client_open(f, &c[0]); /* there is room again */
	client_checks(&c[0], 1, "x");
	assert_int_equal(client_next(f, &c[0])->id, 1);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		client_close(&c[i]);
}

static void test_connections_in_total(void **state)
{
	struct local_limits limits = local_limits_default;
	struct fixture *f = *state;
	struct client c[2], more;

	limits.connections = 2;
	start(f, &limits);
	client_open(f, &c[0]);
	client_open(f, &c[1]);
	run_for(f, 10);
	client_open(f, &more);
	client_expect_end(f, &more);
	client_checks(&c[0], 1, "x");
	assert_int_equal(client_next(f, &c[0])->id, 1);
	client_close(&more);
	client_close(&c[0]);
	client_close(&c[1]);
}

static void test_peer_vanishes(void **state)
{
	struct fixture *f = *state;
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	struct client c;

	start(f, NULL);
	f->mode = MODE_HOLD;
	client_open(f, &c);
	client_checks(&c, 3, "x");
	RUN_UNTIL(f, f->n_held == 3);
	local_call_on_closed(f->held[2], NULL);
	client_close(&c);
	RUN_UNTIL(f, f->n_closed == 2);
	run_for(f, 10);
	assert_int_equal(f->n_closed, 2);
	for (size_t i = 0; i < 3; i++)
		assert_true(local_call_closed(f->held[i]));
	assert_int_equal(local_call_send(f->held[0], &answer), ERR_CLOSED);
	release(f, 0);
	local_call_fail(f->held[1], ERR_BUSY, "too late");
	f->held[1] = NULL;
	release(f, 2);
}

/* Streams 8 MB to one who reads in small bites: all arrives, in order, and little is queued. */
static void test_slow_reader(void **state)
{
	struct fixture *f = *state;
	struct client c;

	start(f, NULL);
	client_open(f, &c);
	client_ask(&c, 9, ENVWARDEN__LOCAL__ENVELOPE__KIND_LIST);
	RUN_UNTIL(f, f->n_refused > 0); /* it was told to wait */
	for (uint64_t i = 0; i < STREAM_FRAMES; i++) {
		Envwarden__Local__Envelope *m = client_next(f, &c);

		assert_int_equal(m->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT);
		assert_int_equal(m->environment->environment->package_count, i);
	}
	assert_int_equal(client_next(f, &c)->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND_END);
	assert_int_equal(f->n_closed, 0);
	client_close(&c);
}

/* One who never reads costs the queue and its patience; whoever streams to it learns of the end. */
static void test_no_reader(void **state)
{
	struct local_limits limits = local_limits_default;
	struct fixture *f = *state;
	struct client c;

	limits.stall_ms = 80;
	start(f, &limits);
	client_open(f, &c);
	client_ask(&c, 9, ENVWARDEN__LOCAL__ENVELOPE__KIND_LIST);
	RUN_UNTIL(f, f->n_refused > 0);
	run_for(f, 200);
	client_close(&c);
	f->n_refused = 0;
	client_open(f, &c); /* the same, vanishing by itself */
	client_ask(&c, 9, ENVWARDEN__LOCAL__ENVELOPE__KIND_LIST);
	RUN_UNTIL(f, f->n_refused > 0);
	client_close(&c);
	run_for(f, 20);
	assert_int_equal(f->n_closed, 0); /* it gave the call back when it was woken */
}

/* Asks and asks and never reads an answer: is not read itself any more. */
static void test_asks_without_reading(void **state)
{
	struct local_limits limits = local_limits_default;
	struct fixture *f = *state;
	struct client c;
	struct buf out;
	size_t before;

	limits.queue_bytes = 4096;
	start(f, &limits);
	client_open(f, &c);
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < 1000; i++)
		add_check(&out, i, "0123456789012345678901234567890123456789");
	/* Until nothing moves any more: no room to send, and no turn of the loop makes a check. */
	for (int quiet = 0; quiet < 20;) {
		ssize_t n = send(c.fd, out.data, out.len, MSG_NOSIGNAL);

		before = f->n_checks;

		/* A cut request ends in the middle of a frame; go on there. */
		if (n > 0) {
			struct buf rest;

			buf_init(&rest, 1 << 20);
			buf_add(&rest, out.data + n, out.len - (size_t)n);
			buf_add(&rest, out.data, (size_t)n);
			buf_deinit(&out);
			out = rest;
		}
		run_for(f, 2);
		quiet = n > 0 || f->n_checks > before ? 0 : quiet + 1;
	}
	run_for(f, 30);
	assert_int_equal(f->n_checks, before);
	assert_int_equal(client_next(f, &c)->id, 0); /* still well, and goes on when read */
	for (size_t i = 0; i < before; i++)
		(void)client_next(f, &c);
	assert_true(f->n_checks > before);
	buf_deinit(&out);
	client_close(&c);
}

/* Answers under way go out; calls that never end are told, and their peers closed. */
static void test_stop(void **state)
{
	struct local_limits limits = local_limits_default;
	struct fixture *f = *state;
	struct client quick, never, idle;

	limits.stopping_ms = 1000;
	start(f, &limits);
	f->mode = MODE_HOLD;
	client_open(f, &quick);
	client_open(f, &never);
	client_open(f, &idle);
	client_checks(&quick, 1, "quick");
	RUN_UNTIL(f, f->n_held == 1);
	client_checks(&never, 1, "never");
	RUN_UNTIL(f, f->n_held == 2);
	local_stop(f->local, on_stopped, f);
	local_stop(f->local, NULL, NULL);
	client_checks(&quick, 1, "not any more");
	client_expect_end(f, &idle);
	release(f, 0);
	assert_int_equal(client_next(f, &quick)->id, 1);
	client_expect_end(f, &quick);
	RUN_UNTIL(f, f->n_closed == 1);
	run_for(f, 20);
	assert_int_equal(f->stopped, 0); /* one call is not given back yet */
	release(f, 1);
	assert_int_equal(f->n_held, 2);
	client_close(&quick);
	client_close(&never);
	client_close(&idle);
}

static void test_start_refused(void **state)
{
	struct fixture *f = *state;
	struct local_config config = {.loop = &f->loop, .path = f->path, .handlers = &handlers};
	struct err err = ERR_INIT;
	struct local *second = NULL;

	start(f, NULL);
	assert_int_equal(local_start(&config, &second, &err), ERR_EXISTS);
	assert_non_null(strstr(err.text, "in use by another agent"));
	assert_null(second);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* --- descriptors and pieces --- */

static void add_report(struct buf *out, uint64_t id, Envwarden__Local__Envelope__KindCase kind)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ReportBegin begin = ENVWARDEN__LOCAL__REPORT_BEGIN__INIT;
	Envwarden__Local__ReportChunk chunk = ENVWARDEN__LOCAL__REPORT_CHUNK__INIT;
	Envwarden__Local__ReportEnd end = ENVWARDEN__LOCAL__REPORT_END__INIT;

	begin.prefix = (char *)(uintptr_t) "/home/ana/envs/work";
	m.id = id;
	m.kind_case = kind;
	if (kind == ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT)
		m.report = &begin;
	else if (kind == ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_CHUNK)
		m.report_chunk = &chunk;
	else
		m.report_end = &end;
	assert_int_equal(codec_pack_local(&m, out, NULL), 0);
}

/* Bytes with a descriptor beside the first of them. */
static void client_pass(struct client *c, const void *data, size_t n, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = n};
	struct msghdr message = {.msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = control.room,
				 .msg_controllen = sizeof(control.room)};

	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	assert_int_equal(sendmsg(c->fd, &message, MSG_NOSIGNAL), (ssize_t)n);
}

/* Begins a report, and is asked for a descriptor. */
static void begin_report(struct fixture *f, struct client *c, uint64_t id)
{
	Envwarden__Local__Envelope *m;
	struct buf out;

	buf_init(&out, 1024);
	add_report(&out, id, ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT);
	client_send(c, out.data, out.len);
	buf_deinit(&out);
	m = client_next(f, c);
	assert_int_equal(m->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND_DESCRIPTOR_WANTED);
	assert_string_equal(m->descriptor_wanted->prefix, "/home/ana/envs/work");
	assert_int_equal(m->id, id);
}

/* The pieces follow the descriptor's byte at once, and may be read together with it. */
static void test_descriptor_and_pieces(void **state)
{
	struct fixture *f = *state;
	Envwarden__Local__Envelope *m;
	struct client c;
	struct buf out;
	int dir = open(f->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	start(f, NULL);
	client_open(f, &c);
	begin_report(f, &c, 9);
	client_pass(&c, "f", 1, dir);
	buf_init(&out, 4096);
	add_report(&out, 9, ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_CHUNK);
	add_report(&out, 8, ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_CHUNK); /* nobody's */
	add_report(&out, 9, ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_END);
	add_report(&out, 9, ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_CHUNK); /* too late */
	add_check(&out, 10, "churn");
	client_send(&c, out.data, out.len);
	m = client_next(f, &c);
	assert_int_equal(m->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND_END);
	assert_int_equal(m->id, 9);
	assert_int_equal(client_next(f, &c)->id, 10);
	assert_int_equal(f->proved, 1);
	assert_int_equal(f->n_pieces, 2);
	assert_int_equal(f->n_early, 0);
	close(dir);
	buf_deinit(&out);
	client_close(&c);
}

static void test_no_descriptor(void **state)
{
	enum {
		BYTE,
		GONE,
		SILENT
	};
	struct fixture *f = *state;
	struct local_limits limits = local_limits_default;

	limits.frame_ms = 50;
	start(f, &limits);
	for (int how = BYTE; how <= SILENT; how++) {
		struct client c;

		f->proved = 0;
		client_open(f, &c);
		begin_report(f, &c, 1);
		if (how == BYTE)
			client_send(&c, "f", 1);
		else if (how == GONE)
			assert_int_equal(shutdown(c.fd, SHUT_RDWR), 0);
		RUN_UNTIL(f, f->proved != 0);
		assert_int_equal(f->proved, ERR_CLOSED);
		client_expect_end(f, &c);
		client_close(&c);
	}
}

static void test_one_descriptor_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct client c;
	struct buf out;

	start(f, NULL);
	client_open(f, &c);
	buf_init(&out, 1024);
	add_report(&out, 1, ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT);
	add_report(&out, 2, ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT);
	client_send(&c, out.data, out.len);
	assert_int_equal(client_next(f, &c)->kind_case,
			 ENVWARDEN__LOCAL__ENVELOPE__KIND_DESCRIPTOR_WANTED);
	assert_int_equal(client_next(f, &c)->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND_ERROR);
	assert_int_equal(f->second_want, ERR_BUSY);
	buf_deinit(&out);
	client_close(&c);
	RUN_UNTIL(f, f->proved == ERR_CLOSED);
}

/* Descriptors nobody asked for do not stay open here. */
static void test_unasked_descriptors(void **state)
{
	struct fixture *f = *state;
	struct client c;
	struct buf out;
	int before, after;

	start(f, NULL);
	client_open(f, &c);
	client_checks(&c, 1, "churn");
	assert_int_equal(client_next(f, &c)->id, 1);
	before = dup(f->loop.backend_fd);
	buf_init(&out, 1024);
	for (uint64_t id = 2; id < 100; id++) {
		buf_clear(&out);
		add_check(&out, id, "churn");
		client_pass(&c, out.data, out.len, before);
		assert_int_equal(client_next(f, &c)->id, id);
	}
	after = dup(f->loop.backend_fd);
	assert_int_equal(after, before + 1);
	close(before);
	close(after);
	buf_deinit(&out);
	client_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_pipelining),
		CASE(test_byte_by_byte),
		CASE(test_kinds),
		CASE(test_nonsense),
		CASE(test_deadlines),
		CASE(test_calls_of_a_connection),
		CASE(test_calls_of_an_account),
		CASE(test_connections),
		CASE(test_connections_in_total),
		CASE(test_peer_vanishes),
		CASE(test_slow_reader),
		CASE(test_no_reader),
		CASE(test_asks_without_reading),
		CASE(test_stop),
		CASE(test_start_refused),
		CASE(test_descriptor_and_pieces),
		CASE(test_no_descriptor),
		CASE(test_one_descriptor_at_a_time),
		CASE(test_unasked_descriptors),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
