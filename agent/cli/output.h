/* Where the commands' words go: talk to stderr, data to stdout. */
#ifndef ENVWARDEN_AGENT_CLI_OUTPUT_H
#define ENVWARDEN_AGENT_CLI_OUTPUT_H

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

#define OUTPUT_MAX ((size_t)256 * 1024 * 1024) /* bytes of one document */

/* One line on stderr behind "envwarden: "; whatever is in it is made harmless for a terminal. */
void output_say(const char *fmt, ...) EW_PRINTF(1, 2);

/* Says what went wrong with the command line and where to look; EXIT_USAGE. */
int output_usage(const char *command, const struct err *err);

/* Writes to stdout (now) and empties the buffer. 0, or ERR_NOMEM, ERR_LIMIT, ERR_IO. */
int output_write(struct buf *text, struct err *err);

/* The beginning of a document: "{" and its schema, e.g. "envwarden.list/1". */
void output_document(struct json_writer *w, struct buf *out, const char *schema);
/* Its end: "}" and a newline, written. */
int output_end_document(struct json_writer *w, struct err *err);

#endif
