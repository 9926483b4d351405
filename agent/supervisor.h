/*
 * The supervisor: starts the core and the reader, restarts whichever ends, with backoff, and passes
 * signals on. It opens nothing and parses nothing. A reader that ends is replaced while the core
 * goes on answering; a core that ends takes the reader with it, since its questions died with it.
 */
#ifndef ENVWARDEN_AGENT_SUPERVISOR_H
#define ENVWARDEN_AGENT_SUPERVISOR_H

#include "agent/options.h"

/* The core ends with this when starting again would not help (a config error, a socket in use): it
 * has said why, and the supervisor ends too. */
#define SUPERVISOR_EXIT_FINAL 78

/* Returns the process's exit code. argv: as main got it, handed to the children. */
int supervisor_main(int argc, char **argv);

#endif
