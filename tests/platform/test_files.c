#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/files.h"
#include "platform/secret.h"
#include "tests/support/tmpdir.h"

static int setup(void **state)
{
	struct tmpdir *tmp = calloc(1, sizeof(*tmp));
	tmpdir_make(tmp);
	*state = tmp;
	return 0;
}

static int teardown(void **state)
{
	tmpdir_remove(*state);
	free(*state);
	return 0;
}

static void assert_holds(const char *path, const char *text)
{
	struct buf out;
	buf_init(&out, 10000);
	assert_int_equal(files_read_whole(path, 5000, &out, NULL), 0);
	assert_string_equal(buf_cstr(&out), text);
	buf_deinit(&out);
}

static unsigned mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = -2;
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	assert_int_equal(closedir(dir), 0);
	return n;
}

static void atomic_write(void **state)
{
	struct tmpdir *tmp = *state;
	char path[TMPDIR_PATH_MAX], missing[TMPDIR_PATH_MAX];
	tmpdir_path(tmp, "f", path);
	mode_t before = umask(077);
	assert_int_equal(files_atomic_write(path, "one", 3, 0644, NULL), 0);
	(void)umask(before);
	assert_holds(path, "one");
	assert_int_equal(mode_of(path), 0644); /* whatever the umask */
	assert_int_equal(files_atomic_write(path, "two!", 4, 0600, NULL), 0);
	assert_holds(path, "two!");
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(files_atomic_write(path, NULL, 0, 0600, NULL), 0);
	assert_holds(path, "");
	assert_int_equal(entries(tmp->path), 1);
	tmpdir_path(tmp, "missing/f", missing);
	assert_int_equal(files_atomic_write(missing, "x", 1, 0600, NULL), ERR_NOTFOUND);
}

/* The target can't be replaced: it stays, and no stray file lies beside it. */
static void atomic_write_fails(void **state)
{
	struct tmpdir *tmp = *state;
	char path[TMPDIR_PATH_MAX];
	struct err err = ERR_INIT;
	tmpdir_write_text(tmp, "d/inner", "x");
	tmpdir_path(tmp, "d", path);
	assert_true(files_atomic_write(path, "x", 1, 0600, &err) < 0);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(entries(tmp->path), 1);
}

static void atomic_write_disk_full(void **state)
{
	struct tmpdir *tmp = *state;
	char mount_point[TMPDIR_PATH_MAX], path[TMPDIR_PATH_MAX];
	static char big[256 * 1024];
	tmpdir_mkdir(tmp, "small");
	tmpdir_path(tmp, "small", mount_point);
	if (mount("tmpfs", mount_point, "tmpfs", MS_NODEV | MS_NOSUID, "size=64k") < 0) {
		print_message("skipped: can't mount a small file system (%s)\n", strerror(errno));
		skip();
	}
	tmpdir_path(tmp, "small/f", path);
	memset(big, 'x', sizeof(big));
	int first = files_atomic_write(path, "kept", 4, 0644, NULL);
	int second = files_atomic_write(path, big, sizeof(big), 0644, NULL);
	int left = entries(mount_point);
	struct buf out;
	buf_init(&out, 100);
	int read = files_read_whole(path, 50, &out, NULL);
	bool kept = strcmp(buf_cstr(&out), "kept") == 0;
	buf_deinit(&out);
	assert_int_equal(umount(mount_point), 0); /* before anything can fail */
	assert_int_equal(first, 0);
	assert_int_equal(second, ERR_FULL);
	assert_int_equal(left, 1);
	assert_int_equal(read, 0);
	assert_true(kept);
}

static void read_whole(void **state)
{
	struct tmpdir *tmp = *state;
	char path[TMPDIR_PATH_MAX], link[TMPDIR_PATH_MAX];
	struct buf out;
	buf_init(&out, 100);
	tmpdir_write_text(tmp, "f", "12345");
	tmpdir_path(tmp, "f", path);
	tmpdir_path(tmp, "l", link);
	assert_int_equal(symlink("f", link), 0);
	assert_int_equal(files_read_whole(link, 5, &out, NULL), 0);
	assert_string_equal(buf_cstr(&out), "12345");
	assert_int_equal(files_read_whole(path, 4, &out, NULL), ERR_LIMIT);
	assert_int_equal(files_read_whole(tmp->path, 4, &out, NULL), ERR_INVALID);
	assert_int_equal(files_read_whole("/dev/null", 4, &out, NULL), ERR_INVALID);
	tmpdir_path(tmp, "missing", path);
	assert_int_equal(files_read_whole(path, 4, &out, NULL), ERR_NOTFOUND);
	assert_int_equal(files_remove(link, NULL), 0);
	assert_int_equal(files_remove(link, NULL), 0);
	assert_int_equal(files_remove(tmp->path, NULL) < 0, 1);
	buf_deinit(&out);
}

static void directories(void **state)
{
	struct tmpdir *tmp = *state;
	char path[TMPDIR_PATH_MAX];
	mode_t before = umask(0);
	tmpdir_path(tmp, "x/y//z/", path);
	assert_int_equal(files_mkdir(path, 0750, NULL), 0);
	assert_int_equal(files_mkdir(path, 0700, NULL), 0);
	(void)umask(before);
	tmpdir_path(tmp, "x/y/z", path);
	assert_int_equal(mode_of(path), 0750); /* made once, not changed afterwards */
	tmpdir_path(tmp, "x/y", path);
	assert_int_equal(mode_of(path), 0755);
	tmpdir_write_text(tmp, "f", "");
	tmpdir_path(tmp, "f", path);
	assert_int_equal(files_mkdir(path, 0750, NULL), ERR_EXISTS);
	tmpdir_path(tmp, "f/sub", path);
	assert_true(files_mkdir(path, 0750, NULL) < 0);
	assert_int_equal(files_mkdir("", 0750, NULL), ERR_LIMIT);
}

