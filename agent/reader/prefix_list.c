#include "agent/reader/prefix_list.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

void prefix_list_free(struct prefix_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		mem_free(list->items[i].name);
		mem_free(list->items[i].prefix);
	}
	mem_free(list->items);
	*list = (struct prefix_list){.n = 0};
}

int prefix_list_add(struct prefix_list *list, const char *name, const char *prefix,
		    int64_t since_ms)
{
	size_t cap = list->cap == 0 ? 8 : list->cap * 2;
	struct listed_prefix *items;
	struct listed_prefix one = {.since_ms = since_ms};

	if (list->n == list->cap) {
		items = mem_realloc(list->items, cap * sizeof *items);
		if (items == NULL)
			return ERR_NOMEM;
		list->items = items;
		list->cap = cap;
	}
	one.name = mem_strdup(name);
	one.prefix = mem_strdup(prefix);
	if (one.name == NULL || one.prefix == NULL) {
		mem_free(one.name);
		mem_free(one.prefix);
		return ERR_NOMEM;
	}
	list->items[list->n++] = one;
	return 0;
}

static int cmp_name(const void *a, const void *b)
{
	return strcmp(((const struct listed_prefix *)a)->name,
		      ((const struct listed_prefix *)b)->name);
}

void prefix_list_sort(struct prefix_list *list)
{
	if (list->n > 1)
		qsort(list->items, list->n, sizeof *list->items, cmp_name);
}

const struct listed_prefix *prefix_list_find(const struct prefix_list *list, const char *word,
					     size_t n)
{
	size_t first = 0, behind = list->n;

	while (first < behind) {
		size_t middle = first + (behind - first) / 2;
		const char *name = list->items[middle].name;
		int order = strncmp(name, word, n);

		if (order == 0 && name[n] == '\0')
			return &list->items[middle];
		if (order < 0)
			first = middle + 1;
		else
			behind = middle;
	}
	return NULL;
}
