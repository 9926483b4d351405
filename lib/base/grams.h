/*
 * A quick "no" for patterns: what runs of up to three bytes there are in a number of texts. A
 * pattern with a run that is in none of them matches none of them, which costs a few look-ups
 * instead of as many matchings as there are texts. It never denies what matches.
 *
 * Patterns: '*' stands for any run of bytes, everything else for itself, letters of ASCII in either
 * case; the whole text has to match, or all but a line end behind it (wildcard.h, glob.h in
 * lib/conda). Pure; allocates nothing.
 */
#ifndef ENVWARDEN_LIB_BASE_GRAMS_H
#define ENVWARDEN_LIB_BASE_GRAMS_H

#include <stdbool.h>
#include <stdint.h>

#define GRAMS_BITS 65536

/* Zeroed: of no text. */
struct grams {
	uint64_t bits[GRAMS_BITS / 64];
};

void grams_add(struct grams *grams, const char *text);

/* False: none of the texts matches. True: one may. */
bool grams_may_match(const struct grams *grams, const char *pattern);

#endif
