/*
 * Prefixes under the names that programs may give them, each with the time from which on they
 * count. One thread at a time.
 */
#ifndef ENVWARDEN_AGENT_READER_PREFIX_LIST_H
#define ENVWARDEN_AGENT_READER_PREFIX_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct listed_prefix {
	char *name;
	char *prefix;
	int64_t since_ms;
};

struct prefix_list {
	struct listed_prefix *items;
	size_t n;
	size_t cap;
};

void prefix_list_free(struct prefix_list *list); /* also of a zeroed struct, and twice */
int prefix_list_add(struct prefix_list *list, const char *name, const char *prefix,
		    int64_t since_ms); /* ERR_NOMEM */
void prefix_list_sort(struct prefix_list *list);
/* The one whose name is the first n bytes of a word, in a list that is sorted; NULL none. */
const struct listed_prefix *prefix_list_find(const struct prefix_list *list, const char *word,
					     size_t n);

#endif
