/*
 * What the command says of itself to the agent, and nobody waits for: that it changes an
 * environment, that one is active. Whatever goes wrong is passed over.
 */
#ifndef ENVWARDEN_AGENT_CLI_CLAIM_H
#define ENVWARDEN_AGENT_CLI_CLAIM_H

#include <stdbool.h>

#include "agent/cli/target.h"

/* This account changes the environment from now on; over: not any more. */
void claim_repair(const struct target *target, const char *socket, bool over);

/* It is active for this account, which proves, if it is asked to, that it may open it. May take
 * long where the environment is on a file system that hangs. */
void claim_active(const struct target *target, const char *socket);
/* The same in a process of its own. */
void claim_active_later(const char *prefix, const char *socket);

#endif
