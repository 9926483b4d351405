/*
 * The regular expressions that conda takes in place of a version or a build ("^1\.[0-3]$"): those
 * of Python that need no going back, matched from the beginning of a text in time linear in it.
 *
 * Understood: literals, '.', sets ([a-c], [^x], \d \w \s and their opposites), groups ((…), (?:…)),
 * '|', '*' '+' '?' {m} {m,} {,n} {m,n} with an idle '?' behind them, '^' and '$'. Refused as not
 * supported: what looks around or back ((?=…), \1, \b, flags), named groups, possessive
 * quantifiers, and an expression that grows past REGEX_STATES_MAX steps. Characters are bytes; one
 * beyond ASCII in the expression is refused.
 */
#ifndef ENVWARDEN_LIB_CONDA_REGEX_H
#define ENVWARDEN_LIB_CONDA_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define REGEX_STATES_MAX 1024
#define REGEX_DEPTH_MAX 32 /* groups within groups */

struct regex_step;

struct regex {
	const struct regex_step *steps;
	size_t n;
};

/* ERR_INVALID: malformed; ERR_UNSUPPORTED: not understood here; ERR_NOMEM. Errors name the column.
 */
int regex_init(struct regex *r, const char *text, size_t n, struct arena *arena, struct err *err);

/* Whether a beginning of the text matches. Allocates nothing. */
bool regex_match(const struct regex *r, const char *text, size_t n);

#endif
