#include "agent/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "tests/support/fault.h"

#define PIECES 2000

struct piece {
	struct work work;
	struct fixture *f;
	size_t number;
	uv_thread_t ran_on;
};

struct fixture {
	uv_loop_t loop;
	struct worker *worker;
	size_t ran; /* by the worker's thread, until done */
	size_t done;
	unsigned stopped;
	bool stop_in_done;
	struct piece pieces[PIECES];
};

static void on_stopped(void *owner)
{
	struct fixture *f = owner;

	f->stopped++;
}

static void run(struct work *work)
{
	struct piece *p = container_of(work, struct piece, work);

	p->ran_on = uv_thread_self();
	assert_int_equal(p->f->ran++, p->number);
}

static void done(struct work *work)
{
	struct piece *p = container_of(work, struct piece, work);
	struct fixture *f = p->f;
	uv_thread_t self = uv_thread_self();

	assert_int_equal(f->done++, p->number);
	assert_false(uv_thread_equal(&p->ran_on, &self));
	assert_int_equal(f->stopped, 0);
	if (f->stop_in_done)
		worker_stop(f->worker, on_stopped, f);
}

static void submit(struct fixture *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		f->pieces[i] = (struct piece){.f = f, .number = i};
		f->pieces[i].work.run = run;
		f->pieces[i].work.done = done;
		worker_submit(f->worker, &f->pieces[i].work);
	}
}

static int setup(void **state)
{
	struct fixture *f = mem_calloc(1, sizeof *f);

	assert_non_null(f);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(worker_new(&f->loop, "test", &f->worker, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(f->stopped, 1);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	mem_free(f);
	return 0;
}

static void test_in_order(void **state)
{
	struct fixture *f = *state;

	submit(f, PIECES);
	assert_int_equal(worker_pending(f->worker), PIECES);
	while (worker_pending(f->worker) > 0)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->done, PIECES);
	worker_stop(f->worker, on_stopped, f);
	assert_int_equal(f->stopped, 0); /* never inside the call */
}

static void test_stop_lets_all_finish(void **state)
{
	struct fixture *f = *state;

	submit(f, PIECES);
	worker_stop(f->worker, on_stopped, f);
	worker_stop(f->worker, NULL, NULL); /* the first one counts */
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(f->done, PIECES);
}

static void test_stop_from_done(void **state)
{
	struct fixture *f = *state;

	f->stop_in_done = true;
	submit(f, 3);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(f->done, 3);
}

static int make(void *ctx)
{
	uv_loop_t loop;
	struct worker *worker;
	struct fixture f = {0};
	int rc;

	(void)ctx;
	assert_int_equal(uv_loop_init(&loop), 0);
	rc = worker_new(&loop, "test", &worker, NULL);
	if (rc == 0)
		worker_stop(worker, on_stopped, &f);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
	return rc;
}

static void test_no_memory(void **state)
{
	(void)state;
	fault_each_alloc(make, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_lets_all_finish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_from_done, setup, teardown),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
