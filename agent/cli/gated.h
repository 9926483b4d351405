/*
 * Whether the conda of this shell asks the agent by itself, by the pieces in its base: then the
 * shell integration leaves it to them, so that nobody waits twice for an agent that hangs. A member
 * who places something by the pieces' names, or points elsewhere, loses no more than by leaving the
 * shell integration out.
 */
#ifndef ENVWARDEN_AGENT_CLI_GATED_H
#define ENVWARDEN_AGENT_CLI_GATED_H

#include <stdbool.h>

/* conda: its program, as CONDA_EXE names it; NULL or what is not there: false. So is a base in
 * which one Python has the pieces and another has not: which of them conda runs by is not looked
 * at. */
bool gated_by_base(const char *conda);

#endif
