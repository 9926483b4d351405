/* Whose word the command takes for the agent's: a socket's server, a fallback file's owner. */
#ifndef ENVWARDEN_AGENT_CLI_TRUST_H
#define ENVWARDEN_AGENT_CLI_TRUST_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Root, this account itself, or the machine agent's service account: the owner of the machine
 * agent's directories, which only root can have made where they are. No account database is asked:
 * that may be slow.
 */
bool trust_uid(uint32_t uid);

#endif
