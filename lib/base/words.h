/*
 * A command in one line, as a person pastes it, taken apart into its words without a shell. Only
 * what every POSIX shell reads as plain words is read: blanks between words, '...', "..." and a
 * backslash before a character. Whatever a shell would act on (operators, substitutions, globs, a
 * home's "~", a comment) is refused, so that nothing is ever run that reads as something else.
 */
#ifndef ENVWARDEN_LIB_BASE_WORDS_H
#define ENVWARDEN_LIB_BASE_WORDS_H

#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define WORDS_MAX 64
#define WORDS_TEXT_MAX 65536 /* bytes of the line */

struct words {
	const char *items[WORDS_MAX + 1]; /* NULL-ended */
	size_t n;
};

/*
 * Words are made in the arena. ERR_INVALID: a shell would do more with it than split it, or a quote
 * is open; err names the character. ERR_LIMIT, ERR_NOMEM. An empty line has no words.
 */
int words_split(const char *line, struct arena *arena, struct words *out, struct err *err);

#endif
