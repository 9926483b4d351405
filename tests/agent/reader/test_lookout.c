#include "agent/reader/lookout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include <cmocka.h>

#include "agent/reader/prefix_list.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "platform/users.h"
#include "tests/support/fault.h"

#define EVERY_MS 1 /* its waits are real, though the time is not */
#define BEGIN_MS 1000000
#define FOUND_MAX 16

/* A machine whose processes and time are the test's. */
struct process {
	int64_t pid;
	uint32_t other_uid; /* more than the own one */
	int64_t started_ms;
	const char *words[RUNNING_WORDS_MAX];
};

static struct {
	uv_mutex_t mutex;
	const struct process *processes;
	size_t n;
} machine;

static _Atomic int64_t now;
static atomic_int looks;
static atomic_int look_takes_ms;
static atomic_bool hangs, hung;

static int64_t fake_now(const struct clock *clock)
{
	(void)clock;
	return now;
}

static const struct clock fake_clock = {.wall_ms = fake_now, .mono_ms = fake_now};

static void nap(void)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static int fake_each(running_cb cb, void *ctx, struct err *err)
{
	(void)err;
	now += look_takes_ms;
	uv_mutex_lock(&machine.mutex);
	for (size_t i = 0; i < machine.n; i++) {
		const struct process *p = &machine.processes[i];
		struct running process = {.pid = p->pid, .uid = users_current() + p->other_uid};

		while (process.n_words < RUNNING_WORDS_MAX && p->words[process.n_words] != NULL) {
			process.words[process.n_words] = p->words[process.n_words];
			process.n_words++;
		}
		assert_int_equal(cb(ctx, &process), 0);
	}
	uv_mutex_unlock(&machine.mutex);
	looks++;
	for (hung = (bool)hangs; hangs;)
		nap();
	hung = false;
	return 0;
}

static int fake_since(int64_t pid, int64_t *started_ms, struct err *err)
{
	for (size_t i = 0; i < machine.n; i++)
		if (machine.processes[i].pid == pid) {
			*started_ms = machine.processes[i].started_ms;
			return 0;
		}
	return err_set(err, ERR_NOTFOUND, "ended");
}

static const struct lookout_source source = {fake_each, fake_since};

struct fixture {
	uv_loop_t loop;
	struct lookout *lookout;
	char found[FOUND_MAX][64]; /* since the last time they were asked for */
	size_t n;
	bool repair;
	unsigned looked;
	bool stopped;
};

static void on_runs(void *ctx, const struct discover_program *program)
{
	struct fixture *f = ctx;

	assert_in_range(f->n, 0, FOUND_MAX - 1);
	(void)snprintf(f->found[f->n++], sizeof *f->found, "%s", program->prefix);
	f->repair = program->repair;
}

static void on_looked(void *ctx)
{
	((struct fixture *)ctx)->looked++;
}

static void on_stopped(void *owner)
{
	((struct fixture *)owner)->stopped = true;
}

static void run(const struct process *processes, size_t n)
{
	uv_mutex_lock(&machine.mutex);
	machine.processes = processes;
	machine.n = n;
	uv_mutex_unlock(&machine.mutex);
}

static int begin_for(void **state, bool all_accounts)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;

	*f = (struct fixture){.n = 0};
	*state = f;
	now = BEGIN_MS;
	looks = look_takes_ms = 0;
	run(NULL, 0);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	return lookout_new(&(struct lookout_config){.loop = &f->loop,
						    .clock = &fake_clock,
						    .source = &source,
						    .every_ms = EVERY_MS,
						    .all_accounts = all_accounts,
						    .runs = on_runs,
						    .looked = on_looked,
						    .ctx = f},
			   &f->lookout, NULL);
}

static int begin(void **state)
{
	return begin_for(state, true);
}

static int begin_own(void **state)
{
	return begin_for(state, false);
}

static int end(void **state)
{
	struct fixture *f = *state;

	lookout_stop(f->lookout, on_stopped, f);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->stopped);
	return uv_loop_close(&f->loop);
}

