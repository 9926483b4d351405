/*
 * Trusted time (docs/formats.md 4): the newest time somebody trustworthy has told (the `created` of
 * verified state, the server's clock in Welcome), carried forward by the monotonic clock. The local
 * wall clock never raises it. Expiries, exceptions and certificates go by it. Pure.
 *
 * Until something trustworthy was heard there is no better than the wall clock; trusted_time_known
 * tells which it is.
 */
#ifndef ENVWARDEN_AGENT_CORE_TRUSTED_TIME_H
#define ENVWARDEN_AGENT_CORE_TRUSTED_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* A wall clock this far behind trusted time is reported. */
#define TRUSTED_TIME_BEHIND_MS (INT64_C(5) * 60 * 1000)

struct trusted_time {
	int64_t base_ms; /* 0 = nothing heard yet */
	int64_t mono_ms; /* monotonic clock when base_ms was right */
};

/* From what was stored (0 = nothing); the time the machine was off is not counted. */
void trusted_time_init(struct trusted_time *t, int64_t stored_ms, int64_t mono_ms);

/* Takes a time told by a verified source; true when that raised trusted time. */
bool trusted_time_hear(struct trusted_time *t, int64_t told_ms, int64_t mono_ms);

bool trusted_time_known(const struct trusted_time *t);

/* Now; wall_ms when nothing was heard yet. */
int64_t trusted_time_now(const struct trusted_time *t, int64_t mono_ms, int64_t wall_ms);

/* The wall clock is behind by more than the tolerance: to be reported, and never followed. */
bool trusted_time_wall_behind(const struct trusted_time *t, int64_t mono_ms, int64_t wall_ms);

#endif
