/* The member's terminal. */
#ifndef ENVWARDEN_PLATFORM_TERMINAL_H
#define ENVWARDEN_PLATFORM_TERMINAL_H

#include <stdbool.h>

#include "lib/base/err.h"

enum terminal_stream {
	TERMINAL_IN,
	TERMINAL_OUT,
	TERMINAL_ERR
};

bool terminal_is(enum terminal_stream stream);

/* Columns of the terminal behind the stream, 80 if it can't be told. */
int terminal_width(enum terminal_stream stream);

/* Whether to colour: a terminal that can, and nobody said NO_COLOR (not empty) or TERM=dumb. On
 * Windows this also switches escape sequences on. */
bool terminal_colour(enum terminal_stream stream);

/*
 * Asks on the terminal itself, whatever stdin and stdout are, and waits: an empty answer is
 * default_yes, "y"/"yes"/"n"/"no" in any case count, others are asked again (three times, then
 * "no"). The question is printed with " [Y/n] " or " [y/N] " behind it. ERR_NOTFOUND: there is no
 * terminal (nobody was asked); ERR_CANCELED: the terminal was closed.
 */
int terminal_ask(const char *question, bool default_yes, bool *yes, struct err *err);

/* Shows a prompt and reads one line without the newline, not echoed when secret. Errors as above;
 * ERR_LIMIT when it does not fit. */
int terminal_read_line(const char *prompt, bool secret, char *out, unsigned cap, struct err *err);

#endif
