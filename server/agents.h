/* The threads that serve agents: each a loop with a hub in it. */
#ifndef ENVWARDEN_SERVER_AGENTS_H
#define ENVWARDEN_SERVER_AGENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "server/session/hub.h"

struct agents;

/* `config` without its loop. *port is the one listened on. Any thread. */
int agents_start(const struct hub_config *config, struct agents **out, uint16_t *port,
		 struct err *err);

/* Whether the machine has a session now. Any thread, until agents_stop. */
bool agents_connected(const struct agents *agents, const struct uuid *machine);

/* Ends the sessions and the thread, and frees it; the pool must still run. Blocks. NULL is fine. */
void agents_stop(struct agents *agents);

#endif
