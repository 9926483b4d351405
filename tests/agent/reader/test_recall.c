#include "agent/reader/recall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "proto/convert.h"

#define THREADS 4

static const struct uuid basis = {{1, 2, 3}};

enum core {
	CORE_ANSWERS,
	CORE_KNOWS_NOTHING,
	CORE_GOES, /* when it has been asked by all */
};

struct fixture;

struct asker {
	struct fixture *f;
	uv_thread_t thread;
	char prefix[3];
	struct recalled got;
};

struct fixture {
	enum core core;
	uv_loop_t loop;
	struct recall *recall;
	struct asker askers[THREADS];
	uv_async_t back; /* a thread got its answer */
	uint64_t ids[THREADS];
	char prefixes[THREADS];
	unsigned asked;
	uv_mutex_t mutex;
	unsigned finished;
};

static void answer(struct fixture *f, uint64_t id, char letter)
{
	Envwarden__Reader__Known known = ENVWARDEN__READER__KNOWN__INIT;
	unsigned char pair[MARKS_PAIR];

	marks_put(pair, (uint64_t)letter, 7);
	known.id = id;
	if (f->core == CORE_ANSWERS) {
		known.basis = wire_uuid(&basis);
		known.marks = wire_bytes(pair, sizeof pair);
	}
	recall_answer(f->recall, &known);
}

/* Answers come later, in another order, some twice and some to nobody. */
static void on_idle(uv_idle_t *idle)
{
	struct fixture *f = idle->data;

	if (f->asked < THREADS)
		return;
	uv_close((uv_handle_t *)idle, NULL);
	if (f->core == CORE_GOES) {
		recall_close(f->recall);
		return;
	}
	for (size_t i = THREADS; i > 0; i--) {
		answer(f, f->ids[i - 1] + 1000, 'x');
		answer(f, f->ids[i - 1], f->prefixes[i - 1]);
		answer(f, f->ids[i - 1], 'y');
	}
}

static void on_ask(void *ctx, uint64_t id, const char *prefix)
{
	struct fixture *f = ctx;

	assert_true(f->asked < THREADS);
	f->ids[f->asked] = id;
	f->prefixes[f->asked++] = prefix[1];
}

static void ask(void *arg)
{
	struct asker *a = arg;

	recall_ask(a->f->recall, a->prefix, &a->got);
	uv_mutex_lock(&a->f->mutex);
	a->f->finished++;
	uv_mutex_unlock(&a->f->mutex);
	(void)uv_async_send(&a->f->back);
}

static void on_back(uv_async_t *back)
{
	struct fixture *f = back->data;
	bool all;

	uv_mutex_lock(&f->mutex);
	all = f->finished == THREADS;
	uv_mutex_unlock(&f->mutex);
	if (!all)
		return;
	recall_close(f->recall); /* perhaps again */
	uv_close((uv_handle_t *)back, NULL);
}

static void run(struct fixture *f, enum core core)
{
	uv_idle_t idle;

	*f = (struct fixture){.core = core};
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(uv_mutex_init(&f->mutex), 0);
	assert_int_equal(recall_new(&f->loop, on_ask, f, &f->recall, NULL), 0);
	assert_int_equal(uv_async_init(&f->loop, &f->back, on_back), 0);
	assert_int_equal(uv_idle_init(&f->loop, &idle), 0);
	f->back.data = f;
	idle.data = f;
	uv_idle_start(&idle, on_idle);
	for (size_t i = 0; i < THREADS; i++) {
		struct asker *a = &f->askers[i];

		a->f = f;
		a->prefix[0] = '/';
		a->prefix[1] = (char)('a' + i);
		assert_int_equal(uv_thread_create(&a->thread, ask, a), 0);
	}
	uv_run(&f->loop, UV_RUN_DEFAULT);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(uv_thread_join(&f->askers[i].thread), 0);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	uv_mutex_destroy(&f->mutex);
}

static void each_gets_its_own(void **state)
{
	static struct fixture f;
	uint64_t claim = 0;

	(void)state;
	run(&f, CORE_ANSWERS);
	for (size_t i = 0; i < THREADS; i++) {
		struct recalled *got = &f.askers[i].got;

		assert_int_equal(got->marks.n, 1);
		assert_true(marks_find(&got->marks, (uint64_t)f.askers[i].prefix[1], &claim));
		assert_int_equal(claim, 7);
		assert_memory_equal(&got->basis, &basis, sizeof basis);
		recalled_deinit(got);
	}
	recall_free(f.recall);
}

static void nothing_known(void **state)
{
	static const enum core cores[] = {CORE_KNOWS_NOTHING, CORE_GOES};
	static struct fixture f;

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(cores); c++) {
		run(&f, cores[c]);
		for (size_t i = 0; i < THREADS; i++) {
			assert_int_equal(f.askers[i].got.marks.n, 0);
			assert_true(uuid_is_zero(&f.askers[i].got.basis));
		}
		/* Closed: at once. */
		recall_ask(f.recall, "/a", &f.askers[0].got);
		assert_int_equal(f.askers[0].got.marks.n, 0);
		recall_free(f.recall);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_gets_its_own),
		cmocka_unit_test(nothing_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
