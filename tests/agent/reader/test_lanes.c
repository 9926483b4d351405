#include "agent/reader/lanes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "platform/clock.h"

#define PIECES 6

static const char mounts_text[] = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
				  "2 1 0:40 / /one rw - nfs one:/x rw\n"
				  "3 1 0:41 / /two rw - nfs two:/x rw\n"
				  "4 1 0:42 / /auto rw - autofs map rw\n"
				  "5 1 0:43 / /also rw - nfs one:/y rw\n";

struct fixture;

struct test_piece {
	struct piece piece;
	struct fixture *f;
	char path[SAFE_PATH_MAX];
	bool blocks; /* until the gate opens */
	bool done;
	bool stuck;
	unsigned order;
};

struct fixture {
	uv_loop_t loop;
	uv_timer_t tick;
	uv_mutex_t mutex;
	uv_cond_t gate;
	bool open; /* under mutex */
	struct lanes *lanes;
	struct test_piece pieces[PIECES];
	unsigned n_done;
	bool stopped;
	struct clock clock; /* of a time that tests move on */
	int64_t ahead_ms;
};

static struct fixture fixture;

static int64_t mono_ms(const struct clock *clock)
{
	(void)clock;
	return clock_system()->mono_ms(clock_system()) + fixture.ahead_ms;
}

static void on_run(struct piece *piece)
{
	struct test_piece *p = container_of(piece, struct test_piece, piece);

	if (!p->blocks)
		return;
	uv_mutex_lock(&p->f->mutex);
	while (!p->f->open)
		uv_cond_wait(&p->f->gate, &p->f->mutex);
	uv_mutex_unlock(&p->f->mutex);
}

static void on_done(struct piece *piece)
{
	struct test_piece *p = container_of(piece, struct test_piece, piece);

	p->done = true;
	p->order = p->f->n_done++;
}

static void on_stuck(struct piece *piece)
{
	container_of(piece, struct test_piece, piece)->stuck = true;
}

