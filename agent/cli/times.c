#include "agent/cli/times.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "platform/clock.h"

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
	out[10] = ' ';
	out[MINUTE_LENGTH] = '\0';
}

static const struct {
	char letter;
	const char *name;
	int64_t seconds;
} units[] = {
	{'w', NULL, 604800}, {'d', "d", 86400}, {'h', "h", 3600}, {'m', "min", 60}, {'s', "s", 1}};

void times_span(int64_t seconds, char out[TIMES_TEXT_MAX])
{
	size_t i = 1; /* days and smaller: "9 d" says more than "1 w" */

	while (units[i].seconds > 1 && seconds < 2 * units[i].seconds)
		i++;
	snprintf(out, TIMES_TEXT_MAX, "%" PRId64 " %s", seconds / units[i].seconds, units[i].name);
}

int times_since(const char *text, int64_t now_ms, int64_t *out, struct err *err)
{
	size_t n = strlen(text);
	long long count;

	if (clock_parse(text, out) == 0)
		return 0;
	for (size_t i = 0; n > 1 && i < ARRAY_SIZE(units); i++) {
		if (text[n - 1] != units[i].letter)
			continue;
		if (text_to_i64(text, n - 1, &count) < 0 || count < 0 ||
		    count > INT64_MAX / 1000 / units[i].seconds)
			break;
		*out = now_ms - count * units[i].seconds * 1000;
		return 0;
	}
	return err_set(err, ERR_USAGE,
		       "\"%s\" is no time: 2d, 3h, 30m, or like 2026-11-22T17:17:42Z", text);
}
