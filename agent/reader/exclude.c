#include "agent/reader/exclude.h"

#include <string.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

/* The next part: *part is its length; 0 at the end. Doubled and last slashes are none. */
static const char *next_part(const char *path, size_t *part)
{
	while (*path == '/')
		path++;
	*part = strcspn(path, "/");
	return path;
}

/* One part against one part: of several stars only the last can be worth another try. */
static bool part_matches(const char *pattern, size_t pn, const char *text, size_t tn)
{
	const char *star = NULL;
	const char *from = NULL;
	const char *p = pattern;
	const char *t = text;

	while (t < text + tn) {
		if (p < pattern + pn && *p == '*') {
			star = ++p;
			from = t;
		} else if (p < pattern + pn && *p == *t) {
			p++;
			t++;
		} else if (star != NULL) {
			p = star;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern + pn && *p == '*')
		p++;
	return p == pattern + pn;
}

/* The same for parts, "**" being the star. The pattern's end is enough: below is excluded, too. */
bool exclude_match(const char *pattern, const char *path)
{
	const char *star = NULL;
	const char *from = NULL;

	for (;;) {
		size_t pn;
		size_t tn;

		pattern = next_part(pattern, &pn);
		path = next_part(path, &tn);
		if (pn == 0)
			return true;
		if (pn == 2 && memcmp(pattern, "**", 2) == 0) {
			star = pattern += pn;
			from = path;
		} else if (tn > 0 && part_matches(pattern, pn, path, tn)) {
			pattern += pn;
			path += tn;
		} else if (tn > 0 && star != NULL) {
			from = next_part(from, &tn);
			from += tn;
			pattern = star;
			path = from;
		} else {
			return false;
		}
	}
}

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
		if (exclude_match(all->patterns[i], path))
			return true;
	return false;
}
