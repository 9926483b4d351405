#include "agent/cli/moment.h"

#include <string.h>

#include "lib/base/since.h"
#include "lib/base/text.h"

int moment_parse(const char *text, int64_t now_ms, Envwarden__Local__Moment *out, struct err *err)
{
	unsigned long long seq;
	int64_t time_ms;
	int rc;

	envwarden__local__moment__init(out);
	if (!text)
		return 0;
	if (text_to_u64(text, strlen(text), &seq) == 0) {
		if (seq == 0)
			return err_set(err, ERR_USAGE, "changes are numbered from 1 on");
		out->seq = seq;
		return 0;
	}
	rc = since_parse(text, now_ms, &time_ms, err);
	if (rc == 0)
		out->time_ms = time_ms;
	return rc;
}
