#include "agent/core/snapshot.h"

#include "lib/base/err.h"
#include "proto/canonical.h"

static const struct person nobody = {.name = "", .uid = -1, .how = ""};

void snapshot_init(struct snapshot *s)
{
	*s = (struct snapshot){
		.prefix = "",
		.mount = "",
		.owner = nobody,
		.platform = "",
		.tool = "",
		.config_names = "",
		.history = {.command = "",
			    .action = "",
			    .tool = "",
			    .source = "",
			    .target = "",
			    .owner = nobody},
		.record_owner = nobody,
		.python_owner = nobody,
		.python_tool = "",
		.renamed_from = "",
	};
}

void snapshot_deinit(struct snapshot *s)
{
	package_list_deinit(&s->packages);
}

static void drop_repeated(struct package_list *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (n == 0 || package_cmp(&list->items[n - 1], &list->items[i]) != 0)
			list->items[n++] = list->items[i];
	}
	list->n = n;
}

int snapshot_seal(struct snapshot *s)
{
	const char *platform;

	if (s->packages.n > SNAPSHOT_PACKAGES_MAX)
		return ERR_LIMIT;
	package_list_sort(&s->packages);
	drop_repeated(&s->packages);
	/* The reader knows that of the records alone that it has read this time. */
	platform = package_list_platform(&s->packages);
	if (platform[0] != '\0')
		s->platform = platform;
	snapshot_digest(&s->packages, s->digest);
	attribute_digest(&s->packages, s->attribute_digest);
	return 0;
}
