/*
 * Patterns in which '*' stands for any run of characters and all else for itself. They match a
 * whole text, in time linear in it whatever the pattern.
 *
 * As in conda, where a glob becomes a regular expression: '*' does not run across a line end, and
 * one line end at the end of the text does not count.
 */
#ifndef ENVWARDEN_LIB_CONDA_GLOB_H
#define ENVWARDEN_LIB_CONDA_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"

/* What stands between two stars, with the table that lets a search go on without going back. */
struct glob_piece {
	const char *text;
	size_t n;
	const uint16_t *border; /* [i]: longest proper beginning of text that ends text[0..i] */
};

struct glob {
	struct glob_piece *pieces; /* one more than there are stars; the first and last anchored */
	size_t n;
	size_t least; /* bytes a text must have */
};

#define GLOB_MAX 4096 /* bytes of a pattern */

/* Copies what it needs into the arena. ERR_NOMEM, ERR_LIMIT. */
int glob_init(struct glob *g, const char *pattern, size_t n, struct arena *arena);

/* Allocates nothing. */
bool glob_match(const struct glob *g, const char *text, size_t n);

#endif
