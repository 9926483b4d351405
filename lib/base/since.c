#include "lib/base/since.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"

#define SPAN_MAX_MS (INT64_MAX / 64) /* sums with any time stay in range */
#define DAY_LENGTH 10		     /* of "2026-11-22" */

static const struct {
	char letter;
	int64_t ms;
} units[] = {{'w', 604800000}, {'d', 86400000}, {'h', 3600000}, {'m', 60000}, {'s', 1000}};

int span_parse(const char *text, int64_t *ms, struct err *err)
{
	size_t n = strlen(text);
	unsigned long long count;

	for (size_t i = 0; n > 1 && i < ARRAY_SIZE(units); i++) {
		if (text[n - 1] != units[i].letter)
			continue;
		if (text_to_u64(text, n - 1, &count) < 0 ||
		    count > (unsigned long long)(SPAN_MAX_MS / units[i].ms))
			break;
		*ms = (int64_t)count * units[i].ms;
		return 0;
	}
	return err_set(err, ERR_USAGE, "\"%s\" is no span of time like 30m, 12h, 7d or 2w", text);
}

static int point_parse(const char *text, int64_t now_ms, int sign, int64_t *out, struct err *err)
{
	char day[CLOCK_TEXT_MAX];
	int64_t span;

	if (span_parse(text, &span, NULL) == 0) {
		*out = now_ms + sign * span;
		return 0;
	}
	(void)snprintf(day, sizeof(day), "%.*sT00:00:00Z", DAY_LENGTH, text);
	if (clock_parse(text, out) == 0 ||
	    (strlen(text) == DAY_LENGTH && clock_parse(day, out) == 0))
		return 0;
	return err_set(err, ERR_USAGE,
		       "\"%s\" is no time: 2d, 3h, 30m, 2026-11-22 or 2026-11-22T17:17:42Z", text);
}

int since_parse(const char *text, int64_t now_ms, int64_t *out, struct err *err)
{
	return point_parse(text, now_ms, -1, out, err);
}

int until_parse(const char *text, int64_t now_ms, int64_t *out, struct err *err)
{
	return point_parse(text, now_ms, 1, out, err);
}
