/* "--name value" and "--flag" arguments of a command, by a table. Pure. */
#ifndef ENVWARDEN_SERVER_OPTIONS_H
#define ENVWARDEN_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

#define OPTION_VALUES_MAX 16

/* What an option that may be repeated collects. */
struct option_values {
	const char *items[OPTION_VALUES_MAX];
	size_t n;
};

/* Where a value goes: exactly one of the three is set. Values are borrowed from argv. */
struct option {
	const char *name; /* "--state-dir" */
	const char **text;
	bool *flag;
	struct option_values *list;
	bool required;
};

/* "--name=value" is fine too. ERR_USAGE: unknown, missing, twice, too many; err names the option.
 */
int options_parse(const struct option *options, size_t n, int argc, char **argv, struct err *err);

#endif
