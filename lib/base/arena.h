/*
 * One allocation lifetime: parse a request into an arena, free it once. Bounded: past `max` bytes
 * allocation fails as it does when memory runs out (NULL). Memory is zeroed and aligned for any
 * type. Not thread-safe.
 */
#ifndef ENVWARDEN_LIB_BASE_ARENA_H
#define ENVWARDEN_LIB_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *head; /* the block being filled; older ones hang behind it */
	size_t used;		  /* bytes handed out and block overhead */
	size_t max;
	bool full; /* something was refused for max; else NULL says that there is no memory */
};

void arena_init(struct arena *a, size_t max);
void arena_deinit(struct arena *a); /* also of a zeroed struct */
void arena_reset(struct arena *a);  /* everything given back but one block kept for reuse */

void *arena_alloc(struct arena *a, size_t n);
void *arena_calloc(struct arena *a, size_t count, size_t size); /* NULL on overflow too */
void *arena_dup(struct arena *a, const void *data, size_t n);
char *arena_strdup(struct arena *a, const char *text); /* NULL stays NULL */
char *arena_strndup(struct arena *a, const char *text, size_t n);

#endif
