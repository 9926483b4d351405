#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "platform/fd_pass.h"
#include "platform/posix_io.h"

#define WANTED (STATX_TYPE | STATX_INO | STATX_UID)

void fd_pass_close(int fd)
{
	posix_close(fd);
}

/* Opened with O_PATH nothing was asked of the directory itself, so that proves nothing. */
static int check_opened_for_reading(int fd, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_errno(err, errno, "look at a descriptor");
	if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY)
		return err_set(err, ERR_INVALID, "a descriptor that was not opened for reading");
	return 0;
}

/* Where it is, as the system keeps it: reading this link asks no file system. */
static int find_path(int fd, char *path, size_t cap, struct err *err)
{
	static const char deleted[] = " (deleted)";
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, cap);
	if (n < 0)
		return err_errno(err, errno, "look where a descriptor leads");
	if ((size_t)n >= cap)
		return err_set(err, ERR_LIMIT, "a path that is too long");
	path[n] = '\0';
	/* A directory may have such a name; refusing that one too is safe. */
	if (path[0] != '/' || ((size_t)n >= sizeof deleted - 1 &&
			       strcmp(path + n - sizeof deleted + 1, deleted) == 0))
		return err_set(err, ERR_INVALID, "a descriptor of a directory that has no path");
	return 0;
}

int fd_pass_inspect(int fd, struct file_info *out, char *path, size_t cap, struct err *err)
{
	struct statx st;
	int rc = check_opened_for_reading(fd, err);

	if (rc < 0)
		return rc;
	memset(&st, 0, sizeof st);
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, WANTED, &st) < 0)
		return err_errno(err, errno, "look at a descriptor");
	if ((st.stx_mask & WANTED) != WANTED || !S_ISDIR(st.stx_mode))
		return err_set(err, ERR_INVALID, "a descriptor that is no directory's");
	rc = find_path(fd, path, cap, err);
	if (rc < 0)
		return rc;
	*out = (struct file_info){.dev = makedev(st.stx_dev_major, st.stx_dev_minor),
				  .ino = st.stx_ino,
				  .uid = st.stx_uid,
				  .is_dir = true};
	return 0;
}
