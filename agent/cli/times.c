#include "agent/cli/times.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "platform/clock.h"

#define DAY_LENGTH 10
#define DAY_MS INT64_C(86400000)
#define MINUTE_LENGTH 16 /* of "2026-11-22T17:17" */

void times_local(int64_t wall_ms, char out[TIMES_TEXT_MAX])
{
	char text[CLOCK_TEXT_MAX];

	if (wall_ms == 0) {
		memcpy(out, "-", 2);
		return;
	}
	clock_format(wall_ms + clock_local_offset_ms(wall_ms), text);
	memcpy(out, text, MINUTE_LENGTH);
	out[DAY_LENGTH] = ' ';
	out[MINUTE_LENGTH] = '\0';
}

void times_day(int64_t wall_ms, char out[TIMES_TEXT_MAX])
{
	times_local(wall_ms, out);
	if (wall_ms != 0)
		out[DAY_LENGTH] = '\0';
}

void times_from(int64_t wall_ms, char out[TIMES_TEXT_MAX])
{
	char text[CLOCK_TEXT_MAX];

	if (wall_ms == 0 || wall_ms % DAY_MS != 0) {
		times_local(wall_ms, out);
		return;
	}
	clock_format(wall_ms, text);
	memcpy(out, text, DAY_LENGTH);
	out[DAY_LENGTH] = '\0';
}

static const struct {
	const char *name;
	int64_t seconds;
} units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};

void times_span(int64_t seconds, char out[TIMES_TEXT_MAX])
{
	size_t i = 0; /* days and smaller: "9 d" says more than "1 w" */

	while (units[i].seconds > 1 && seconds < 2 * units[i].seconds)
		i++;
	snprintf(out, TIMES_TEXT_MAX, "%" PRId64 " %s", seconds / units[i].seconds, units[i].name);
}
