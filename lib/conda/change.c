#include "lib/conda/change.h"

#include "lib/base/compiler.h"
#include "lib/base/err.h"

const char *change_kind_name(enum change_kind kind)
{
	switch (kind) {
	case CHANGE_CREATED:
		return "created";
	case CHANGE_RECREATED:
		return "recreated";
	case CHANGE_INSTALLED:
		return "installed";
	case CHANGE_UPDATED:
		return "updated";
	case CHANGE_REMOVED:
		return "removed";
	case CHANGE_RENAMED:
		return "renamed";
	case CHANGE_CLONED:
		return "cloned";
	case CHANGE_DELETED:
		return "deleted";
	case CHANGE_CONFIG:
		return "config";
	case CHANGE_GAP:
		return "gap";
	}
	return "unknown";
}

enum change_kind change_kind_of_step(size_t added, size_t removed)
{
	if (removed == 0)
		return CHANGE_INSTALLED;
	return added == 0 ? CHANGE_REMOVED : CHANGE_UPDATED;
}

static const struct person nobody = {.name = "", .uid = -1, .how = ""};

void change_init(struct change *c)
{
	*c = (struct change){
		.prefix = "",
		.from_prefix = "",
		.actor = nobody,
		.owner = nobody,
		.platform = "",
		.tool = "",
		.command = "",
		.detail = "",
	};
}

void change_deinit(struct change *c)
{
	package_list_deinit(&c->added);
	package_list_deinit(&c->removed);
}

static int copy_text(struct arena *arena, const char **text)
{
	*text = arena_strdup(arena, *text);
	if (*text != NULL)
		return 0;
	*text = "";
	return ERR_NOMEM;
}

static int copy_packages(struct arena *arena, const struct package_list *from,
			 struct package_list *to)
{
	int rc = 0;

	for (size_t i = 0; i < from->n && rc == 0; i++) {
		struct package copy;

		rc = package_copy(arena, &from->items[i], &copy);
		if (rc == 0)
			rc = package_list_add(to, &copy);
	}
	return rc;
}

int change_copy(struct arena *arena, const struct change *from, struct change *to)
{
	const char **texts[] = {&to->prefix,	 &to->from_prefix, &to->platform,   &to->tool,
				&to->command,	 &to->detail,	   &to->actor.name, &to->actor.how,
				&to->owner.name, &to->owner.how};
	int rc = 0;

	*to = *from;
	to->added = (struct package_list){0};
	to->removed = (struct package_list){0};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (copy_text(arena, texts[i]) < 0)
			rc = ERR_NOMEM;
	if (rc == 0)
		rc = copy_packages(arena, &from->added, &to->added);
	if (rc == 0)
		rc = copy_packages(arena, &from->removed, &to->removed);
	return rc;
}