static void on_changed(void *ctx)
{
	(void)ctx;
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

static void on_stopped(void *owner)
{
	struct fixture *f = owner;

	f->stopped = true;
}

static void set_table(struct fixture *f, const char *text)
{
	struct mount_table *table;

	assert_int_equal(mount_table_read(text, strlen(text), &table, NULL), 0);
	lanes_set_table(f->lanes, table);
	mount_table_unref(table);
}

static int setup(void **state)
{
	struct fixture *f = &fixture;
	struct lanes_config config = {.clock = &f->clock, .changed = on_changed, .ctx = f};

	*f = (struct fixture){.clock = *clock_system()};
	f->clock.mono_ms = mono_ms;
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(uv_mutex_init(&f->mutex), 0);
	assert_int_equal(uv_cond_init(&f->gate), 0);
	assert_int_equal(uv_timer_init(&f->loop, &f->tick), 0);
	assert_int_equal(uv_timer_start(&f->tick, on_tick, 5, 5), 0);
	config.loop = &f->loop;
	assert_int_equal(lanes_new(&config, &f->lanes, NULL), 0);
	set_table(f, mounts_text);
	*state = f;
	return 0;
}

static void open_gate(struct fixture *f)
{
	uv_mutex_lock(&f->mutex);
	f->open = true;
	uv_cond_broadcast(&f->gate);
	uv_mutex_unlock(&f->mutex);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	open_gate(f);
	lanes_stop(f->lanes, on_stopped, f);
	uv_close((uv_handle_t *)&f->tick, NULL);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_true(f->stopped);
	uv_cond_destroy(&f->gate);
	uv_mutex_destroy(&f->mutex);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	return 0;
}

static int submit(struct fixture *f, size_t i, enum piece_rank rank, const char *path, bool blocks)
{
	struct test_piece *p = &f->pieces[i];

	*p = (struct test_piece){.f = f, .blocks = blocks};
	p->piece = (struct piece){
		.rank = rank, .run = on_run, .done = on_done, .stuck = on_stuck, .path = p->path};
	(void)snprintf(p->path, sizeof p->path, "%s", path);
	return lanes_submit(f->lanes, &p->piece, path, false);
}

static void await(struct fixture *f, const bool *what)
{
	int64_t end = clock_system()->mono_ms(clock_system()) + 20000;

	while (!*what) {
		assert_true(clock_system()->mono_ms(clock_system()) < end);
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
}

/* What hangs on one server holds up all of that server, and nothing else. */
static void each_its_own(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(submit(f, 0, PIECE_LOOK, "/one/a", true), 0);
	assert_int_equal(submit(f, 1, PIECE_LOOK, "/also/b", false), 0);
	assert_int_equal(submit(f, 2, PIECE_LOOK, "/two/a", false), 0);
	assert_int_equal(submit(f, 3, PIECE_LOOK, "/local", false), 0);
	assert_int_equal(submit(f, 4, PIECE_SHORT, "/auto/x", false), ERR_UNREACHABLE);
	await(f, &f->pieces[2].done);
	await(f, &f->pieces[3].done);
	assert_false(f->pieces[1].done);
	open_gate(f);
	await(f, &f->pieces[1].done);
	assert_true(f->pieces[0].order < f->pieces[1].order);
}

static void count(void *ctx, const char *point, const char *source, int64_t since_ms)
{
	unsigned *n = ctx;

	assert_string_equal(point, "/one");
	assert_string_equal(source, "one:/x");
	assert_true(since_ms > 0);
	++*n;
}

static void stuck_and_free(void **state)
{
	struct fixture *f = *state;
	uint64_t group = lanes_group(f->lanes, "/one/a");
	unsigned told = 0;

	assert_int_equal(submit(f, 0, PIECE_LOOK, "/one/a", true), 0);
	assert_int_equal(submit(f, 1, PIECE_LOOK, "/one/b", false), 0);
	f->ahead_ms = LANES_PATIENCE_MS;
	assert_int_equal(submit(f, 2, PIECE_LOOK, "/two/a", false), 0); /* looks at the time */
	await(f, &f->pieces[0].stuck);
	assert_true(f->pieces[1].stuck && lanes_stuck(f->lanes, group));
	lanes_each_stuck(f->lanes, count, &told);
	assert_int_equal(told, 1);
	assert_int_equal(submit(f, 3, PIECE_SHORT, "/one/c", false), ERR_UNREACHABLE);
	open_gate(f);
	await(f, &f->pieces[1].done);
	assert_false(lanes_stuck(f->lanes, group));
	assert_int_equal(submit(f, 3, PIECE_SHORT, "/one/c", false), 0);
	await(f, &f->pieces[3].done);
}

/* The call still hangs, but what is mounted there now is another thing. */
static void mount_goes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(submit(f, 0, PIECE_LOOK, "/one/a", true), 0);
	f->ahead_ms = LANES_PATIENCE_MS;
	assert_int_equal(submit(f, 1, PIECE_LOOK, "/two/a", false), 0);
	await(f, &f->pieces[0].stuck);
	set_table(f, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n9 1 0:40 / /one rw - nfs one:/x rw\n");
	assert_false(lanes_stuck(f->lanes, lanes_group(f->lanes, "/one/a")));
	assert_int_equal(submit(f, 2, PIECE_SHORT, "/one/b", false), 0);
	await(f, &f->pieces[2].done);
	assert_false(f->pieces[0].done);
	open_gate(f);
	await(f, &f->pieces[0].done);
}

static void ranks(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(submit(f, 0, PIECE_LOOK, "/one/a", true), 0);
	assert_int_equal(submit(f, 1, PIECE_BACKGROUND, "/one/b", false), 0);
	assert_int_equal(submit(f, 2, PIECE_LOOK, "/one/c", false), 0);
	assert_int_equal(submit(f, 3, PIECE_SHORT, "/one/d", false), 0);
	assert_int_equal(submit(f, 4, PIECE_LOOK, "/one/e", false), 0);
	assert_true(lanes_cancel(&f->pieces[4].piece));
	assert_false(lanes_cancel(&f->pieces[0].piece));
	open_gate(f);
	await(f, &f->pieces[1].done);
	assert_true(f->pieces[3].order < f->pieces[2].order);
	assert_true(f->pieces[2].order < f->pieces[1].order);
	assert_false(f->pieces[4].done);
}

/* What waits at the end is refused; nobody is left without an answer. */
static void refused_at_the_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(submit(f, 0, PIECE_LOOK, "/one/a", true), 0);
	assert_int_equal(submit(f, 1, PIECE_SHORT, "/one/b", false), 0);
	lanes_stop(f->lanes, on_stopped, f);
	assert_true(f->pieces[1].done && f->pieces[1].piece.end == PIECE_REFUSED);
	assert_false(f->pieces[0].done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(stuck_and_free, setup, teardown),
		cmocka_unit_test_setup_teardown(mount_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(ranks, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_at_the_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
