/* Which entries are lent to the core (agent/lease.h), and for how long. */
#include "agent/lease.h"
#include "agent/reader/entries_impl.h"

_Static_assert(LEASE_NONE == 0, "epochs begin above it");

/* Watched, with nothing to be done about it: that changes only by its being made due, or dropped,
 * even if it has been looked at, and is at rest again, before this turn of the loop ends. */
static bool rests(const struct entry *e)
{
	return entry_state(e) == ENTRY_CLEAN && !e->dirty && !e->polled && !e->remote &&
	       !e->automount;
}

static void take_back(struct entries *all)
{
	while (all->n_lent > 0)
		all->lent[--all->n_lent]->lent = false;
	all->epoch++;
}

void entry_take_back(struct entry *e)
{
	if (e->lent)
		take_back(e->all);
}

uint64_t entry_lend(struct entry *e)
{
	struct entries *all = e->all;

	if (!rests(e))
		return LEASE_NONE;
	if (!e->lent && all->n_lent == LENT_MAX)
		take_back(all); /* those who are asked for will be lent again */
	if (!e->lent)
		all->lent[all->n_lent++] = e;
	e->lent = true;
	return all->epoch;
}

uint64_t entries_epoch(const struct entries *all)
{
	return all->epoch;
}
