#include "platform/running.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/clock.h"

#define TICK_MS 10 /* what the system rounds starts to */

static int64_t now(void)
{
	const struct clock *clock = clock_system();

	return clock->mono_ms(clock);
}

struct child {
	int64_t pid;
	int hold; /* closed: it ends */
};

/* A process under a name of its own, which is in place when this returns. */
static struct child begin(const char *name)
{
	struct child c;
	int up[2], down[2];
	char ready;

	assert_int_equal(pipe(up), 0);
	assert_int_equal(pipe(down), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		(void)close(down[1]);
		(void)prctl(PR_SET_NAME, name);
		_exit(write(up[1], "", 1) == 1 && read(down[0], &ready, 1) == 0 ? 0 : 1);
	}
	(void)close(up[1]);
	(void)close(down[0]);
	assert_int_equal(read(up[0], &ready, 1), 1);
	(void)close(up[0]);
	c.hold = down[1];
	return c;
}

static void end(const struct child *c)
{
	int status;

	(void)close(c->hold);
	assert_int_equal(waitpid((pid_t)c->pid, &status, 0), c->pid);
	assert_int_equal(status, 0);
}

/* The name stands before the start, as it is: brackets and blanks must not shift what is read. */
static void test_start_whatever_its_name(void **state)
{
	static const char *const names[] = {"plain", "a b", "x) S 1 (y", ") R 7 7 7", "", "\n \t"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int64_t before = now();
		struct child c = begin(names[i]);
		int64_t after = now();
		int64_t started = -1;

		assert_int_equal(running_since(c.pid, &started, NULL), 0);
		assert_in_range(started, before - TICK_MS, after);
		end(&c);
	}
}

static void test_later_ones_began_later(void **state)
{
	struct child first, second;
	int64_t a = 0, b = 0;

	(void)state;
	first = begin("first");
	for (int64_t since = now(); now() < since + 3 * TICK_MS;)
		clock_sleep_ms(TICK_MS);
	second = begin("second");
	assert_int_equal(running_since(first.pid, &a, NULL), 0);
	assert_int_equal(running_since(second.pid, &b, NULL), 0);
	assert_in_range(b - a, 2 * TICK_MS, INT64_MAX);
	end(&second);
	end(&first);
}

/* One that has ended, and what no process can have. */
static void test_none(void **state)
{
	struct child c = begin("short");
	int64_t started = 77;
	struct err err = ERR_INIT;

	(void)state;
	end(&c);
	assert_int_equal(running_since(c.pid, &started, &err), ERR_NOTFOUND);
	assert_int_equal(running_since(-1, &started, NULL), ERR_NOTFOUND);
	assert_int_equal(running_since(INT64_MAX, &started, NULL), ERR_NOTFOUND);
	assert_int_equal(started, 77);
	assert_int_not_equal(err.text[0], '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_whatever_its_name),
		cmocka_unit_test(test_later_ones_began_later),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
