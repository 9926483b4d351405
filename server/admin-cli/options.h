/* The command line: "COMMAND [WORD...]" and options, which may stand anywhere before "--". */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_OPTIONS_H
#define ENVWARDEN_SERVER_ADMIN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

#define OPTIONS_WORDS_MAX 1024

enum option {
	OPT_SERVER, /* the first four are for every command */
	OPT_CA,
	OPT_TOKEN_FILE,
	OPT_JSON,
	OPT_HELP,
	OPT_USER,
	OPT_PASSWORD_FILE,
	OPT_QUERY,
	OPT_MACHINE,
	OPT_PLATFORM,
	OPT_STATUS,
	OPT_LIMIT,
	OPT_MESSAGE,
	OPT_UNTIL,
	OPT_NO_WAIT,
	OPT_SINCE,
	OPT_FOLLOW,
	OPT_USES,
	OPT_EXPIRES,
	OPT_LABELS,
	OPT_EPHEMERAL,
	OPT_TITLE,
	OPT_NOTE,
	OPT_YES,
	OPT_RULE,
	OPT_REASON,
	OPT_TICKET,
	OPT_PACKAGE,
	OPT_FOR,
	OPT_AND_STATUS,
	OPT_ALL,
	OPT_OUT,
	OPT_VALID,
	OPT_FORCE,
	OPT_N
};

struct options {
	const char *values[OPT_N]; /* NULL = not given; "" for those without a value */
	const char *words[OPTIONS_WORDS_MAX];
	size_t n_words;
};

/* ERR_USAGE. Borrows the texts. */
int options_parse(int argc, const char *const *argv, struct options *out, struct err *err);
const char *option_name(enum option option); /* "--server" */

/* A number of at least 1; `fallback` when not given. ERR_USAGE. */
int options_number(const struct options *o, enum option option, uint64_t fallback, uint64_t *out,
		   struct err *err);

#endif
