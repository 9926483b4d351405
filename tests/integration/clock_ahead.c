/* Preloaded into a program, it shows it a wall clock that is AHEAD_S seconds ahead. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *out)
{
	const char *ahead = getenv("AHEAD_S");
	long rc = syscall(SYS_clock_gettime, clock, out);

	if (rc == 0 && clock == CLOCK_REALTIME && ahead != NULL)
		out->tv_sec += strtoll(ahead, NULL, 10);
	return (int)rc;
}
