/*
 * Which warnings were shown lately: each is shown once a day per environment and case. Kept in a
 * small file of this account's cache; what can't be read or written is taken as "not shown".
 */
#ifndef ENVWARDEN_AGENT_CLI_SHOWN_H
#define ENVWARDEN_AGENT_CLI_SHOWN_H

#include <stdbool.h>
#include <stdint.h>

/* Whether it was shown within a day before now_ms; if not, it is noted as shown now. */
bool shown_lately(const char *prefix, const char *case_code, int64_t now_ms);

#endif
