#include "platform/fd_pass.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/process.h"
#include "tests/support/tmpdir.h"

static int set_up(void **state)
{
	static struct tmpdir dir;

	tmpdir_make(&dir);
	*state = &dir;
	return 0;
}

static int tear_down(void **state)
{
	tmpdir_remove(*state);
	return 0;
}

static int inspect(int fd, struct file_info *info, char path[SAFE_PATH_MAX])
{
	int rc = fd_pass_inspect(fd, info, path, SAFE_PATH_MAX, NULL);

	fd_pass_close(fd);
	return rc;
}

static void test_directory(void **state)
{
	const struct tmpdir *dir = *state;
	char path[SAFE_PATH_MAX];
	struct file_info info;
	struct stat st;

	assert_int_equal(stat(dir->path, &st), 0);
	assert_int_equal(inspect(open(dir->path, O_RDONLY | O_CLOEXEC), &info, path), 0);
	assert_string_equal(path, dir->path);
	assert_int_equal(info.dev, st.st_dev);
	assert_int_equal(info.ino, st.st_ino);
	assert_int_equal(info.uid, st.st_uid);
	assert_true(info.is_dir);
}

static void test_no_proof(void **state)
{
	const struct tmpdir *dir = *state;
	char file[TMPDIR_PATH_MAX];
	char gone[TMPDIR_PATH_MAX];
	char path[SAFE_PATH_MAX];
	struct file_info info;
	int pipes[2];
	int fd;

	tmpdir_path(dir, "file", file);
	tmpdir_path(dir, "gone", gone);
	fd = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(inspect(fd, &info, path), ERR_INVALID);
	assert_int_equal(inspect(open(dir->path, O_PATH | O_CLOEXEC), &info, path), ERR_INVALID);
	assert_int_equal(mkdir(gone, 0700), 0);
	fd = open(gone, O_RDONLY | O_CLOEXEC);
	assert_int_equal(rmdir(gone), 0);
	assert_int_equal(inspect(fd, &info, path), ERR_INVALID);
	assert_int_equal(process_pair(pipes, NULL), 0);
	assert_int_equal(inspect(pipes[0], &info, path), ERR_INVALID);
	fd_pass_close(pipes[1]);
	fd = open(dir->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fd_pass_inspect(fd, &info, path, 4, NULL), ERR_LIMIT);
	fd_pass_close(fd);
	fd_pass_close(-1);
}

static void test_passing(void **state)
{
	const struct tmpdir *dir = *state;
	char path[SAFE_PATH_MAX];
	struct file_info info;
	int pipes[2];
	int fd = open(dir->path, O_RDONLY | O_CLOEXEC);
	int got[FD_PASS_MAX];
	size_t n = 0;

	assert_int_equal(process_pair(pipes, NULL), 0);
	assert_int_equal(fd_pass_receive(pipes[1], got, 1, &n, NULL), ERR_BUSY);
	assert_int_equal(fd_pass_send(pipes[0], &fd, 1, NULL), 0);
	assert_int_equal(fd_pass_receive(pipes[1], got, FD_PASS_MAX, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(inspect(got[0], &info, path), 0);
	assert_string_equal(path, dir->path);
	assert_int_equal(write(pipes[0], "x", 1), 1);
	assert_int_equal(fd_pass_receive(pipes[1], got, 1, &n, NULL), ERR_PROTOCOL);
	fd_pass_close(pipes[0]);
	assert_int_equal(fd_pass_receive(pipes[1], got, 1, &n, NULL), ERR_CLOSED);
	fd_pass_close(pipes[1]);
	fd_pass_close(fd);
}

static void test_several(void **state)
{
	const struct tmpdir *dir = *state;
	char path[SAFE_PATH_MAX];
	struct file_info info;
	int pipes[2];
	int fd = open(dir->path, O_RDONLY | O_CLOEXEC);
	const int fds[FD_PASS_MAX] = {fd, fd, fd};
	int got[FD_PASS_MAX];
	size_t n = 0;

	assert_int_equal(process_pair(pipes, NULL), 0);
	assert_int_equal(fd_pass_send(pipes[0], fds, 2, NULL), 0);
	assert_int_equal(fd_pass_send(pipes[0], fds, FD_PASS_MAX, NULL), 0);
	for (size_t expected = 2; expected <= FD_PASS_MAX; expected++) {
		assert_int_equal(fd_pass_receive(pipes[1], got, FD_PASS_MAX, &n, NULL), 0);
		assert_int_equal(n, expected);
		while (n > 0) {
			assert_int_equal(inspect(got[--n], &info, path), 0);
			assert_string_equal(path, dir->path);
		}
	}
	fd_pass_close(pipes[0]);
	fd_pass_close(pipes[1]);
	fd_pass_close(fd);
}

static void send_many(int channel, int fd, size_t n)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control = {.room = ""};
	char byte = 'f';
	struct iovec piece = {&byte, 1};
	struct msghdr message = {.msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = control.room,
				 .msg_controllen = CMSG_SPACE(n * sizeof fd)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(n * sizeof fd);
	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
	assert_int_equal(sendmsg(channel, &message, 0), 1);
}

/* A stranger sends more than is wanted, again and again: nothing of it stays open. */
static void test_too_many(void **state)
{
	int pipes[2];
	int got = -1;
	int first;
	size_t n = 0;

	(void)state;
	assert_int_equal(process_pair(pipes, NULL), 0);
	first = dup(pipes[0]); /* the lowest number that is free */
	fd_pass_close(first);
	for (size_t count = 2; count <= 8; count++) {
		send_many(pipes[0], pipes[0], count);
		assert_int_equal(fd_pass_receive(pipes[1], &got, 1, &n, NULL), ERR_PROTOCOL);
		assert_int_equal(got, -1);
	}
	got = dup(pipes[0]);
	assert_int_equal(got, first);
	fd_pass_close(got);
	fd_pass_close(pipes[0]);
	fd_pass_close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_proof, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_passing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_several, set_up, tear_down),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
