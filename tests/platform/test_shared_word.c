#include "platform/shared_word.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_seen_elsewhere(void **state)
{
	_Atomic uint64_t *mine;
	_Atomic uint64_t *theirs;
	int status = -1;
	pid_t child;
	int fd;

	(void)state;
	assert_int_equal(shared_word_new(&fd, NULL), 0);
	assert_int_equal(shared_word_map(fd, true, &mine, NULL), 0);
	assert_int_equal(shared_word_map(fd, false, &theirs, NULL), 0);
	shared_word_close(fd);
	assert_int_equal(atomic_load(theirs), 0);
	child = fork();
	if (child == 0) {
		atomic_store(mine, UINT64_C(1) << 40);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(atomic_load(theirs), UINT64_C(1) << 40);
	shared_word_unmap(mine);
	shared_word_unmap(theirs);
	shared_word_unmap(NULL);
	shared_word_close(-1);
}

/* Whoever has the other end can't take the memory away under us. */
static void test_size_stays(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(shared_word_new(&fd, NULL), 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 8192), -1);
	shared_word_close(fd);
}

static void test_no_such_descriptor(void **state)
{
	_Atomic uint64_t *word;
	int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int pipes[2];

	(void)state;
	assert_int_equal(ftruncate(unsealed, sizeof(uint64_t)), 0);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(shared_word_map(unsealed, false, &word, NULL), ERR_INVALID);
	assert_int_equal(shared_word_map(pipes[0], false, &word, NULL), ERR_INVALID);
	assert_int_equal(shared_word_map(-1, false, &word, NULL), ERR_INVALID);
	shared_word_close(unsealed);
	shared_word_close(pipes[0]);
	shared_word_close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seen_elsewhere),
		cmocka_unit_test(test_size_stays),
		cmocka_unit_test(test_no_such_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
