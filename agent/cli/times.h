/* Times as people read them. JSON has RFC 3339 in UTC instead (lib/base/json.h). */
#ifndef ENVWARDEN_AGENT_CLI_TIMES_H
#define ENVWARDEN_AGENT_CLI_TIMES_H

#include <stdint.h>

#define TIMES_TEXT_MAX 20

/* "2026-11-22 17:17" in local time; "-" for 0 (unknown). */
void times_local(int64_t wall_ms, char out[TIMES_TEXT_MAX]);

/* Its day alone, "2026-11-22". */
void times_day(int64_t wall_ms, char out[TIMES_TEXT_MAX]);

/* From when on something holds: "2026-12-06" for the beginning of a day in UTC, as policies name
 * days; else as times_local. */
void times_from(int64_t wall_ms, char out[TIMES_TEXT_MAX]);

/* "45 s", "12 min", "3 h", "2 d" for a duration in seconds. */
void times_span(int64_t seconds, char out[TIMES_TEXT_MAX]);

#endif
