/* What the API refuses, in the words of the command line. */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_REFUSAL_H
#define ENVWARDEN_SERVER_ADMIN_CLI_REFUSAL_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "server/admin-cli/options.h"

/*
 * "body: minutes: ..." becomes "--for 9000d: ..." where that option was given; all else stays.
 * True: it is about an option.
 */
bool refusal_text(const struct options *options, const char *detail, struct buf *out);

#endif
