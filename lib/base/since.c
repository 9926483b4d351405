#include "lib/base/since.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"

static const struct {
	char letter;
	int64_t seconds;
} units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

int since_parse(const char *text, int64_t now_ms, int64_t *out, struct err *err)
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
