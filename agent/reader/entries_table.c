/* The table of entries, by path, inode and due time, and the watches of each. */
#include <string.h>

#include "agent/reader/askers.h"
#include "agent/reader/entries_impl.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define PLAIN_MAX 512 /* folders that may become an environment, watched meanwhile */

static int cmp_path(const struct entry *a, const struct entry *b)
{
	return strcmp(a->path, b->path);
}

static int cmp_inode(const struct entry *a, const struct entry *b)
{
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static int cmp_due(const struct entry *a, const struct entry *b)
{
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms ? -1 : 1;
	return strcmp(a->path, b->path);
}

RB_GENERATE(path_tree, entry, by_path, cmp_path)
RB_GENERATE_STATIC(inode_tree, entry, by_inode, cmp_inode)
RB_GENERATE_STATIC(due_tree, entry, by_due, cmp_due)

int64_t entries_now(const struct entries *all)
{
	return all->config.clock->mono_ms(all->config.clock);
}

struct entry *entries_find(const struct entries *all, const char *path)
{
	struct entry key = {.path = (char *)path};

	return RB_FIND(path_tree, (struct path_tree *)&all->paths, &key);
}

struct entry *entries_find_inode(const struct entries *all, uint64_t dev, uint64_t ino)
{
	struct entry key = {.dev = dev, .ino = ino};

	return ino == 0 ? NULL : RB_FIND(inode_tree, (struct inode_tree *)&all->inodes, &key);
}

void entry_leave_inodes(struct entry *e)
{
	if (e->ino != 0)
		RB_REMOVE(inode_tree, &e->all->inodes, e);
	e->ino = 0;
}

void entry_change_inode(struct entry *e, uint64_t dev, uint64_t ino)
{
	entry_leave_inodes(e);
	e->dev = dev;
	e->ino = ino;
	if (e->ino != 0)
		RB_INSERT(inode_tree, &e->all->inodes, e);
}

void entry_answer(struct entry *e, int rc)
{
	struct entries *all = e->all;
	uint64_t id;

	while (askers_take(&e->askers, INT64_MAX, &id))
		if (!all->stopping)
			all->config.callbacks->read_done(all->config.ctx, id, rc, e->path);
}

void entry_unqueue(struct entry *e)
{
	if (e->queued)
		RB_REMOVE(due_tree, &e->all->due, e);
	e->queued = false;
	(void)lanes_cancel(&e->piece);
}

void entry_queue(struct entry *e)
{
	if (e->queued || !e->dirty || piece_is_out(&e->piece))
		return;
	RB_INSERT(due_tree, &e->all->due, e);
	e->queued = true;
}

void entry_undirty(struct entry *e)
{
	entry_unqueue(e);
	e->dirty = false;
}

void entry_uncount(struct entry *e)
{
	e->all->unlooked -= e->counted;
	e->counted = false;
}

void entry_set_plain(struct entry *e, bool plain)
{
	e->all->plain += plain;
	e->all->plain -= e->plain;
	e->plain = plain;
}

void entry_let_go(struct entry *e)
{
	e->all->held -= held_history_is_open(&e->held);
	held_history_close(&e->held);
	e->to_hold = false;
}

void entry_free(struct entry *e)
{
	entry_let_go(e);
	mem_free(e->last);
	mem_free(e->path);
	mem_free(e->moved_from);
	mem_free(e);
}

void entry_moved_from_is_gone(struct entry *e)
{
	struct entries *all = e->all;

	if (e->moved_from == NULL)
		return;
	if (!all->stopping)
		all->config.callbacks->gone(all->config.ctx,
					    &(struct entries_gone){.prefix = e->moved_from,
								   .dev = e->moved_dev,
								   .ino = e->moved_ino});
	mem_free(e->moved_from);
	e->moved_from = NULL;
}

void entry_drop(struct entry *e, int rc_for_askers)
{
	struct entries *all = e->all;

	entry_take_back(e);
	entry_moved_from_is_gone(e);
	entry_unwatch(all, &e->meta);
	entry_unwatch(all, &e->site);
	entry_unwatch(all, &e->prefix);
	entry_undirty(e);
	entry_uncount(e);
	entry_set_plain(e, false);
	entry_leave_inodes(e);
	RB_REMOVE(path_tree, &all->paths, e);
	all->n--;
	entry_answer(e, rc_for_askers);
	if (e->job != NULL)
		e->forgotten = true;
	else
		entry_free(e);
}

void entry_make_due(struct entry *e, int64_t due_ms)
{
	entry_take_back(e);
	entry_unqueue(e);
	e->due_ms = due_ms;
	if (!e->looked && !e->counted && !e->aside) {
		e->counted = true;
		e->all->unlooked++;
	}
	e->dirty = true;
	e->background = false;
	e->calm = false;
	entry_queue(e);
}

void entry_make_due_in_background(struct entry *e, int64_t due_ms)
{
	entry_make_due(e, due_ms);
	e->background = e->remote;
}

void entry_make_urgent(struct entry *e)
{
	bool moves = e->unquiet_ms != 0 || e->busy || e->vanished;

	if (!e->dirty || !moves || e->due_ms <= entries_now(e->all))
		entry_make_due(e, DUE_URGENT);
}

struct entry *entry_new(struct entries *all, const char *path)
{
	struct entry *e = all->n < ENTRIES_MAX ? mem_calloc(1, sizeof *e) : NULL;

	if (e == NULL || (e->path = mem_strdup(path)) == NULL) {
		mem_free(e);
		return NULL;
	}
	e->all = all;
	e->held = HELD_HISTORY_NONE;
	e->meta = e->site = e->prefix = (struct watch_user){WATCH_USER_ENTRY, WATCH_NONE, e};
	e->first_seen_ms = entries_now(all);
	e->at_start = all->at_start;
	RB_INSERT(path_tree, &all->paths, e);
	all->n++;
	return e;
}

void entry_change_path(struct entry *e, char *path)
{
	entry_unqueue(e);
	RB_REMOVE(path_tree, &e->all->paths, e);
	mem_free(e->path);
	e->path = path;
	RB_INSERT(path_tree, &e->all->paths, e);
	entry_queue(e);
}

struct entry *entries_first_due(const struct entries *all)
{
	return RB_MIN(due_tree, (struct due_tree *)&all->due);
}

void entries_make_room_for_plain(struct entries *all)
{
	struct entry *oldest = NULL;
	struct entry *e;

	if (all->plain < PLAIN_MAX)
		return;
	RB_FOREACH(e, due_tree, &all->due)
	{
		if (e->plain && (oldest == NULL || e->first_seen_ms < oldest->first_seen_ms))
			oldest = e;
	}
	if (oldest != NULL)
		entry_drop(oldest, ERR_NOTFOUND);
}

/* --- watches --- */

void entry_unwatch(struct entries *all, struct watch_user *user)
{
	if (user->watch != WATCH_NONE && all->watcher != NULL)
		watcher_remove(all->watcher, user->watch, user);
	user->watch = WATCH_NONE;
}

/*
 * Takes over the watch a look has placed. If it is not the one there was, that one is of a
 * directory that is not at the path any more, however that came about: an end, or a move, may have
 * been among events that were lost. False: it can't be watched.
 */
static bool adopt_watch(struct entry *e, struct look_watch *placed, struct watch_user *user)
{
	struct entries *all = e->all;
	bool missed = false;

	if (user->watch != WATCH_NONE &&
	    (placed->rc == 1 || (placed->rc == 0 && placed->watch == user->watch))) {
		placed->rc = 1;
		return true;
	}
	entry_unwatch(all, user);
	if (placed->rc == 0 && all->watcher != NULL) {
		placed->rc =
			watcher_adopt(all->watcher, placed->watch, placed->flags, user, &missed);
		missed = missed || placed->rc == ERR_NOTFOUND;
	}
	if (placed->rc == 0)
		user->watch = placed->watch;
	if (missed) { /* what was read may be torn */
		e->events++;
		e->event_ms = entries_now(all);
	}
	if (placed->rc == ERR_LIMIT) {
		e->no_room = true;
		if (!all->told_exhausted)
			log_warn("watch", "no watches left, polling", LOG_STR("prefix", e->path));
		all->told_exhausted = true;
	}
	return placed->rc == 0;
}

void entry_adopt_watches(struct entry *e, struct look_job *job)
{
	struct entries *all = e->all;
	bool there = job->meta.rc != ERR_NOTFOUND && job->meta.rc != ERR_INVALID;

	e->no_room = false;
	e->polled = !adopt_watch(e, &job->meta, &e->meta) && there;
	if (!there)
		(void)adopt_watch(e, &job->folder, &e->prefix);
	else
		entry_unwatch(all, &e->prefix);
	if (job->site.rc == 1)
		return;
	e->polled = !adopt_watch(e, &job->site, &e->site) || e->polled;
	e->site_dev = job->site_dev;
	e->site_ino = job->site_ino;
}

void entries_discard_watches(const struct entries *all, const struct look_job *job)
{
	const struct look_watch *placed[] = {&job->meta, &job->site, &job->folder};

	for (size_t i = 0; i < ARRAY_SIZE(placed); i++)
		if (placed[i]->rc == 0 && all->watcher != NULL)
			watcher_discard(all->watcher, placed[i]->watch);
}
