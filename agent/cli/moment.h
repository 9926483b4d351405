/* A moment as people type it: a time (lib/base/since.h), or the number of a change. */
#ifndef ENVWARDEN_AGENT_CLI_MOMENT_H
#define ENVWARDEN_AGENT_CLI_MOMENT_H

#include "lib/base/err.h"
#include "proto/local.pb-c.h"

#define MOMENT_HELP "2d ago, a time like 2026-11-22T17:17:42Z, or a seq"

/* NULL = now. ERR_USAGE. */
int moment_parse(const char *text, int64_t now_ms, Envwarden__Local__Moment *out, struct err *err);

#endif
