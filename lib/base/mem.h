/*
 * The allocator behind everything of ours (and behind the libraries that let one choose). Tests
 * make the n-th allocation fail; production is plain malloc.
 */
#ifndef ENVWARDEN_LIB_BASE_MEM_H
#define ENVWARDEN_LIB_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* NULL when memory runs out (or count * size overflows), never for a size of 0. */
void *mem_alloc(size_t n);
void *mem_calloc(size_t count, size_t size);
void *mem_realloc(void *p, size_t n);
void mem_free(void *p);
char *mem_strdup(const char *text); /* text is not NULL */

/*
 * Tests only: after `countdown` further successful allocations one fails, once (0 = the next one);
 * negative = never. Set before threads start.
 */
void mem_fail_after(long countdown);

/* Whether the failure asked for is still to come. */
bool mem_fail_pending(void);

#endif