static void private_directories(void **state)
{
	struct tmpdir *tmp = *state;
	char path[TMPDIR_PATH_MAX], link[TMPDIR_PATH_MAX];
	struct err err = ERR_INIT;
	tmpdir_path(tmp, "a/state", path);
	assert_int_equal(files_mkdir_private(path, NULL), 0);
	assert_int_equal(mode_of(path), 0700);
	assert_int_equal(files_mkdir_private(path, NULL), 0);
	assert_int_equal(chmod(path, 0711), 0);
	assert_int_equal(files_mkdir_private(path, NULL), 0);
	assert_int_equal(mode_of(path), 0711); /* left as it is */
	assert_int_equal(chmod(path, 0770), 0);
	assert_int_equal(files_mkdir_private(path, &err), ERR_PERM);
	assert_non_null(strstr(err.text, "0770"));
	assert_int_equal(chmod(path, 0702), 0);
	assert_int_equal(files_mkdir_private(path, NULL), ERR_PERM);
	assert_int_equal(chmod(path, 0700), 0);
	tmpdir_path(tmp, "link", link);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(files_mkdir_private(link, NULL), ERR_PERM);
	if (geteuid() != 0) {
		print_message("skipped the rest: only root can give directories away\n");
		return;
	}
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_int_equal(files_mkdir_private(path, &err), ERR_PERM);
	assert_non_null(strstr(err.text, "12345"));
}

/* Takes the lock in another process; its result, or the signal that ended it. */
static int take_elsewhere(const char *path, struct err *err)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();
	if (child == 0) {
		struct files_lock *lock;
		struct err theirs = ERR_INIT;
		(void)files_lock_take(path, &lock, &theirs);
		_exit(write(fds[1], &theirs, sizeof(theirs)) == (ssize_t)sizeof(theirs) ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(read(fds[0], err, sizeof(*err)), sizeof(*err));
	(void)close(fds[0]);
	(void)close(fds[1]);
	return err->code;
}

static void locks(void **state)
{
	struct tmpdir *tmp = *state;
	char path[TMPDIR_PATH_MAX], text[64];
	struct files_lock *lock, *second;
	struct err err = ERR_INIT;
	tmpdir_path(tmp, "lock", path);
	/* a longer text from before must not show through */
	tmpdir_write_text(tmp, "lock", "99999999999999999\n");
	assert_int_equal(files_lock_take(path, &lock, NULL), 0);
	assert_int_equal(files_lock_take(path, &second, NULL), ERR_BUSY);
	assert_int_equal(take_elsewhere(path, &err), ERR_BUSY);
	snprintf(text, sizeof(text), "already running (pid %ld)", (long)getpid());
	assert_non_null(strstr(err.text, text));
	files_lock_free(lock);
	files_lock_free(NULL);
	assert_int_equal(take_elsewhere(path, &err), 0); /* and it ended, holding it */
	assert_int_equal(files_lock_take(path, &lock, NULL), 0);
	files_lock_free(lock);
}

static void secrets(void **state)
{
	struct tmpdir *tmp = *state;
	char path[TMPDIR_PATH_MAX], link[TMPDIR_PATH_MAX];
	struct err err = ERR_INIT;
	struct buf out;
	buf_init(&out, 100);
	tmpdir_path(tmp, "key", path);
	tmpdir_path(tmp, "link", link);
	assert_int_equal(secret_read(path, 10, &out, NULL), ERR_NOTFOUND);
	assert_int_equal(secret_write(path, "k\0y", 3, NULL), 0);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(secret_read(path, 3, &out, NULL), 0);
	assert_int_equal(out.len, 3);
	assert_memory_equal(out.data, "k\0y", 3);
	assert_int_equal(secret_read(path, 2, &out, NULL), ERR_LIMIT);
	assert_int_equal(symlink("key", link), 0);
	assert_int_equal(secret_read(link, 10, &out, NULL), ERR_INVALID);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(secret_read(path, 10, &out, &err), ERR_PERM);
	assert_non_null(strstr(err.text, "chmod 600"));
	assert_int_equal(chmod(path, 0600), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_int_equal(secret_read(path, 10, &out, NULL), ERR_PERM);
	}
	assert_int_equal(secret_read(tmp->path, 10, &out, NULL), ERR_INVALID);
	buf_deinit(&out);
}

static void renames(void **state)
{
	char from[TMPDIR_PATH_MAX], to[TMPDIR_PATH_MAX];

	tmpdir_path(*state, "from", from);
	tmpdir_path(*state, "to", to);
	assert_int_equal(files_rename(from, to, NULL), ERR_NOTFOUND);
	for (int i = 0; i < 2; i++) { /* the second one takes the place of the first */
		char text[2] = {(char)('a' + i)};

		assert_int_equal(files_atomic_write(from, text, 1, 0600, NULL), 0);
		assert_int_equal(files_rename(from, to, NULL), 0);
		assert_false(files_exists(from));
		assert_holds(to, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(atomic_write, setup, teardown),
		cmocka_unit_test_setup_teardown(atomic_write_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(atomic_write_disk_full, setup, teardown),
		cmocka_unit_test_setup_teardown(read_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(directories, setup, teardown),
		cmocka_unit_test_setup_teardown(private_directories, setup, teardown),
		cmocka_unit_test_setup_teardown(renames, setup, teardown),
		cmocka_unit_test_setup_teardown(locks, setup, teardown),
		cmocka_unit_test_setup_teardown(secrets, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
