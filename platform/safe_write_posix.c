#include "platform/safe_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/posix_io.h"

#define NAME_ROOM 256 /* bytes of a name, with its end */
#define TRIES 16      /* names that others may have left, or set, in our way */

static int check_name(const char *name, struct err *err)
{
	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(err, ERR_INVALID, "%s: not a plain name", name);
	return 0;
}

static int sync_dir(int dir, struct err *err)
{
	/* Some file systems can't sync a directory and say EINVAL: nothing to be done about it. */
	return fsync(dir) < 0 && errno != EINVAL ? err_errno(err, errno, "sync a directory") : 0;
}

static int fill(int fd, const char *name, const void *data, size_t n, unsigned mode,
		struct err *err)
{
	int rc = posix_write_all(fd, data, n, name, err);
	if (rc == 0 && fchmod(fd, (mode_t)mode) < 0)
		rc = err_errno(err, errno, "set mode of %s", name);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_errno(err, errno, "sync %s", name);
	return rc;
}

/* A new file of a name of its own beside the one that is to be. */
static int make_temp(int at, const char *name, char temp[NAME_ROOM], int *out, struct err *err)
{
	for (int i = 0; i < TRIES; i++) {
		int n = snprintf(temp, NAME_ROOM, "%s.%ld.%d", name, (long)getpid(), i);
		if (n < 0 || n >= NAME_ROOM)
			return err_set(err, ERR_LIMIT, "%.64s...: name too long", name);
		*out = openat(at, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (*out >= 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return err_errno(err, errno, "make a file beside %s", name);
}

int safe_write_file(const struct safe_dir *dir, const char *name, const void *data, size_t n,
		    unsigned mode, struct err *err)
{
	int at = (int)safe_dir_handle(dir);
	char temp[NAME_ROOM];
	int fd = -1;
	int rc = check_name(name, err);
	if (rc == 0)
		rc = make_temp(at, name, temp, &fd, err);
	if (rc < 0)
		return rc;
	rc = fill(fd, name, data, n, mode, err);
	if (close(fd) < 0 && rc == 0)
		rc = err_errno(err, errno, "close %s", name);
	if (rc == 0 && renameat(at, temp, at, name) < 0)
		rc = errno == EISDIR ? err_set(err, ERR_EXISTS, "%s: is a directory", name)
				     : err_errno(err, errno, "replace %s", name);
	if (rc < 0) {
		(void)unlinkat(at, temp, 0);
		return rc;
	}
	return sync_dir(at, err);
}

int safe_write_rename(const struct safe_dir *dir, const char *from, const char *to, struct err *err)
{
	int at = (int)safe_dir_handle(dir);
	int rc = check_name(from, err);
	if (rc == 0)
		rc = check_name(to, err);
	if (rc < 0)
		return rc;
	if (renameat(at, from, at, to) == 0)
		return sync_dir(at, err);
	if (errno == EISDIR || errno == ENOTDIR || errno == ENOTEMPTY)
		return err_set(err, ERR_EXISTS, "%s: in the way of %s", to, from);
	return err_errno(err, errno, "rename %s", from);
}

/* The umask may have taken some of the mode; what the file system adds stays. */
static int finish_dir(int at, const char *name, unsigned mode, struct err *err)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int rc = 0;
	if (fd < 0 || fstat(fd, &st) < 0 ||
	    ((st.st_mode & mode) != mode && fchmod(fd, (st.st_mode & 07777) | (mode_t)mode) < 0))
		rc = err_errno(err, errno, "set mode of %s", name);
	posix_close(fd);
	return rc < 0 ? rc : sync_dir(at, err);
}

int safe_write_dir(const struct safe_dir *dir, const char *name, unsigned mode, struct err *err)
{
	int at = (int)safe_dir_handle(dir);
	struct stat st;
	int rc = check_name(name, err);
	if (rc < 0)
		return rc;
	if (mkdirat(at, name, (mode_t)mode) == 0)
		return finish_dir(at, name, mode, err);
	int e = errno;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || e != EEXIST)
		return err_errno(err, e, "make directory %s", name);
	return S_ISDIR(st.st_mode) ? 0 : err_set(err, ERR_EXISTS, "%s: not a directory", name);
}

int safe_write_remove(const struct safe_dir *dir, const char *name, struct err *err)
{
	int at = (int)safe_dir_handle(dir);
	int rc = check_name(name, err);
	if (rc < 0)
		return rc;
	if (unlinkat(at, name, 0) < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "remove %s", name);
	return sync_dir(at, err);
}

int safe_write_remove_dir(const struct safe_dir *dir, const char *name, struct err *err)
{
	int at = (int)safe_dir_handle(dir);
	int rc = check_name(name, err);
	if (rc < 0)
		return rc;
	if (unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTEMPTY &&
	    errno != EEXIST)
		return err_errno(err, errno, "remove directory %s", name);
	return 0;
}
