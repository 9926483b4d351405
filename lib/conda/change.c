#include "lib/conda/change.h"

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
