#include "lib/base/arena.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"

#define ARENA_BLOCK_MIN 1024
#define ARENA_BLOCK_MAX 262144

struct arena_block {
	struct arena_block *older;
	size_t cap; /* bytes of room */
	size_t used;
	max_align_t room[]; /* zero from `used` on */
};

#define ARENA_ALIGN _Alignof(max_align_t)

void arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){.max = max};
}

static void free_blocks(struct arena_block *block)
{
	while (block) {
		struct arena_block *older = block->older;
		mem_free(block);
		block = older;
	}
}

void arena_deinit(struct arena *a)
{
	free_blocks(a->head);
	*a = (struct arena){.max = a->max};
}

void arena_reset(struct arena *a)
{
	struct arena_block *kept = a->head;

	a->used = 0;
	a->full = false;
	if (!kept)
		return;
	free_blocks(kept->older);
	memset(kept->room, 0, kept->used);
	kept->older = NULL;
	kept->used = 0;
	a->used = sizeof(*kept);
}

/* A fresh block with at least n bytes; NULL when memory runs out. */
static struct arena_block *block_new(const struct arena *a, size_t n)
{
	size_t cap = a->head ? a->head->cap * 2 : ARENA_BLOCK_MIN;
	struct arena_block *block;

	if (cap > ARENA_BLOCK_MAX)
		cap = ARENA_BLOCK_MAX;
	if (cap < n)
		cap = n;
	block = mem_calloc(1, sizeof(*block) + cap);
	if (block)
		block->cap = cap;
	return block;
}

static void *take(struct arena_block *block, size_t n)
{
	unsigned char *at = (unsigned char *)block->room + block->used;

	block->used += n;
	return at;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *block = a->head;
	size_t left = a->max > a->used ? a->max - a->used : 0;

	if (n > left || left - n < ARENA_ALIGN) {
		a->full = true;
		return NULL;
	}
	n = n ? (n + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN : ARENA_ALIGN;
	if (block && block->cap - block->used >= n) {
		a->used += n;
		return take(block, n);
	}
	if (left < sizeof(*block) || left - sizeof(*block) < n) {
		a->full = true;
		return NULL;
	}
	block = block_new(a, n);
	if (!block)
		return NULL;
	if (a->head && block->cap - n < a->head->cap - a->head->used) {
		/* One big piece: the block being filled has more room left, so keep filling it. */
		block->older = a->head->older;
		a->head->older = block;
	} else {
		block->older = a->head;
		a->head = block;
	}
	a->used += sizeof(*block) + n;
	return take(block, n);
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
	if (size > 0 && count > SIZE_MAX / size)
		return NULL;
	return arena_alloc(a, count * size);
}

void *arena_dup(struct arena *a, const void *data, size_t n)
{
	void *copy = arena_alloc(a, n);

	if (copy && n > 0)
		memcpy(copy, data, n);
	return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return text ? arena_strndup(a, text, strlen(text)) : NULL;
}

char *arena_strndup(struct arena *a, const char *text, size_t n)
{
	char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

	if (copy && n > 0)
		memcpy(copy, text, n);
	return copy;
}
