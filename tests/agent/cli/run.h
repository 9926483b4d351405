/* Running the envwarden command, with nothing of this machine in its environment. */
#ifndef ENVWARDEN_TESTS_AGENT_CLI_RUN_H
#define ENVWARDEN_TESTS_AGENT_CLI_RUN_H

#include <stddef.h>

#define RUN_MAX 65536

struct run {
	int code; /* -1: a signal ended it */
	char out[RUN_MAX];
	size_t out_n;
	char err[RUN_MAX]; /* on a terminal all of it is in out */
	size_t err_n;
	long ms;
};

struct run_options {
	const char *home;     /* HOME and everything XDG; also the working directory */
	const char *socket;   /* ENVWARDEN_SOCKET; NULL = not set */
	const char *input;    /* for stdin; NULL = none */
	const char *variable; /* one more, "NAME=value"; NULL = none */
	int terminal;	      /* columns of a terminal for all three; 0 = pipes */
};

const char *run_command_path(void);

/* args: what follows "envwarden", NULL-ended. In all output, `home` becomes "@HOME@". */
void run_envwarden(const struct run_options *options, const char *const *args, struct run *out);

/* The same for any program; args[0] is its path. */
void run_program(const struct run_options *options, const char *const *args, struct run *out);

#endif
