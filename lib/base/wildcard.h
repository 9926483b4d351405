/*
 * Patterns as people write them in policies and settings; all of the text must match.
 *   *    any run of characters; in a path, within one part
 *   **   in a path, as a whole part: any number of parts, none included
 * Everything else stands for itself. Time: at most the length of one times the other, whoever wrote
 * them. Pure; allocates nothing.
 */
#ifndef ENVWARDEN_LIB_BASE_WILDCARD_H
#define ENVWARDEN_LIB_BASE_WILDCARD_H

#include <stdbool.h>

bool wildcard_match(const char *pattern, const char *text);

/* Letters of ASCII count the same in either case. */
bool wildcard_match_fold(const char *pattern, const char *text);

/* Doubled and last slashes count as one and none. */
bool wildcard_match_path(const char *pattern, const char *path);

/* Whether it matches the path or a folder that lies in: /scratch covers /scratch/ana/e. */
bool wildcard_covers_path(const char *pattern, const char *path);

#endif
