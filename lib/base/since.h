/* Points in time as people type them. */
#ifndef ENVWARDEN_LIB_BASE_SINCE_H
#define ENVWARDEN_LIB_BASE_SINCE_H

#include <stdint.h>

#include "lib/base/err.h"

/* "2d", "3h", "30m", "45s", "1w" before now, or RFC 3339. ERR_USAGE. */
int since_parse(const char *text, int64_t now_ms, int64_t *out, struct err *err);

#endif
