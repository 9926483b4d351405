#include "agent/lease.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/shared_word.h"
#include "tests/support/tmpdir.h"

#define CHANGES 1000

struct pair {
	struct tmpdir dir;
	struct lease_lender lender;
	struct lease_holder holder;
	int queue; /* the lender's own number of it */
	int watch;
};

static int set_up(void **state)
{
	static struct pair p;
	struct lease_ends ends;

	p = (struct pair){.queue = -1};
	tmpdir_make(&p.dir);
	assert_int_equal(lease_ends_new(&ends, NULL), 0);
	assert_int_equal(lease_lender_open(&p.lender, ends.word, NULL), 0);
	p.queue = dup(ends.queue);
	assert_true(p.queue >= 0);
	assert_int_equal(lease_holder_open(&p.holder, &ends, NULL), 0);
	assert_int_equal(ends.word, -1);
	assert_int_equal(ends.queue, -1);
	p.watch = inotify_add_watch(p.queue, p.dir.path, IN_CLOSE_WRITE);
	assert_true(p.watch > 0);
	*state = &p;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *p = *state;

	lease_lender_close(&p->lender);
	lease_holder_close(&p->holder);
	(void)close(p->queue);
	tmpdir_remove(&p->dir);
	return 0;
}

static int open_file(const struct pair *p)
{
	char path[TMPDIR_PATH_MAX];
	int fd;

	tmpdir_path(&p->dir, "file", path);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void change(const struct pair *p, uint64_t number)
{
	int fd = open_file(p);

	assert_int_equal(pwrite(fd, &number, sizeof number, 0), sizeof number);
	assert_int_equal(close(fd), 0);
}

static void read_queue(int queue)
{
	char room[4096];

	assert_true(read(queue, room, sizeof room) > 0);
}

static void test_good_while_nothing_happens(void **state)
{
	struct pair *p = *state;

	assert_false(lease_is_good(&p->holder, 1)); /* it has never rested */
	lease_rest(&p->lender, 1);
	assert_true(lease_is_good(&p->holder, 1));
	assert_false(lease_is_good(&p->holder, 2));
	assert_false(lease_is_good(&p->holder, LEASE_NONE));
	lease_wake(&p->lender);
	assert_false(lease_is_good(&p->holder, 1));
	lease_wake(&p->lender);
	lease_rest(&p->lender, 1);
	assert_true(lease_is_good(&p->holder, 1));
	lease_wake(&p->lender);
	lease_rest(&p->lender, 2);
	assert_false(lease_is_good(&p->holder, 1));
	assert_true(lease_is_good(&p->holder, 2));
}

static void test_event_waits(void **state)
{
	struct pair *p = *state;

	lease_rest(&p->lender, 1);
	change(p, 1);
	assert_false(lease_is_good(&p->holder, 1));
	read_queue(p->queue);
	assert_true(lease_is_good(&p->holder, 1)); /* a lender would have woken */
}

static void test_ends(void **state)
{
	struct pair *p = *state;
	struct lease_holder none;
	struct lease_ends ends = {.word = -1, .queue = -1};

	lease_rest(&p->lender, 1);
	lease_lender_close(&p->lender);
	assert_false(lease_is_good(&p->holder, 1));
	lease_wake(&p->lender);
	lease_rest(&p->lender, 1);
	assert_false(lease_is_good(&p->holder, 1));
	lease_holder_close(&p->holder);
	assert_false(lease_is_good(&p->holder, 1));
	assert_int_equal(lease_holder_open(&none, &ends, NULL), 0);
	assert_false(lease_is_good(&none, 1));
	assert_int_equal(lease_ends_new(&ends, NULL), 0);
	shared_word_close(ends.word);
	ends.word = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(lease_holder_open(&none, &ends, NULL), ERR_INVALID);
	assert_int_equal(ends.queue, -1);
	assert_false(lease_is_good(&none, 1));
}

struct race {
	struct pair *pair;
	_Atomic uint64_t taken; /* the newest change that the lender knows of */
	_Atomic bool over;
};

/* As the reader does it: wakes, takes events out, then knows of the changes, then rests. */
static void *lend(void *ctx)
{
	struct race *race = ctx;
	struct pollfd events = {.fd = race->pair->queue, .events = POLLIN};
	int fd = open_file(race->pair);
	uint64_t epoch = 1;
	uint64_t number;

	while (!race->over) {
		if (poll(&events, 1, 10) <= 0)
			continue;
		lease_wake(&race->pair->lender);
		read_queue(race->pair->queue);
		(void)usleep(50); /* the longer it takes, the more can go wrong */
		assert_int_equal(pread(fd, &number, sizeof number, 0), sizeof number);
		atomic_store(&race->taken, number);
		lease_rest(&race->pair->lender, ++epoch);
	}
	(void)inotify_rm_watch(race->pair->queue, race->pair->watch);
	assert_int_equal(close(fd), 0);
	return NULL;
}

/* Whenever any lease is good, the lender knows of the last change that was made before. */
static void test_no_change_is_missed(void **state)
{
	struct pair *p = *state;
	struct race race = {.pair = p};
	pthread_t lender;
	unsigned missed = 0;

	lease_rest(&p->lender, 1);
	assert_int_equal(pthread_create(&lender, NULL, lend, &race), 0);
	for (uint64_t i = 1; i <= CHANGES; i++) {
		change(p, i);
		while (!lease_is_good(&p->holder, atomic_load(p->holder.word) / 2))
			; /* until it has taken it in */
		missed += atomic_load(&race.taken) != i;
	}
	race.over = true;
	assert_int_equal(pthread_join(lender, NULL), 0);
	assert_int_equal(missed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good_while_nothing_happens, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_event_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_change_is_missed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
