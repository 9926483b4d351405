#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "platform/mount_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever the text, every look-up ends, and at a mount whose point leads to the path. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = {"/", "/a", "/a/b", "/home/ana/envs/x", "//", "/a//b/"};
	struct mount_table *table = NULL;

	if (mount_table_read((const char *)data, size, &table, NULL) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const struct mount *m = mount_table_find(table, paths[i]);

		if (m != NULL)
			CHECK(strncmp(m->point, paths[i], strlen(m->point)) == 0);
	}
	mount_table_unref(table);
	return 0;
}
