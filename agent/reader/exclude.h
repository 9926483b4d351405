/*
 * The folders that are left alone: patterns of the `exclude` setting. A pattern is a path; in it
 *   *    stands for any run of characters within one part of the path
 *   **   as a whole part, for any number of parts, none included
 * and everything else for itself. What a pattern matches is excluded with all that is below it:
 * "/scratch" is the same as "/scratch/" and "/scratch/" followed by "**". Pure; by text alone, so
 * paths are to be absolute and free of "." and "..". Read by any thread once it is made.
 */
#ifndef ENVWARDEN_AGENT_READER_EXCLUDE_H
#define ENVWARDEN_AGENT_READER_EXCLUDE_H

#include <stdbool.h>
#include <stddef.h>

struct exclude {
	char **patterns; /* copies */
	size_t n;
};

/* Copies the patterns. ERR_NOMEM: *out stays as it is. */
int exclude_init(struct exclude *out, char *const *patterns, size_t n);
void exclude_deinit(struct exclude *all); /* also of a zeroed struct */

bool exclude_has(const struct exclude *all, const char *path);

#endif
