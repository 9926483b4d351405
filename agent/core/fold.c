#include "agent/core/fold.h"

#include "lib/base/uuid.h"

static bool begins(enum change_kind kind)
{
	return kind == CHANGE_CREATED || kind == CHANGE_CLONED || kind == CHANGE_RECREATED;
}

static enum change_kind fold_kind(const struct change *older, const struct change *later,
				  size_t added, size_t removed)
{
	if (later->kind == CHANGE_DELETED || later->kind == CHANGE_GAP)
		return later->kind;
	if (begins(later->kind)) { /* it was gone between */
		if (older->begun)
			return CHANGE_CREATED;
		return older->kind == CHANGE_DELETED ? CHANGE_RECREATED : later->kind;
	}
	if (begins(older->kind))
		return older->kind;
	if (older->kind == CHANGE_RENAMED || later->kind == CHANGE_RENAMED)
		return CHANGE_RENAMED;
	if (added + removed == 0)
		return CHANGE_CONFIG; /* or what came went again: no kind says less */
	return change_kind_of_step(added, removed);
}

void fold_changes(const struct change *older, size_t added, size_t removed, struct change *later)
{
	enum change_kind kind = fold_kind(older, later, added, removed);
	bool begun = begins(older->kind) && later->kind != CHANGE_RENAMED;

	if (older->kind == CHANGE_RENAMED && kind == CHANGE_RENAMED)
		later->from_prefix = older->from_prefix;
	else if (begins(kind) || begun)
		later->from_prefix = "";
	if (uuid_is_zero(&later->cloned_from))
		later->cloned_from = older->cloned_from;
	if (later->detail[0] == '\0' && kind != CHANGE_GAP)
		later->detail = older->detail;
	later->self_reported = later->self_reported || older->self_reported;
	later->seen_at_start = later->seen_at_start && older->seen_at_start;
	later->folded =
		(older->folded > 1 ? older->folded : 1) + (later->folded > 1 ? later->folded : 1);
	/* Of one that holds several, only the first of them says whether it began here. */
	later->begun = older->folded > 1 ? older->begun : begins(older->kind);
	later->kind = kind;
}

bool fold_is_void(const struct change *c)
{
	return c->kind == CHANGE_DELETED && c->begun && c->folded > 1;
}
