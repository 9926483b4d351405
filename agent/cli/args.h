/*
 * Command lines by table: long options with or without a value ("--since 2d", "--since=2d"), words,
 * and "--" after which everything is a word. The same table makes the help.
 */
#ifndef ENVWARDEN_AGENT_CLI_ARGS_H
#define ENVWARDEN_AGENT_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

#define ARGS_WORDS_MAX 9

struct arg_option {
	const char *name;  /* "--since" */
	const char *value; /* what the help calls its value; NULL = a flag */
	const char *help;
	size_t at; /* offset of a bool (flags) or const char * in the command's options */
};

struct arg_table {
	const char *synopsis; /* "history [ENV] [options]" */
	const char *help; /* a sentence or two; laid out when printed, "\n\n" ends a paragraph */
	size_t max_words;
	const struct arg_option *options;
	size_t n_options;
};

/* Every command that talks to the agent has this one. */
#define ARG_SOCKET(type)                                                                           \
	{                                                                                          \
		"--socket", "PATH", "the agent's socket", offsetof(type, socket)                   \
	}
#define ARG_JSON(type)                                                                             \
	{                                                                                          \
		"--json", NULL, "print a JSON document", offsetof(type, json)                      \
	}

struct args {
	const char *words[ARGS_WORDS_MAX];
	size_t n_words;
	bool help; /* asked for; it was printed, there is nothing else to do */
};

/*
 * Fills *options (a zeroed struct of the command's) and *out; texts are borrowed from argv.
 * ERR_USAGE says what is wrong. With -h or --help the help goes to stdout.
 */
int args_parse(const struct arg_table *table, int argc, char **argv, void *options,
	       struct args *out, struct err *err);

#endif
