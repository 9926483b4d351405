#include "lib/base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Allocations that may still succeed before the one that fails; negative: none is to fail. */
static atomic_long countdown = -1;

static bool fails_now(void)
{
	if (atomic_load_explicit(&countdown, memory_order_relaxed) < 0)
		return false;
	return atomic_fetch_sub(&countdown, 1) == 0;
}

void mem_fail_after(long n)
{
	atomic_store(&countdown, n < 0 ? -1 : n);
}

bool mem_fail_pending(void)
{
	return atomic_load(&countdown) >= 0;
}

void *mem_alloc(size_t n)
{
	return fails_now() ? NULL : malloc(n ? n : 1);
}

void *mem_calloc(size_t count, size_t size)
{
	if (fails_now() || (size > 0 && count > SIZE_MAX / size))
		return NULL;
	return count && size ? calloc(count, size) : calloc(1, 1);
}

void *mem_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : realloc(p, n ? n : 1);
}

void mem_free(void *p)
{
	free(p);
}

char *mem_strdup(const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = mem_alloc(n);
	if (copy)
		memcpy(copy, text, n);
	return copy;
}
