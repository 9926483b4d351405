#include "agent/core/trusted_time.h"

void trusted_time_init(struct trusted_time *t, int64_t stored_ms, int64_t mono_ms)
{
	*t = (struct trusted_time){.base_ms = stored_ms > 0 ? stored_ms : 0, .mono_ms = mono_ms};
}

bool trusted_time_known(const struct trusted_time *t)
{
	return t->base_ms != 0;
}

/* Carried forward; a monotonic clock that went back (it must not) takes nothing away. */
static int64_t carried(const struct trusted_time *t, int64_t mono_ms)
{
	int64_t passed = mono_ms > t->mono_ms ? mono_ms - t->mono_ms : 0;

	return t->base_ms > INT64_MAX - passed ? INT64_MAX : t->base_ms + passed;
}

bool trusted_time_hear(struct trusted_time *t, int64_t told_ms, int64_t mono_ms)
{
	if (told_ms <= 0 || (trusted_time_known(t) && told_ms <= carried(t, mono_ms)))
		return false;
	t->base_ms = told_ms;
	t->mono_ms = mono_ms;
	return true;
}

int64_t trusted_time_now(const struct trusted_time *t, int64_t mono_ms, int64_t wall_ms)
{
	return trusted_time_known(t) ? carried(t, mono_ms) : wall_ms;
}

bool trusted_time_wall_behind(const struct trusted_time *t, int64_t mono_ms, int64_t wall_ms)
{
	return trusted_time_known(t) && wall_ms < carried(t, mono_ms) - TRUSTED_TIME_BEHIND_MS;
}
