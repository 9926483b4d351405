#include "platform/clock.h"

#include <time.h>

#include "lib/base/compiler.h"

static int64_t read_ms(clockid_t id)
{
	struct timespec ts;
	CHECK(clock_gettime(id, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t wall_ms(const struct clock *clock)
{
	(void)clock;
	return read_ms(CLOCK_REALTIME);
}

/* CLOCK_MONOTONIC stands still while a laptop sleeps; exceptions would then last too long. */
static int64_t mono_ms(const struct clock *clock)
{
	(void)clock;
	return read_ms(CLOCK_BOOTTIME);
}

const struct clock *clock_system(void)
{
	static const struct clock system = {.wall_ms = wall_ms, .mono_ms = mono_ms};
	return &system;
}

void clock_sleep_ms(int64_t ms)
{
	struct timespec ts = {.tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000};

	if (ms > 0)
		(void)nanosleep(&ts, NULL);
}

int64_t clock_local_offset_ms(int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm local;

	if (!localtime_r(&seconds, &local))
		return 0;
	return (int64_t)local.tm_gmtoff * 1000;
}
