/*
 * Preloaded into a program, it makes its disk fail. What counts are steps that change regular
 * files (but stdout and stderr): writes, truncations, syncs, and new, moved and removed names.
 *
 *   DISK_DIES=N     the program is killed where it would do the N-th step (from 1)
 *   DISK_FULL_AT=N  from the N-th step on, there is no space
 *   DISK_FULL=FILE  while this file exists, there is no space
 *   DISK_SLOW=FILE  while this file exists, each step takes a tenth of a second
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define SLOW_US 100000

static atomic_long steps;

static long number(const char *name)
{
	const char *text = getenv(name);

	return text != NULL ? strtol(text, NULL, 10) : 0;
}

/* One step. Whether it finds no space. */
static bool step(void)
{
	const char *flag = getenv("DISK_FULL");
	const char *slow = getenv("DISK_SLOW");
	long n = atomic_fetch_add(&steps, 1) + 1;
	long full = number("DISK_FULL_AT");

	if (n == number("DISK_DIES"))
		(void)kill(getpid(), SIGKILL);
	if (slow != NULL && access(slow, F_OK) == 0)
		(void)usleep(SLOW_US);
	return (full > 0 && n >= full) || (flag != NULL && access(flag, F_OK) == 0);
}

/* Whether what is about to be written to it finds no space. */
static bool full(int fd)
{
	int before = errno;
	struct stat st;
	bool none = fd > STDERR_FILENO && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && step();

	errno = none ? ENOSPC : before;
	return none;
}

static void next(const char *name, void *fn, size_t n)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(fn, &found, n);
}

#define WRITES(type, name, params, fd, args)                                                       \
	type name params;                                                                          \
	type name params                                                                           \
	{                                                                                          \
		type(*real) params;                                                                \
                                                                                                   \
		next(#name, &real, sizeof real);                                                   \
		return full(fd) ? -1 : real args;                                                  \
	}

WRITES(ssize_t, write, (int fd, const void *data, size_t n), fd, (fd, data, n))
WRITES(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), fd, (fd, data, n, at))
WRITES(ssize_t, pwrite64, (int fd, const void *data, size_t n, off_t at), fd, (fd, data, n, at))
WRITES(ssize_t, writev, (int fd, const struct iovec *v, int n), fd, (fd, v, n))
WRITES(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at), fd, (fd, v, n, at))
WRITES(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off_t at), fd, (fd, v, n, at))
WRITES(ssize_t, sendfile, (int fd, int in, off_t *at, size_t n), fd, (fd, in, at, n))
WRITES(ssize_t, sendfile64, (int fd, int in, off_t *at, size_t n), fd, (fd, in, at, n))
WRITES(ssize_t, copy_file_range,
       (int in, off_t *in_at, int fd, off_t *at, size_t n, unsigned flags), fd,
       (in, in_at, fd, at, n, flags))
WRITES(int, fallocate, (int fd, int mode, off_t at, off_t n), fd, (fd, mode, at, n))

/* These need no space, but one can be killed before each. */
#define STEPS(name, params, args)                                                                  \
	int name params;                                                                           \
	int name params                                                                            \
	{                                                                                          \
		int(*real) params;                                                                 \
                                                                                                   \
		next(#name, &real, sizeof real);                                                   \
		(void)step();                                                                      \
		return real args;                                                                  \
	}

STEPS(ftruncate, (int fd, off_t n), (fd, n))
STEPS(ftruncate64, (int fd, off_t n), (fd, n))
STEPS(fsync, (int fd), (fd))
STEPS(fdatasync, (int fd), (fd))
STEPS(rename, (const char *from, const char *to), (from, to))
STEPS(link, (const char *from, const char *to), (from, to))
STEPS(unlink, (const char *path), (path))
