#include "lib/conda/package.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

static int cmp_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int cmp_i64(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* The hash that identifies: sha256, else md5, else none (the canonical package's rule). */
static int cmp_hash(const struct package *a, const struct package *b)
{
	int kind_a = a->has_sha256 ? 2 : a->has_md5 ? 1 : 0;
	int kind_b = b->has_sha256 ? 2 : b->has_md5 ? 1 : 0;

	if (kind_a != kind_b)
		return kind_a < kind_b ? -1 : 1;
	if (kind_a == 2)
		return memcmp(a->sha256, b->sha256, sizeof a->sha256);
	if (kind_a == 1)
		return memcmp(a->md5, b->md5, sizeof a->md5);
	return 0;
}

int package_cmp(const struct package *a, const struct package *b)
{
	int c = strcmp(a->manager, b->manager);

	if (c == 0)
		c = strcmp(a->name, b->name);
	if (c == 0)
		c = strcmp(a->version, b->version);
	if (c == 0)
		c = strcmp(a->build, b->build);
	if (c == 0)
		c = cmp_i64(a->build_number, b->build_number);
	if (c == 0)
		c = strcmp(a->channel, b->channel);
	if (c == 0)
		c = strcmp(a->subdir, b->subdir);
	return c != 0 ? c : cmp_hash(a, b);
}

int package_cmp_all(const struct package *a, const struct package *b)
{
	int c = package_cmp(a, b);

	if (c == 0)
		c = strcmp(a->license, b->license);
	if (c == 0)
		c = strcmp(a->url, b->url);
	if (c == 0)
		c = cmp_u64(a->size, b->size);
	if (c == 0)
		c = (int)a->requested - (int)b->requested;
	if (c == 0)
		c = (int)a->has_md5 - (int)b->has_md5;
	if (c == 0 && a->has_md5)
		c = memcmp(a->md5, b->md5, sizeof a->md5);
	if (c == 0)
		c = cmp_i64(a->built_ms, b->built_ms);
	return c;
}

int package_copy(struct arena *arena, const struct package *from, struct package *to)
{
	struct package copy = *from;
	const char **texts[] = {&copy.manager, &copy.name,   &copy.version, &copy.build,
				&copy.channel, &copy.subdir, &copy.license, &copy.url};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		*texts[i] = arena_strdup(arena, *texts[i]);
		if (*texts[i] == NULL)
			return ERR_NOMEM;
	}
	*to = copy;
	return 0;
}

static const char *const installers[] = {
	[PACKAGE_BY_UNKNOWN] = "", [PACKAGE_BY_OTHER] = "other",     [PACKAGE_BY_PIP] = "pip",
	[PACKAGE_BY_UV] = "uv",	   [PACKAGE_BY_UV_PIXI] = "uv-pixi", [PACKAGE_BY_POETRY] = "poetry",
	[PACKAGE_BY_PDM] = "pdm",  [PACKAGE_BY_CONDA] = "conda",
};

const char *package_installer_name(enum package_installer installer)
{
	return (size_t)installer < ARRAY_SIZE(installers) ? installers[installer] : "other";
}

enum package_installer package_installer_of(const char *name)
{
	if (name == NULL || *name == '\0')
		return PACKAGE_BY_UNKNOWN;
	for (size_t i = 0; i < ARRAY_SIZE(installers); i++)
		if (strcmp(name, installers[i]) == 0)
			return (enum package_installer)i;
	return PACKAGE_BY_OTHER;
}

void package_list_deinit(struct package_list *list)
{
	mem_free(list->items);
	*list = (struct package_list){0};
}

int package_list_add(struct package_list *list, const struct package *p)
{
	if (list->n == list->cap) {
		size_t cap = list->cap > 0 ? list->cap * 2 : 16;
		struct package *items;

		if (cap > SIZE_MAX / sizeof *items)
			return ERR_NOMEM;
		items = mem_realloc(list->items, cap * sizeof *items);
		if (items == NULL)
			return ERR_NOMEM;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->n++] = *p;
	return 0;
}

static int cmp_items(const void *a, const void *b)
{
	return package_cmp_all(a, b);
}

void package_list_sort(struct package_list *list)
{
	if (list->n > 1)
		qsort(list->items, list->n, sizeof *list->items, cmp_items);
}

const char *package_list_platform(const struct package_list *list)
{
	const char *found = "";

	for (size_t i = 0; i < list->n; i++) {
		const struct package *p = &list->items[i];

		if (p->subdir[0] == '\0' || strcmp(p->subdir, "noarch") == 0)
			continue;
		if (strcmp(p->name, "python") == 0)
			return p->subdir;
		if (found[0] == '\0')
			found = p->subdir;
	}
	return found;
}
