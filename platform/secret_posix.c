#include "platform/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/files.h"
#include "platform/posix_io.h"

int secret_write(const char *path, const void *data, size_t n, struct err *err)
{
	return files_atomic_write(path, data, n, 0600, err);
}

static int check(const char *path, const struct stat *st, size_t max, struct err *err)
{
	if (!S_ISREG(st->st_mode))
		return err_set(err, ERR_INVALID, "%s: not a regular file", path);
	if (st->st_uid != geteuid())
		return err_set(err, ERR_PERM, "%s: belongs to uid %lu, must belong to uid %lu",
			       path, (unsigned long)st->st_uid, (unsigned long)geteuid());
	if (st->st_mode & 077)
		return err_set(err, ERR_PERM, "%s: others may use it (mode %04o): chmod 600", path,
			       (unsigned)(st->st_mode & 07777));
	if ((uintmax_t)st->st_size > max)
		return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path, max);
	return 0;
}

int secret_read(const char *path, size_t max, struct buf *out, struct err *err)
{
	struct stat st;
	int rc;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	if (fd < 0 && errno == ELOOP)
		return err_set(err, ERR_INVALID, "%s: is a link", path);
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	if (fstat(fd, &st) < 0)
		rc = err_errno(err, errno, "%s", path);
	else
		rc = check(path, &st, max, err);
	if (rc == 0)
		rc = posix_read_rest(fd, (size_t)st.st_size, max, out, path, err);
	posix_close(fd);
	return rc;
}
