/*
 * What was said lately of an environment, so that a warning comes once a day and what several
 * layers of the gate notice comes once. Kept in a
 * small file of this account's cache; what can't be read or written is taken as "not shown".
 */
#ifndef ENVWARDEN_AGENT_CLI_SHOWN_H
#define ENVWARDEN_AGENT_CLI_SHOWN_H

#include <stdbool.h>
#include <stdint.h>

/* Whether it was shown in the for_ms (a day at most) before now_ms; if not, it is noted as shown
 * now. what: the case code, or another word for what was said. */
bool shown_lately(const char *prefix, const char *what, int64_t for_ms, int64_t now_ms);

#endif
