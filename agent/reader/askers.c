#include "agent/reader/askers.h"

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

struct asker {
	struct asker *next;
	uint64_t id;
	int64_t since_ms;
};

int askers_add(struct asker **list, uint64_t id, int64_t now_ms)
{
	struct asker *asker;
	size_t n = 0;

	for (asker = *list; asker != NULL; asker = asker->next)
		n++;
	if (n >= ASKERS_MAX)
		return ERR_BUSY;
	asker = mem_calloc(1, sizeof *asker);
	if (asker == NULL)
		return ERR_NOMEM;
	asker->id = id;
	asker->since_ms = now_ms;
	asker->next = *list;
	*list = asker;
	return 0;
}

bool askers_take(struct asker **list, int64_t before_ms, uint64_t *id)
{
	for (struct asker **p = list; *p != NULL; p = &(*p)->next) {
		struct asker *asker = *p;

		if (asker->since_ms > before_ms)
			continue;
		*id = asker->id;
		*p = asker->next;
		mem_free(asker);
		return true;
	}
	return false;
}

void askers_give(struct asker **from, struct asker **to)
{
	struct asker **last = to;

	while (*last != NULL)
		last = &(*last)->next;
	*last = *from;
	*from = NULL;
}
