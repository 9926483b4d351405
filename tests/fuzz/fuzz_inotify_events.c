#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "platform/inotify_events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Always moves on, stays inside, and names end inside. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inotify_fact fact;
	size_t pos = 0;
	size_t before = 0;
	while (inotify_next(data, size, &pos, &fact)) {
		CHECK(pos > before && pos <= size);
		if (fact.name) {
			const char *end = (const char *)data + pos;
			CHECK(fact.name > (const char *)data && fact.name < end);
			CHECK(memchr(fact.name, '\0', (size_t)(end - fact.name)));
		}
		before = pos;
	}
	CHECK(pos == before);
	return 0;
}
