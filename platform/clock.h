/*
 * The machine's own clock. Wall time is what the system says (it may be wrong and may jump);
 * monotonic time counts milliseconds since start-up, time asleep included, so that durations and
 * trusted time stay right on laptops. Any thread.
 */
#ifndef ENVWARDEN_PLATFORM_CLOCK_H
#define ENVWARDEN_PLATFORM_CLOCK_H

#include "lib/base/clock.h"

const struct clock *clock_system(void); /* never NULL, lives for ever */

/* How far local time is ahead of UTC at a moment of wall time; 0 if it can't be told. */
int64_t clock_local_offset_ms(int64_t wall_ms);

void clock_sleep_ms(int64_t ms); /* at least that long, unless a signal comes */

#endif
