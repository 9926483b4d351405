#include "agent/link.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "lib/base/mem.h"
#include "lib/net/frame.h"
#include "platform/process.h"
#include "proto/codec.h"
#include "proto/limits.h"

struct end {
	struct link *link;
	size_t messages;
	uint64_t ids;
	int answer; /* what message() returns */
	bool stop;  /* message() stops the link */
	unsigned closed;
	int rc;
};

struct fixture {
	uv_loop_t loop;
	int fds[2];
	struct end a;
	struct end b;
};

static int on_message(void *ctx, const Envwarden__Reader__Envelope *m)
{
	struct end *end = ctx;

	assert_int_equal(end->closed, 0);
	end->messages++;
	if (m->kind_case == ENVWARDEN__READER__ENVELOPE__KIND_READ_DONE)
		end->ids += m->read_done->id;
	if (end->stop)
		link_stop(end->link);
	return end->answer;
}

static void on_closed(void *ctx, int rc)
{
	struct end *end = ctx;

	end->closed++;
	end->rc = rc;
	end->link = NULL;
}

static const struct link_callbacks callbacks = {.message = on_message, .closed = on_closed};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	assert_int_equal(uv_loop_init(&f.loop), 0);
	assert_int_equal(process_pair(f.fds, NULL), 0);
	assert_int_equal(link_new(&f.loop, f.fds[0], &callbacks, &f.a, &f.a.link, NULL), 0);
	*state = &f;
	return 0;
}

static void connect_b(struct fixture *f)
{
	assert_int_equal(link_new(&f->loop, f->fds[1], &callbacks, &f->b, &f->b.link, NULL), 0);
	f->fds[1] = -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->a.link != NULL)
		link_stop(f->a.link);
	if (f->b.link != NULL)
		link_stop(f->b.link);
	process_close(f->fds[1]);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(f->a.closed, 1);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	return 0;
}

static int tell(struct link *link, uint64_t id)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__ReadDone done = ENVWARDEN__READER__READ_DONE__INIT;

	done.id = id;
	done.prefix = (char *)(uintptr_t) "/p";
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_READ_DONE;
	envelope.read_done = &done;
	return link_send(link, &envelope);
}

static void test_both_ways(void **state)
{
	struct fixture *f = *state;

	connect_b(f);
	for (uint64_t id = 1; id <= 1000; id++) {
		assert_int_equal(tell(f->a.link, id), 0);
		assert_int_equal(tell(f->b.link, id), 0);
	}
	while (f->a.messages < 1000 || f->b.messages < 1000)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->a.ids, 500500);
	assert_int_equal(f->b.ids, 500500);
	link_stop(f->a.link);
	assert_int_equal(tell(f->a.link, 1), ERR_CLOSED);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(f->a.rc, ERR_CANCELED);
	assert_int_equal(f->b.rc, ERR_CLOSED); /* the peer ended */
}

/* A peer that does not read: what waits is bounded, and the end frees it. */
static void test_queue_is_bounded(void **state)
{
	struct fixture *f = *state;
	const size_t piece = 1u << 20;
	size_t queued = 0;
	struct buf frames;
	int rc = 0;

	while (rc == 0) {
		buf_init(&frames, piece);
		assert_non_null(buf_reserve(&frames, piece));
		memset(frames.data, 0, piece);
		frames.len = piece;
		rc = link_send_frames(f->a.link, &frames);
		queued += rc == 0 ? piece : 0;
		buf_deinit(&frames);
		assert_true(queued <= LINK_QUEUE_MAX + piece);
	}
	assert_int_equal(rc, ERR_LIMIT);
	assert_true(queued >= 2 * (24u << 20)); /* two of the largest environments fit */
}

static void test_negative_answer_closes(void **state)
{
	struct fixture *f = *state;

	f->b.answer = ERR_PROTOCOL;
	connect_b(f);
	assert_int_equal(tell(f->a.link, 1), 0);
	assert_int_equal(tell(f->a.link, 2), 0);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(f->b.messages, 1); /* nothing is told after that */
	assert_int_equal(f->b.closed, 1);
	assert_int_equal(f->b.rc, ERR_PROTOCOL);
}

static void test_stop_in_message(void **state)
{
	struct fixture *f = *state;

	f->b.stop = true;
	connect_b(f);
	for (uint64_t id = 1; id <= 10; id++)
		assert_int_equal(tell(f->a.link, id), 0);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(f->b.messages, 1);
	assert_int_equal(f->b.closed, 1);
}

static void test_hostile_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} cases[] = {
		{"\xff\xff\xff\xff", 4},		 /* a frame of 4 GiB */
		{"\x00\x00\x00\x04\xff\xff\xff\xff", 8}, /* no message */
		{"\x00\x00\x00\x00", 4},		 /* an empty one */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct end end = {0};
		int fds[2];

		assert_int_equal(process_pair(fds, NULL), 0);
		assert_int_equal(link_new(&f->loop, fds[0], &callbacks, &end, &end.link, NULL), 0);
		assert_int_equal(write(fds[1], cases[i].bytes, cases[i].n), cases[i].n);
		process_close(fds[1]);
		while (end.closed == 0)
			(void)uv_run(&f->loop, UV_RUN_ONCE);
		assert_true(end.rc < 0);
		assert_true(end.messages == 0 || cases[i].n == 4);
	}
}

/* It takes over the descriptor even if it can't use it. */
static void test_bad_descriptor(void **state)
{
	struct fixture *f = *state;
	struct link *link = NULL;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int again;

	assert_true(fd >= 0);
	if (link_new(&f->loop, fd, &callbacks, &f->b, &link, NULL) == 0)
		link_stop(link);
	link_stop(f->a.link);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	again = fcntl(fd, F_GETFD);
	assert_int_equal(again, -1);
	f->b.closed = 0;

	assert_int_equal(process_pair(f->fds, NULL), 0);
	mem_fail_after(0);
	assert_int_equal(link_new(&f->loop, f->fds[0], &callbacks, &f->b, &link, NULL), ERR_NOMEM);
	mem_fail_after(-1);
	assert_int_equal(fcntl(f->fds[0], F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(test_both_ways),	 T(test_queue_is_bounded), T(test_negative_answer_closes),
		T(test_stop_in_message), T(test_hostile_bytes),	   T(test_bad_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
