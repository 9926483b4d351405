#include "platform/safe_open.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "platform/posix_io.h"

struct safe_dir {
	int fd;
};

#define RACE_RETRIES 8

/* Never blocks on a FIFO, never becomes our terminal, never leaks into a child, follows no link. */
#define OPEN_FILE (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW)
#define OPEN_DIR (O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
#define OPEN_STAT (O_PATH | O_CLOEXEC | O_NOFOLLOW)

/* No empty, "." or ".." part, not absolute. */
static bool relative_ok(const char *relative)
{
	const char *part = relative;
	if (strlen(relative) >= SAFE_PATH_MAX)
		return false;
	for (;;) {
		size_t n = strcspn(part, "/");
		if (n == 0 || (n == 1 && part[0] == '.') ||
		    (n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		if (part[n] == '\0')
			return true;
		part += n + 1;
	}
}

/* The same part by part, for kernels before 5.6. relative has passed relative_ok. */
static int open_stepwise(int dir, const char *relative, int flags)
{
	int at = dir;
	int fd = -1;
	const char *part = relative;
	for (;;) {
		char name[NAME_MAX + 1];
		size_t n = strcspn(part, "/");
		if (n >= sizeof(name)) {
			errno = ENAMETOOLONG;
			fd = -1;
		} else {
			memcpy(name, part, n);
			name[n] = '\0';
			fd = openat(at, name, part[n] ? OPEN_STAT | O_DIRECTORY : flags);
		}
		if (at != dir)
			posix_close(at);
		if (fd < 0 || part[n] == '\0')
			return fd;
		at = fd;
		part += n + 1;
	}
}

/* -1 with ENOSYS when the kernel has no such call, or a filter does not know it. */
static int resolve(int dir, const char *relative, int flags, uint64_t how_resolved)
{
	struct open_how how = {.flags = (unsigned)flags,
			       .resolve = how_resolved | RESOLVE_NO_MAGICLINKS};
	for (int i = 0; i < RACE_RETRIES; i++) {
		long fd = syscall(SYS_openat2, dir, relative, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if (errno ==
		    EPERM) /* what filters of containers answer for calls unknown to them */
			errno = ENOSYS;
		if (errno != EAGAIN && errno != EINTR) /* EAGAIN: something was renamed meanwhile */
			return -1;
	}
	return -1;
}

static int open_beneath(int dir, const char *relative, int flags)
{
	int fd;
	if (!relative_ok(relative)) {
		errno = EINVAL;
		return -1;
	}
	fd = resolve(dir, relative, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	return fd < 0 && errno == ENOSYS ? open_stepwise(dir, relative, flags) : fd;
}

static int open_error(const char *relative, struct err *err)
{
	int e = errno;
	switch (e) {
	case ELOOP:
	case EXDEV:
		return err_set(err, ERR_INVALID, "%s: a link, not followed", relative);
	case ENXIO: /* a socket, or a device nobody serves */
	case ENODEV:
		return err_set(err, ERR_INVALID, "%s: not a regular file", relative);
	case ENOTDIR:
		return err_set(err, ERR_INVALID, "%s: a link or no directory on the way", relative);
	case EINVAL:
		return err_set(err, ERR_INVALID, "%s: not a plain relative path", relative);
	case ENAMETOOLONG:
		return err_set(err, ERR_INVALID, "%.64s...: name too long", relative);
	default:
		return err_errno(err, e, "%s", relative);
	}
}

static int64_t to_ns(const struct timespec *ts)
{
	/* Times far outside of what 64 bits hold are as good as zero; files can carry any. */
	if (ts->tv_sec > INT64_MAX / 1000000000 - 1 || ts->tv_sec < INT64_MIN / 1000000000 + 1)
		return 0;
	return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

static void fill_info(const struct stat *st, struct file_info *out)
{
	*out = (struct file_info){
		.dev = (uint64_t)st->st_dev,
		.ino = (uint64_t)st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = to_ns(&st->st_mtim),
		.ctime_ns = to_ns(&st->st_ctim),
		.uid = (uint32_t)st->st_uid,
		.gid = (uint32_t)st->st_gid,
		.mode = (uint32_t)st->st_mode & 07777,
		.links = st->st_nlink < UINT32_MAX ? (uint32_t)st->st_nlink : UINT32_MAX,
		.is_dir = S_ISDIR(st->st_mode),
		.is_regular = S_ISREG(st->st_mode),
		.is_link = S_ISLNK(st->st_mode),
	};
}

static int dir_new(int fd, struct safe_dir **out, struct err *err)
{
	struct safe_dir *dir = mem_alloc(sizeof(*dir));
	if (!dir) {
		posix_close(fd);
		return err_nomem(err);
	}
	dir->fd = fd;
	*out = dir;
	return 0;
}

int safe_dir_open(const char *path, struct safe_dir **out, struct err *err)
{
	int fd = open(path, OPEN_DIR & ~O_NOFOLLOW);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(err, ERR_INVALID, "%s: not a directory", path);
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	return dir_new(fd, out, err);
}

int safe_dir_open_at(const struct safe_dir *dir, const char *relative, struct safe_dir **out,
		     struct err *err)
{
	int fd = open_beneath(dir->fd, relative, OPEN_DIR);
	if (fd < 0)
		return open_error(relative, err);
	return dir_new(fd, out, err);
}

int safe_dir_open_inside(const struct safe_dir *dir, const char *relative, struct safe_dir **out,
			 struct err *err)
{
	int fd = -1;
	if (!relative_ok(relative))
		errno = EINVAL;
	else
		fd = resolve(dir->fd, relative, OPEN_DIR & ~O_NOFOLLOW, RESOLVE_BENEATH);
	if (fd < 0 && errno == ENOSYS)
		fd = open_stepwise(dir->fd, relative, OPEN_DIR);
	if (fd < 0 && (errno == EXDEV || errno == ELOOP))
		return err_set(err, ERR_INVALID, "%s: a link that leads out of here", relative);
	if (fd < 0)
		return open_error(relative, err);
	return dir_new(fd, out, err);
}

/* "/home/u/envs/a" and "/home/u/src/x" -> "../../src/x"; false when it does not fit. */
static bool path_between(const char *from, const char *to, char out[SAFE_PATH_MAX])
{
	size_t common = 0;
	size_t n = 0;
	for (size_t i = 0; i == 0 || (from[i - 1] != '\0' && from[i] == to[i]); i++)
		if (from[i] == '\0' || from[i] == '/')
			common = i;
	for (const char *p = from + common; *p != '\0'; p++)
		if (*p == '/' && p[1] != '\0') {
			if (n + 4 >= SAFE_PATH_MAX)
				return false;
			memcpy(out + n, "../", 3);
			n += 3;
		}
	to += common;
	to += *to == '/';
	if (n + strlen(to) + 2 > SAFE_PATH_MAX)
		return false;
	memcpy(out + n, to, strlen(to) + 1);
	if (out[0] == '\0')
		memcpy(out, ".", 2);
	return true;
}

int safe_dir_open_near(const struct safe_dir *dir, const char *dir_path, const char *path,
		       struct safe_dir **out, struct err *err)
{
	char relative[SAFE_PATH_MAX];
	int fd;
	if (path[0] != '/' || (path[1] != '\0' && !relative_ok(path + 1)) ||
	    !path_between(dir_path, path, relative))
		return err_set(err, ERR_INVALID, "%.200s: not a plain absolute path", path);
	fd = resolve(dir->fd, relative, OPEN_DIR, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
	if (fd < 0 && errno == ENOSYS)
		return err_set(err, ERR_UNSUPPORTED, "%.200s: not looked at", path);
	if (fd < 0)
		return open_error(path, err);
	return dir_new(fd, out, err);
}

void safe_dir_close(struct safe_dir *dir)
{
	if (!dir)
		return;
	posix_close(dir->fd);
	mem_free(dir);
}

intptr_t safe_dir_handle(const struct safe_dir *dir)
{
	return dir->fd;
}

int safe_dir_info(const struct safe_dir *dir, struct file_info *out, struct err *err)
{
	struct stat st;
	if (fstat(dir->fd, &st) < 0)
		return err_errno(err, errno, "stat of an open directory");
	fill_info(&st, out);
	return 0;
}

int safe_dir_real_path(const struct safe_dir *dir, char *out, size_t cap, struct err *err)
{
	char link[32];
	char path[SAFE_PATH_MAX];
	struct stat st;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir->fd);
	if (fstat(dir->fd, &st) < 0)
		return err_errno(err, errno, "stat of an open directory");
	if (st.st_nlink == 0) /* the kernel would append " (deleted)", which may also be a name */
		return err_set(err, ERR_NOTFOUND, "the directory was deleted");
	ssize_t n = readlink(link, path, sizeof(path));
	if (n < 0)
		return err_errno(err, errno, "path of an open directory");
	if (path[0] != '/') /* outside of what this process sees as the root */
		return err_set(err, ERR_NOTFOUND, "the directory has no path here");
	if ((size_t)n >= sizeof(path) || (size_t)n >= cap)
		return err_set(err, ERR_LIMIT, "path of a directory too long");
	memcpy(out, path, (size_t)n);
	out[n] = '\0';
	return 0;
}

int safe_dir_fs_class(const struct safe_dir *dir, enum fs_class *out, struct err *err)
{
	static const struct {
		uint32_t magic; /* statfs(2), linux/magic.h and the projects' own */
		enum fs_class class;
	} known[] = {
		{0x0000EF53, FS_LOCAL},	  {0x58465342, FS_LOCAL},   {0x9123683E, FS_LOCAL},
		{0x01021994, FS_LOCAL},	  {0x794C7630, FS_LOCAL},   {0x2FC12FC1, FS_LOCAL},
		{0xF2F52010, FS_LOCAL},	  {0x858458F6, FS_LOCAL},   {0x73717368, FS_LOCAL},
		{0x00004D44, FS_LOCAL},	  {0x2011BAB0, FS_LOCAL},   {0x7366746E, FS_LOCAL},
		{0xE0F5E1E2, FS_LOCAL},	  {0xCA451A4E, FS_LOCAL},   {0x00009660, FS_LOCAL},
		{0x15013346, FS_LOCAL},	  {0x3153464A, FS_LOCAL},   {0x52654973, FS_LOCAL},
		{0x00003434, FS_LOCAL},	  {0x24051905, FS_LOCAL},   {0x0000F15F, FS_LOCAL},
		{0x00006969, FS_NETWORK}, {0x0000517B, FS_NETWORK}, {0xFF534D42, FS_NETWORK},
		{0xFE534D42, FS_NETWORK}, {0x73757245, FS_NETWORK}, {0x5346414F, FS_NETWORK},
		{0x6B414653, FS_NETWORK}, {0x00C36400, FS_NETWORK}, {0x01021997, FS_NETWORK},
		{0x0BD00BD0, FS_NETWORK}, {0x47504653, FS_NETWORK}, {0x01161970, FS_NETWORK},
		{0x7461636F, FS_NETWORK}, {0x19830326, FS_NETWORK}, {0xAAD7AAEA, FS_NETWORK},
		{0x786F4256, FS_NETWORK}, {0x65735546, FS_FUSE},
	};
	struct statfs fs;
	if (fstatfs(dir->fd, &fs) < 0)
		return err_errno(err, errno, "file system of an open directory");
	*out = FS_UNKNOWN;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].magic == (uint32_t)fs.f_type)
			*out = known[i].class;
	return 0;
}

int safe_dir_list(const struct safe_dir *dir, size_t max, safe_dir_cb cb, void *ctx,
		  struct err *err)
{
	/* A descriptor of its own, so that the position is its own too. */
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	int rc = 0;
	if (!stream) {
		rc = err_errno(err, errno, "list a directory");
		posix_close(fd);
		return rc;
	}
	for (size_t n = 0; rc == 0;) {
		errno = 0;
		const struct dirent *entry = readdir(stream);
		if (!entry) {
			if (errno != 0)
				rc = err_errno(err, errno, "list a directory");
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (n++ >= max)
			rc = err_set(err, ERR_LIMIT, "more than %zu entries in a directory", max);
		else
			rc = cb(ctx, entry->d_name);
	}
	(void)closedir(stream);
	return rc;
}

int safe_stat(const struct safe_dir *dir, const char *relative, struct file_info *out,
	      struct err *err)
{
	struct stat st;
	int rc;
	if (relative_ok(relative) && !strchr(relative, '/')) { /* one part: one call does */
		if (fstatat(dir->fd, relative, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return open_error(relative, err);
		fill_info(&st, out);
		return 0;
	}
	int fd = open_beneath(dir->fd, relative, OPEN_STAT);
	if (fd < 0)
		return open_error(relative, err);
	rc = fstat(fd, &st) < 0 ? err_errno(err, errno, "%s", relative) : 0;
	if (rc == 0)
		fill_info(&st, out);
	posix_close(fd);
	return rc;
}

bool safe_has_acl(const struct safe_dir *dir, const char *relative)
{
	char link[32];
	int fd = relative ? open_beneath(dir->fd, relative, OPEN_STAT) : dir->fd;
	ssize_t n;
	if (fd < 0)
		return false;
	/* By this path, since a descriptor that only names a file does not do for attributes. */
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = getxattr(link, "system.posix_acl_access", NULL, 0);
	if (fd != dir->fd)
		posix_close(fd);
	return n > 0;
}

static int check_file(const char *relative, const struct stat *st, uint32_t owner, struct err *err)
{
	if (!S_ISREG(st->st_mode))
		return err_set(err, ERR_INVALID, "%s: not a regular file", relative);
	if (owner != SAFE_OWNER_ANY && st->st_uid != 0 && st->st_uid != owner)
		return err_set(err, ERR_PERM, "%s: belongs to uid %lu, a stranger here", relative,
			       (unsigned long)st->st_uid);
	return 0;
}

int safe_file_open(const struct safe_dir *dir, const char *relative, uint32_t owner,
		   struct safe_file *out, struct file_info *info, struct err *err)
{
	struct stat st;
	int fd = open_beneath(dir->fd, relative, OPEN_FILE);
	if (fd < 0)
		return open_error(relative, err);
	int rc = fstat(fd, &st) < 0 ? err_errno(err, errno, "%s", relative)
				    : check_file(relative, &st, owner, err);
	if (rc < 0) {
		posix_close(fd);
		return rc;
	}
	out->handle = fd;
	if (info)
		fill_info(&st, info);
	return 0;
}

int safe_file_read(struct safe_file *file, void *data, size_t cap, size_t *n, struct err *err)
{
	ssize_t got;
	do {
		got = read((int)file->handle, data, cap);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_errno(err, errno, "read");
	*n = (size_t)got;
	return 0;
}

void safe_file_close(struct safe_file *file)
{
	posix_close((int)file->handle);
	*file = SAFE_FILE_NONE;
}

int safe_read_whole(const struct safe_dir *dir, const char *relative, uint32_t owner, size_t max,
		    struct buf *out, struct file_info *info, struct err *err)
{
	struct safe_file file;
	struct file_info found;
	int rc = safe_file_open(dir, relative, owner, &file, &found, err);
	if (rc < 0)
		return rc;
	if (found.size > max)
		rc = err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", relative, max);
	else
		rc = posix_read_rest((int)file.handle, (size_t)found.size, max, out, relative, err);
	safe_file_close(&file);
	if (rc == 0 && info)
		*info = found;
	return rc;
}
