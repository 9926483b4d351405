/* What can be told of entries as they are. */
#include "agent/reader/entries_impl.h"
#include "agent/reader/lanes.h"
#include "lib/base/clock.h"

enum entry_state entry_state(const struct entry *e)
{
	const struct clock *clock = e->all->config.clock;

	if (e->denied)
		return ENTRY_DENIED;
	if (e->away || e->aside)
		return ENTRY_AWAY;
	if (!e->known)
		return e->looked && !e->busy && e->failures == 0 ? ENTRY_PLAIN : ENTRY_NEW;
	if (e->busy)
		return ENTRY_BUSY;
	if (e->to_hold || (e->job != NULL && e->job->hold))
		return ENTRY_BUSY; /* something has just begun */
	if (piece_is_out(&e->piece) && !e->background)
		return ENTRY_DIRTY;
	if (!e->dirty || e->polled || e->calm)
		return ENTRY_CLEAN;
	return e->due_ms <= clock->mono_ms(clock) ? ENTRY_DIRTY : ENTRY_BUSY;
}

const char *entry_path(const struct entry *e)
{
	return e->path;
}

void entry_inode(const struct entry *e, uint64_t *dev, uint64_t *ino)
{
	*dev = e->dev;
	*ino = e->ino;
}

void entries_health(const struct entries *all, struct entries_health *out)
{
	struct entry *e;
	uint64_t stats = 0;

	*out = (struct entries_health){.late_ms = all->config.poll_ms * 5 / 4,
				       .full = all->n >= ENTRIES_MAX};
	RB_FOREACH(e, path_tree, (struct path_tree *)&all->paths)
	{
		out->environments += e->known;
		out->denied += e->denied;
		out->away += e->away;
		out->watches_exhausted = out->watches_exhausted || e->no_room;
		out->failed += e->failures > 0;
		out->watched += e->known && !e->polled;
		out->polled += e->known && e->polled;
		out->remote += e->known && e->remote;
		stats += e->known && e->polled && e->remote ? e->stats : 0;
	}
	out->late_ms += (int64_t)(stats * 1000 / LANES_STATS_PER_S);
}

size_t entries_denied(const struct entries *all, char **paths, size_t max)
{
	struct entry *e;
	size_t n = 0;

	RB_FOREACH(e, path_tree, (struct path_tree *)&all->paths)
	{
		if (e->denied && n < max)
			paths[n++] = e->path;
	}
	return n;
}
