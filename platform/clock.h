/*
 * The machine's own clock. Wall time is what the system says (it may be wrong and may jump);
 * monotonic time counts milliseconds since start-up, time asleep included, so that durations and
 * trusted time stay right on laptops. Any thread.
 */
#ifndef ENVWARDEN_PLATFORM_CLOCK_H
#define ENVWARDEN_PLATFORM_CLOCK_H

#include "lib/base/clock.h"

const struct clock *clock_system(void); /* never NULL, lives for ever */

#endif
