#include "platform/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/paths.h"
#include "platform/posix_io.h"

static int sync_dir_of(const char *path, struct err *err)
{
	char dir[PATHS_MAX];
	if (!strchr(path, '/')) {
		dir[0] = '.';
		dir[1] = '\0';
	} else {
		int rc = paths_parent(dir, path, err);
		if (rc < 0)
			return rc;
	}
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "%s", dir);
	/* Some file systems can't sync a directory and say EINVAL: nothing to be done about it. */
	int rc = fsync(fd) < 0 && errno != EINVAL ? err_errno(err, errno, "sync %s", dir) : 0;
	posix_close(fd);
	return rc;
}

static int write_new(int fd, const char *path, const void *data, size_t n, unsigned mode,
		     struct err *err)
{
	if (fchmod(fd, (mode_t)mode) < 0)
		return err_errno(err, errno, "set mode of %s", path);
	int rc = posix_write_all(fd, data, n, path, err);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_errno(err, errno, "sync %s", path);
	return rc;
}

int files_atomic_write(const char *path, const void *data, size_t n, unsigned mode, struct err *err)
{
	char temp[PATHS_MAX];
	int fd = -1;
	int len = snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	if (len < 0 || (size_t)len >= sizeof(temp))
		return err_set(err, ERR_LIMIT, "path too long: %.64s...", path);

	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "make a file beside %s", path);
	int rc = write_new(fd, path, data, n, mode, err);
	if (close(fd) < 0 && rc == 0)
		rc = err_errno(err, errno, "close %s", path);
	if (rc == 0 && rename(temp, path) < 0)
		rc = err_errno(err, errno, "replace %s", path);
	if (rc < 0) {
		(void)unlink(temp);
		return rc;
	}
	return sync_dir_of(path, err);
}

int files_rename(const char *from, const char *to, struct err *err)
{
	if (rename(from, to) < 0)
		return err_errno(err, errno, "rename %s", from);
	return sync_dir_of(to, err);
}

int files_read_whole(const char *path, size_t max, struct buf *out, struct err *err)
{
	struct stat st;
	int rc;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	if (fstat(fd, &st) < 0)
		rc = err_errno(err, errno, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, ERR_INVALID, "%s: not a regular file", path);
	else if ((uintmax_t)st.st_size > max)
		rc = err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path, max);
	else
		rc = posix_read_rest(fd, (size_t)st.st_size, max, out, path, err);
	posix_close(fd);
	return rc;
}

/* mkdir whatever the umask; 0 also when a directory (or a link to one) is there. */
static int make_one(const char *path, unsigned mode, struct err *err)
{
	struct stat st;
	if (mkdir(path, (mode_t)mode) == 0)
		return chmod(path, (mode_t)mode) < 0 ? err_errno(err, errno, "%s", path) : 0;
	int e = errno;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0; /* also in a place where mkdir answers EROFS or EACCES first */
	if (e == EEXIST)
		return err_set(err, ERR_EXISTS, "%s: exists and is not a directory", path);
	return err_errno(err, e, "make directory %s", path);
}

int files_mkdir(const char *path, unsigned mode, struct err *err)
{
	char part[PATHS_MAX];
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof(part))
		return err_set(err, ERR_LIMIT, "no directory can have this path: %.64s", path);
	memcpy(part, path, n + 1);
	while (n > 1 && part[n - 1] == '/')
		part[--n] = '\0';
	for (size_t i = 1; i < n; i++) {
		if (part[i] != '/' || part[i - 1] == '/')
			continue;
		part[i] = '\0';
		int rc = make_one(part, 0755, err);
		if (rc < 0)
			return rc;
		part[i] = '/';
	}
	return make_one(part, mode, err);
}

int files_mkdir_private(const char *path, struct err *err)
{
	struct stat st;
	int rc = files_mkdir(path, 0700, err);
	if (rc < 0)
		return rc;
	if (lstat(path, &st) < 0)
		return err_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_PERM, "%s: is a link, must be a directory itself", path);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_PERM, "%s: belongs to uid %lu, must belong to uid %lu",
			       path, (unsigned long)st.st_uid, (unsigned long)geteuid());
	if (st.st_mode & 022)
		return err_set(err, ERR_PERM, "%s: others may write to it (mode %04o): chmod go-w",
			       path, (unsigned)(st.st_mode & 07777));
	return 0;
}

int files_remove(const char *path, struct err *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, errno, "remove %s", path);
	return 0;
}

struct files_lock {
	int fd;
};

static int lock_busy(int fd, const char *path, struct err *err)
{
	char text[24];
	unsigned long long pid;
	ssize_t n = pread(fd, text, sizeof(text), 0);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n <= 0 || text_to_u64(text, (size_t)n, &pid) < 0)
		return err_set(err, ERR_BUSY, "%s: already running", path);
	return err_set(err, ERR_BUSY, "%s: already running (pid %llu)", path, pid);
}

/* A full disk keeps nobody from running: then the lock does not tell whose it is. */
static int lock_fill(int fd, const char *path, struct err *err)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRIdMAX "\n", (intmax_t)getpid());
	if (ftruncate(fd, 0) < 0)
		return err_errno(err, errno, "%s", path);
	(void)posix_write_all(fd, text, (size_t)n, path, NULL);
	return 0;
}

int files_lock_take(const char *path, struct files_lock **out, struct err *err)
{
	struct files_lock *lock = mem_alloc(sizeof(*lock));
	int rc = 0;
	if (!lock)
		return err_nomem(err);
	lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock->fd < 0)
		rc = err_errno(err, errno, "%s", path);
	else if (flock(lock->fd, LOCK_EX | LOCK_NB) < 0)
		rc = errno == EWOULDBLOCK ? lock_busy(lock->fd, path, err)
					  : err_errno(err, errno, "lock %s", path);
	else
		rc = lock_fill(lock->fd, path, err);
	if (rc == 0) {
		*out = lock;
		lock = NULL;
	}
	files_lock_free(lock);
	return rc;
}

void files_lock_free(struct files_lock *lock)
{
	if (!lock)
		return;
	posix_close(lock->fd);
	mem_free(lock);
}

bool files_may_write(const char *path)
{
	struct stat st;

	return access(path, W_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool files_exists(const char *path)
{
	return access(path, F_OK) == 0;
}
