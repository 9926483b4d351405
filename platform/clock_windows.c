#include "platform/clock.h"

#include <windows.h>

/* 100 ns steps between 1601 and 1970 */
#define UNIX_EPOCH 116444736000000000

static int64_t wall_ms(const struct clock *clock)
{
	FILETIME now;
	(void)clock;
	GetSystemTimePreciseAsFileTime(&now);
	int64_t steps = (int64_t)now.dwHighDateTime << 32 | (int64_t)now.dwLowDateTime;
	return (steps - UNIX_EPOCH) / 10000;
}

static int64_t mono_ms(const struct clock *clock)
{
	(void)clock;
	return (int64_t)GetTickCount64(); /* time asleep included */
}

const struct clock *clock_system(void)
{
	static const struct clock system = {.wall_ms = wall_ms, .mono_ms = mono_ms};
	return &system;
}

void clock_sleep_ms(int64_t ms)
{
	if (ms > 0)
		Sleep((DWORD)ms);
}

static int64_t steps_of(const FILETIME *time)
{
	return (int64_t)time->dwHighDateTime << 32 | (int64_t)time->dwLowDateTime;
}

int64_t clock_local_offset_ms(int64_t wall_ms)
{
	int64_t steps = wall_ms * 10000 + UNIX_EPOCH;
	FILETIME utc = {.dwLowDateTime = (DWORD)steps, .dwHighDateTime = (DWORD)(steps >> 32)};
	SYSTEMTIME utc_parts;
	SYSTEMTIME local_parts;
	FILETIME local;

	if (!FileTimeToSystemTime(&utc, &utc_parts) ||
	    !SystemTimeToTzSpecificLocalTime(NULL, &utc_parts, &local_parts) ||
	    !SystemTimeToFileTime(&local_parts, &local))
		return 0;
	return (steps_of(&local) - steps) / 10000;
}
