#include "agent/core/snapshot.h"

#include <string.h>

#include "lib/base/err.h"
#include "proto/canonical.h"

#define PIECES_DISTRIBUTION "envwarden-hooks" /* packaging/hooks/base */

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

bool snapshot_lacks_pieces(const struct snapshot *s)
{
	bool has_tool = false, has_python = false;

	for (size_t i = 0; i < s->packages.n; i++) {
		const struct package *p = &s->packages.items[i];
		bool by_conda = strcmp(p->manager, "conda") == 0;

		if (!by_conda && strcmp(p->name, PIECES_DISTRIBUTION) == 0)
			return false;
		has_tool = has_tool || (by_conda && (strcmp(p->name, "conda") == 0 ||
						     strcmp(p->name, "mamba") == 0));
		has_python = has_python || (by_conda && strcmp(p->name, "python") == 0);
	}
	return has_tool && has_python;
}
