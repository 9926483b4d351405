#include "agent/core/diff.h"

int diff_packages(const struct package_list *before, const struct package_list *after,
		  struct diff *out)
{
	struct diff d = {0};
	size_t b = 0;
	size_t a = 0;
	int rc = 0;

	while (rc == 0 && (b < before->n || a < after->n)) {
		int c = b == before->n	? 1
			: a == after->n ? -1
					: package_cmp(&before->items[b], &after->items[a]);

		if (c < 0) {
			rc = package_list_add(&d.removed, &before->items[b++]);
		} else if (c > 0) {
			rc = package_list_add(&d.added, &after->items[a++]);
		} else {
			if (package_cmp_all(&before->items[b++], &after->items[a++]) != 0)
				d.attributes = true;
		}
	}
	if (rc < 0) {
		diff_deinit(&d);
		return rc;
	}
	*out = d;
	return 0;
}

void diff_deinit(struct diff *d)
{
	package_list_deinit(&d->added);
	package_list_deinit(&d->removed);
}
