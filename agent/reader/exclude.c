#include "agent/reader/exclude.h"

#include <string.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/base/wildcard.h"

int exclude_init(struct exclude *out, char *const *patterns, size_t n)
{
	struct exclude all = {.patterns = mem_calloc(n + 1, sizeof *all.patterns)};

	for (; all.patterns != NULL && all.n < n; all.n++) {
		all.patterns[all.n] = mem_strdup(patterns[all.n]);
		if (all.patterns[all.n] == NULL)
			break;
	}
	if (all.patterns == NULL || all.n < n) {
		exclude_deinit(&all);
		return ERR_NOMEM;
	}
	*out = all;
	return 0;
}

void exclude_deinit(struct exclude *all)
{
	for (size_t i = 0; i < all->n; i++)
		mem_free(all->patterns[i]);
	mem_free(all->patterns);
	*all = (struct exclude){0};
}

bool exclude_has(const struct exclude *all, const char *path)
{
	for (size_t i = 0; i < all->n; i++)
		if (wildcard_covers_path(all->patterns[i], path))
			return true;
	return false;
}
