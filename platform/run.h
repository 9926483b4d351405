/*
 * Programs of others, run for a member at their terminal and waited for. By path and words: no
 * shell comes near them.
 */
#ifndef ENVWARDEN_PLATFORM_RUN_H
#define ENVWARDEN_PLATFORM_RUN_H

#include <stdbool.h>

#include "lib/base/err.h"
#include "platform/paths.h"

/* Whether this is a file that this process may run. */
bool run_is_program(const char *path);

/* Looks for a program by its bare name ("conda") in the absolute folders of PATH. ERR_NOTFOUND. */
int run_find(const char *name, char out[PATHS_MAX], struct err *err);

struct run_command {
	const char *program;	  /* its path */
	const char *const *words; /* argv, the program's name first; NULL-ended */
	const char *const *extra; /* "NAME=value" beside this process's environment; NULL-ended */
};

/*
 * Runs it with this terminal, what it prints going to our stderr, and waits until it ends;
 * interrupts typed meanwhile are the program's. *status: its exit status, 128 and more when it was
 * ended. ERR_NOTFOUND, ERR_PERM: it can't be run.
 */
int run_wait(const struct run_command *command, int *status, struct err *err);

#endif
