/* Spans and points in time as people type them. All ERR_USAGE, with a line that says the forms. */
#ifndef ENVWARDEN_LIB_BASE_SINCE_H
#define ENVWARDEN_LIB_BASE_SINCE_H

#include <stdint.h>

#include "lib/base/err.h"

/* "45s", "30m", "3h", "2d", "1w": a whole number from 0 on; at most a few million years. */
int span_parse(const char *text, int64_t *ms, struct err *err);

/* A span before now, RFC 3339, or the beginning of a day (UTC): "2026-11-22". */
int since_parse(const char *text, int64_t now_ms, int64_t *out, struct err *err);

/* The same, a span being after now. */
int until_parse(const char *text, int64_t now_ms, int64_t *out, struct err *err);

#endif
