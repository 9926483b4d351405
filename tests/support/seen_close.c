/*
 * libuv closes descriptors by a bare system call, which the thread sanitizer does not see: it would
 * take the next file that gets the number, in whatever thread, for the one that had it before. In
 * its builds syscall() is wrapped (ld --wrap), so that closing is closing.
 */
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARGUMENTS 6 /* of any system call */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
	long a[ARGUMENTS];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < ARGUMENTS; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_close)
		return close((int)a[0]);
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
