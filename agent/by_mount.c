#include "agent/by_mount.h"

#include <string.h>

void by_mount_add(struct by_mount *to, const char *mount)
{
	to->total++;
	for (size_t i = 0; i < to->n; i++)
		if (strcmp(to->items[i].mount, mount) == 0) {
			to->items[i].n++;
			return;
		}
	if (to->n == BY_MOUNT_MAX)
		return;
	to->items[to->n].mount = mount;
	to->items[to->n++].n = 1;
}

void by_mount_text(const struct by_mount *from, struct buf *out)
{
	size_t left = from->total;

	for (size_t i = 0; i < from->n; i++) {
		buf_addf(out, "%s%s (%zu)", i > 0 ? ", " : "", from->items[i].mount,
			 from->items[i].n);
		left -= from->items[i].n;
	}
	if (left > 0)
		buf_addf(out, ", elsewhere (%zu)", left);
}
