/*
 * Time. Wall time is UTC milliseconds since 1970; durations come from the monotonic clock. Code
 * takes a `struct clock` so that tests can turn it; platform/clock.h has the real one.
 */
#ifndef ENVWARDEN_LIB_BASE_CLOCK_H
#define ENVWARDEN_LIB_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct clock {
	int64_t (*wall_ms)(const struct clock *clock);
	int64_t (*mono_ms)(const struct clock *clock);
};

/* A clock that stands where it was put (tests, and replays). */
struct clock_fixed {
	struct clock clock; /* first */
	int64_t wall_ms;
	int64_t mono_ms;
};
void clock_fixed_init(struct clock_fixed *c, int64_t wall_ms);
void clock_fixed_advance(struct clock_fixed *c, int64_t ms);

#define CLOCK_TEXT_MAX 32

/* RFC 3339 with milliseconds, "2026-11-22T17:17:42.123Z"; years 0000 to 9999, else clamped. */
void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_MAX]);

/* The same form back, fraction optional, offset "Z" or +hh:mm; ERR_INVALID. */
int clock_parse(const char *text, int64_t *wall_ms);

#endif