static void watch(struct fixture *f, const char *prefix, int64_t since_ms)
{
	assert_int_equal(lookout_add(f->lookout, prefix, since_ms), 0);
	lookout_take(f->lookout);
}

/* Two looks begin after this is called: what the first one saw has been told by the second. */
static void look(struct fixture *f)
{
	for (int i = 0; i < 2; i++) {
		int before = looks;

		while (looks == before) {
			now += EVERY_MS;
			nap();
		}
	}
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void assert_found(struct fixture *f, size_t n)
{
	f->n = 0;
	look(f);
	assert_int_equal(f->n, n);
}

static void test_what_runs_in_a_blocked_one(void **state)
{
	static const struct process processes[] = {
		{1, 0, 2000, {"/e/blocked/bin/python", "x.py"}},
		{2, 0, 2000, {"/e/other/bin/python"}},
		{3, 0, 2000, {"/bin/sh", "/e/blocked/bin/script"}},
		{4, 0, 2000, {"/usr/bin/vi", "/e/blocked/bin/script"}},
		{5, 0, 1999, {"/e/blocked/bin/jupyter"}}, /* from before */
		{6, 0, 2000, {"bin/python"}},
		{7, 0, 2000, {"/e/blocked/bin/x/y"}},
		{8, 0, 2000, {"/e/blocked2/bin/python"}},
		{9, 0, 2000, {"/e/block/bin/python"}},
		{10,
		 1,
		 2000,
		 {"/e/blocked/bin/python", "-m", "compileall"}}, /* the last told first */
	};
	struct fixture *f = *state;

	run(processes, ARRAY_SIZE(processes));
	watch(f, "/e/blocked", 2000);
	assert_found(f, 3);
	for (size_t i = 0; i < f->n; i++)
		assert_string_equal(f->found[i], "/e/blocked");
	assert_false(f->repair);
	assert_int_equal(f->looked, 1);
}

static void test_of_the_own_account_alone(void **state)
{
	static const struct process processes[] = {{1, 0, 2000, {"/e/bin/python"}},
						   {2, 1, 2000, {"/e/bin/python"}}};

	run(processes, ARRAY_SIZE(processes));
	watch(*state, "/e", 0);
	assert_found(*state, 1);
}

static void test_each_once(void **state)
{
	static const struct process processes[] = {{1, 0, 2000, {"/e/bin/python"}},
						   {2, 0, 2000, {"/e/bin/conda", "install"}},
						   {1, 0, 3000, {"/e/bin/python"}}};
	struct fixture *f = *state;

	run(processes, 1);
	watch(f, "/e", 0);
	assert_found(f, 1);
	assert_found(f, 0);
	run(processes, 2);
	assert_found(f, 1);
	assert_true(f->repair);
	run(processes + 2, 1); /* the same number again */
	assert_found(f, 1);
	assert_found(f, 0);
	now += LOOKOUT_AGAIN_MS;
	assert_found(f, 1);
}

static void test_other_names(void **state)
{
	static const struct process processes[] = {{1, 0, 2000, {"/home/ana/e/bin/python"}},
						   {2, 0, 2000, {"/home/ana/f/bin/python"}}};
	struct fixture *f = *state;

	run(processes, ARRAY_SIZE(processes));
	lookout_named(f->lookout, "/data/ana/e", "/home/ana/e"); /* before */
	watch(f, "/data/ana/e", 0);
	assert_found(f, 1);
	assert_string_equal(f->found[0], "/data/ana/e");
	lookout_named(f->lookout, "/data/ana/f", "/home/ana/f"); /* not blocked */
	assert_found(f, 0);
	assert_int_equal(lookout_add(f->lookout, "/data/ana/e", 0), 0);
	watch(f, "/data/ana/f", 0);
	assert_found(f, 1);
	assert_string_equal(f->found[0], "/data/ana/f");
	lookout_named(f->lookout, "/data/ana/f", "/home/ana/e"); /* leads there now */
	now += LOOKOUT_AGAIN_MS;
	assert_found(f, 2);
	for (size_t i = 0; i < LOOKOUT_NAMES; i++) { /* the oldest make room */
		char named[32];

		(void)snprintf(named, sizeof named, "/home/%zu", i);
		lookout_named(f->lookout, "/data/ana/g", named);
	}
	watch(f, "/data/ana/f", 0);
	now += LOOKOUT_AGAIN_MS;
	assert_found(f, 0);
}

/* Nothing is looked at, whatever time it gets. */
static void assert_rests(void)
{
	int before;

	for (int i = 0; i < 20; i++)
		nap();
	before = looks;
	for (int i = 0; i < 20; i++) {
		now += LOOKOUT_AGAIN_MS;
		nap();
	}
	assert_int_equal(looks, before);
}

static void test_rests_while_nothing_is_blocked(void **state)
{
	struct fixture *f = *state;

	assert_rests();
	lookout_take(f->lookout);
	assert_rests();
	watch(f, "/e", 0);
	look(f);
	lookout_take(f->lookout);
	assert_rests();
	watch(f, "/e", 0);
	look(f);
}

static void test_slow_looks_are_few(void **state)
{
	struct fixture *f = *state;
	int before;

	look_takes_ms = EVERY_MS;
	watch(f, "/e", 0);
	look(f);
	before = looks;
	now += EVERY_MS * (LOOKOUT_SHARE - 1);
	for (int i = 0; i < 2 * LOOKOUT_SHARE; i++)
		nap();
	assert_int_equal(looks, before);
	while (looks == before) {
		now += EVERY_MS;
		nap();
	}
}

static void test_ends_beside_a_look_that_hangs(void **state)
{
	struct fixture *f = *state;

	hangs = true;
	watch(f, "/e", 0);
	while (!hung) {
		now += EVERY_MS;
		nap();
	}
	(void)end(state);
	hangs = false;
	while (hung)
		nap();
}

static void test_bounded(void **state)
{
	struct fixture *f = *state;
	char prefix[32];

	for (size_t i = 0; i < LOOKOUT_MAX; i++) {
		(void)snprintf(prefix, sizeof prefix, "/e/%zu", i);
		assert_int_equal(lookout_add(f->lookout, prefix, 0), 0);
	}
	assert_int_equal(lookout_add(f->lookout, "/e/more", 0), ERR_LIMIT);
	lookout_take(f->lookout);
	assert_int_equal(lookout_add(f->lookout, "/e/more", 0), 0);
}

static int list_body(void *ctx)
{
	struct prefix_list list = {.n = 0};
	int rc = prefix_list_add(&list, "/b", "/data/b", 1);

	(void)ctx;
	if (rc == 0)
		rc = prefix_list_add(&list, "/a", "/data/a", 2);
	prefix_list_sort(&list);
	if (rc == 0) {
		assert_int_equal(prefix_list_find(&list, "/a/bin/x", 2)->since_ms, 2);
		assert_string_equal(prefix_list_find(&list, "/b/bin/x", 2)->prefix, "/data/b");
		assert_null(prefix_list_find(&list, "/b/bin/x", 3));
		assert_null(prefix_list_find(&list, "/", 1));
	}
	prefix_list_free(&list);
	prefix_list_free(&list);
	return rc;
}

static void test_list_without_memory(void **state)
{
	(void)state;
	(void)fault_each_alloc(list_body, NULL, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_runs_in_a_blocked_one, begin, end),
		cmocka_unit_test_setup_teardown(test_of_the_own_account_alone, begin_own, end),
		cmocka_unit_test_setup_teardown(test_each_once, begin, end),
		cmocka_unit_test_setup_teardown(test_other_names, begin, end),
		cmocka_unit_test_setup_teardown(test_rests_while_nothing_is_blocked, begin, end),
		cmocka_unit_test_setup_teardown(test_slow_looks_are_few, begin, end),
		cmocka_unit_test_setup(test_ends_beside_a_look_that_hangs, begin),
		cmocka_unit_test_setup_teardown(test_bounded, begin, end),
		cmocka_unit_test(test_list_without_memory),
	};

	if (uv_mutex_init(&machine.mutex) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
