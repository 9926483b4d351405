/*
 * What messages tell members to type: how to name an environment to a command, and paths as people
 * write them. Pure. What comes out is whole shell words (POSIX; most other shells read them alike).
 */
#ifndef ENVWARDEN_AGENT_CLI_HINT_H
#define ENVWARDEN_AGENT_CLI_HINT_H

#include "lib/base/buf.h"

/* One word. What no terminal may show as it is goes into $'...', which bash, zsh and ksh read. */
void hint_word(struct buf *out, const char *text);

/* One word for a path; below home (NULL: unknown) it begins with "~/". */
void hint_path(struct buf *out, const char *path, const char *home);

/*
 * How a command finds the environment again: by the name that was typed for it ("" or a path: not
 * by a name), else by its prefix, else ("" too) by what it is called.
 */
void hint_environment(struct buf *out, const char *typed, const char *prefix, const char *name,
		      const char *home);

/* A shell command as it is, but for words that begin with the home folder: these with "~". */
void hint_command(struct buf *out, const char *command, const char *home);

#endif
