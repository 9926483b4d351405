/*
 * Preloaded into a program, it shows it a wall clock that is AHEAD_S seconds ahead; or as many as
 * the file AHEAD_FILE says just now, and a monotonic clock that is ahead by those in MONO_FILE.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long of_file(const char *name)
{
	const char *path = getenv(name);
	char text[32] = "";
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = '\0';
	(void)close(fd);
	return strtoll(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	const char *ahead = getenv("AHEAD_S");
	long rc = syscall(SYS_clock_gettime, clock, out);

	if (rc != 0)
		return (int)rc;
	if (clock == CLOCK_REALTIME)
		out->tv_sec += ahead != NULL ? strtoll(ahead, NULL, 10) : of_file("AHEAD_FILE");
	else if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ||
		 clock == CLOCK_BOOTTIME)
		out->tv_sec += of_file("MONO_FILE");
	return 0;
}
