#include "agent/reader/entries.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>
#include <uv/tree.h>

#include "agent/reader/askers.h"
#include "agent/reader/entries_impl.h"
#include "agent/reader/look_job.h"
#include "agent/reader/watch_user.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/conda/record.h"

#define PLAIN_MS (10 * 60 * 1000) /* how long a folder may take to become an environment */
#define HELD_MAX 64		  /* histories held open at a time */
#define GONE_GRACE_SETTLES 2	  /* settle times before "gone" is told: a move shows up by then */
#define PLAIN_MAX 512		  /* ... and how many such folders are watched meanwhile */
#define READ_PATIENCE_MS 30000	  /* how long an asker waits for a prefix to settle */
#define QUIET_MAX_SETTLES 240	  /* settle times after which an unquiet prefix is looked at */
#define OVERDUE_MS (2 * SETTLE_STALE_MS) /* unsettled for longer: it is read as it is */
#define TORN_MAX 8    /* looks with events meanwhile before one counts all the same */
#define RETRY_MS 1000 /* after a look that failed; doubles each time */
#define RETRY_DOUBLES_MAX 11
#define DUE_URGENT INT64_MIN /* before all others */

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

static void pump(struct entries *all);

static int64_t now_mono(const struct entries *all)
{
	return all->config.clock->mono_ms(all->config.clock);
}

/* --- table --- */

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

static void drop_watch(struct entries *all, struct watch_user *user)
{
	if (user->watch != WATCH_NONE && all->watcher != NULL)
		watcher_remove(all->watcher, user->watch, user);
	user->watch = WATCH_NONE;
}

static void leave_inodes(struct entry *e)
{
	if (e->ino != 0)
		RB_REMOVE(inode_tree, &e->all->inodes, e);
	e->ino = 0;
}

static void answer_askers(struct entry *e, int rc)
{
	struct entries *all = e->all;
	uint64_t id;

	while (askers_take(&e->askers, INT64_MAX, &id))
		if (!all->stopping)
			all->config.callbacks->read_done(all->config.ctx, id, rc, e->path);
}

static void unqueue(struct entry *e)
{
	if (e->queued)
		RB_REMOVE(due_tree, &e->all->due, e);
	e->queued = false;
	(void)lanes_cancel(&e->piece);
}

static void queue(struct entry *e)
{
	if (e->queued || !e->dirty || piece_is_out(&e->piece))
		return;
	RB_INSERT(due_tree, &e->all->due, e);
	e->queued = true;
}

static void undirty(struct entry *e)
{
	unqueue(e);
	e->dirty = false;
}

static void uncount(struct entry *e)
{
	e->all->unlooked -= e->counted;
	e->counted = false;
}

static void set_plain(struct entry *e, bool plain)
{
	e->all->plain += plain;
	e->all->plain -= e->plain;
	e->plain = plain;
}

/* Nothing happens there any more. */
static void let_go(struct entry *e)
{
	e->all->held -= held_history_is_open(&e->held);
	held_history_close(&e->held);
	e->to_hold = false;
}

static void entry_free(struct entry *e)
{
	let_go(e);
	mem_free(e->last);
	mem_free(e->path);
	mem_free(e->site_path);
	mem_free(e->moved_from);
	mem_free(e);
}

/*
 * It was told at another path. Whether this was a move, the facts of the new path have told; if it
 * was not (an inode is used again), or if there are none, the old one is gone.
 */
static void moved_from_is_gone(struct entry *e)
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

/* Out of the table; freed now, or when its job comes back. */
static void entry_drop(struct entry *e, int rc_for_askers)
{
	struct entries *all = e->all;

	moved_from_is_gone(e);
	drop_watch(all, &e->meta);
	drop_watch(all, &e->site);
	drop_watch(all, &e->prefix);
	undirty(e);
	uncount(e);
	set_plain(e, false);
	leave_inodes(e);
	RB_REMOVE(path_tree, &all->paths, e);
	all->n--;
	answer_askers(e, rc_for_askers);
	if (e->job != NULL)
		e->forgotten = true;
	else
		entry_free(e);
}

static void make_due(struct entry *e, int64_t due_ms)
{
	unqueue(e);
	e->due_ms = due_ms;
	if (!e->looked && !e->counted && !e->aside) {
		e->counted = true;
		e->all->unlooked++;
	}
	e->dirty = true;
	e->background = false;
	queue(e);
}

/* When there is time for it: nothing says that it has changed. */
static void make_due_in_background(struct entry *e, int64_t due_ms)
{
	make_due(e, due_ms);
	e->background = e->remote;
}

/* Somebody waits for it. What is in the middle of something is not looked at earlier for that. */
static void make_urgent(struct entry *e)
{
	bool moves = e->unquiet_ms != 0 || e->busy || e->vanished;

	if (!e->dirty || !moves || e->due_ms <= now_mono(e->all))
		make_due(e, DUE_URGENT);
}

static struct entry *entry_new(struct entries *all, const char *path)
{
	struct entry *e = all->n < ENTRIES_MAX ? mem_calloc(1, sizeof *e) : NULL;

	if (e == NULL || (e->path = mem_strdup(path)) == NULL) {
		mem_free(e);
		return NULL;
	}
	e->all = all;
	e->held = HELD_HISTORY_NONE;
	e->meta = e->site = e->prefix = (struct watch_user){WATCH_USER_ENTRY, WATCH_NONE, e};
	e->first_seen_ms = now_mono(all);
	e->at_start = all->at_start;
	RB_INSERT(path_tree, &all->paths, e);
	all->n++;
	return e;
}

/* --- watches --- */

/* Takes over the watch a look has placed. False: it can't be watched. */
static bool adopt_watch(struct entry *e, struct look_watch *placed, struct watch_user *user,
			unsigned flags)
{
	struct entries *all = e->all;
	bool missed = false;

	if (user->watch != WATCH_NONE)
		return true;
	if (placed->rc == 0 && all->watcher != NULL)
		placed->rc = watcher_adopt(all->watcher, placed->watch, flags, user, &missed);
	if (placed->rc == 0)
		user->watch = placed->watch;
	e->events += missed; /* what was read may be torn */
	if (placed->rc == ERR_LIMIT) {
		e->no_room = true;
		if (!all->told_exhausted)
			log_warn("watch", "no watches left, polling", LOG_STR("prefix", e->path));
		all->told_exhausted = true;
	}
	return placed->rc == 0;
}

static void adopt_watches(struct entry *e, struct look_job *job)
{
	struct entries *all = e->all;
	bool there = job->meta.rc != ERR_NOTFOUND && job->meta.rc != ERR_INVALID;

	e->no_room = false;
	e->polled = !adopt_watch(e, &job->meta, &e->meta, 0) && there;
	if (!there)
		(void)adopt_watch(e, &job->folder, &e->prefix, WATCH_FOLDERS);
	else
		drop_watch(all, &e->prefix);
	if (job->site.rc != 1 && !adopt_watch(e, &job->site, &e->site, 0))
		e->polled = true;
}

static void discard_watches(const struct entries *all, const struct look_job *job)
{
	const struct look_watch *placed[] = {&job->meta, &job->site, &job->folder};

	for (size_t i = 0; i < ARRAY_SIZE(placed); i++)
		if (placed[i]->rc == 0 && all->watcher != NULL)
			watcher_discard(all->watcher, placed[i]->watch);
}

/* --- looking --- */

/* What is left of it is a folder like any other. What was told may be another than was seen last.
 */
static void entry_gone(struct entry *e)
{
	struct entries *all = e->all;

	all->config.callbacks->gone(all->config.ctx, &(struct entries_gone){.prefix = e->path,
									    .dev = e->told_dev,
									    .ino = e->told_ino,
									    .last = e->last});
	let_go(e);
	leave_inodes(e);
	e->known = false;
	e->whole = false;
	e->vanished = false;
	e->has_stamp = false;
	e->first_seen_ms = now_mono(all);
}

/* Room for one more folder that may become an environment: the one that has had longest goes. */
static void make_room_for_plain(struct entries *all)
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

/* Whether the file system its facts are from is not mounted where it was. */
static bool is_unmounted(const struct entry *e)
{
	static const unsigned char none[MOUNT_VOLUME_SIZE];
	const struct mount *m = mount_table_find(lanes_table(e->all->config.lanes), e->path);

	return m != NULL && memcmp(e->volume, none, sizeof none) != 0 &&
	       memcmp(e->volume, m->volume, sizeof none) != 0;
}

static void tell_away(struct entry *e, bool away)
{
	if (e->away != away)
		e->all->config.callbacks->away(e->all->config.ctx, e->path, away);
	e->away = away;
}

/* It keeps its last facts until its file system is mounted again. */
static void go_away(struct entry *e)
{
	struct entries *all = e->all;

	drop_watch(all, &e->meta);
	drop_watch(all, &e->site);
	drop_watch(all, &e->prefix);
	undirty(e);
	uncount(e);
	let_go(e);
	e->looked = true;
	e->busy = false;
	e->vanished = false;
	tell_away(e, true);
	answer_askers(e, ERR_UNREACHABLE);
}

static void found_nothing(struct entry *e, enum examine_kind kind)
{
	struct entries *all = e->all;
	int64_t now = now_mono(all);

	if (is_unmounted(e)) {
		go_away(e);
		return;
	}
	drop_watch(all, &e->meta);
	drop_watch(all, &e->site);
	e->busy = false;
	tell_away(e, false);
	if (e->known && !e->vanished) {
		/* It may have been moved or renamed: whatever took its place speaks up by then. */
		e->vanished = true;
		make_due(e, now + GONE_GRACE_SETTLES * all->config.settle_ms);
		return;
	}
	if (e->known)
		entry_gone(e);
	memset(e->volume, 0, sizeof e->volume);
	if (kind == EXAMINE_PLAIN && now - e->first_seen_ms < PLAIN_MS &&
	    e->prefix.watch != WATCH_NONE) {
		answer_askers(e, ERR_NOTFOUND);
		if (!e->plain)
			make_room_for_plain(all);
		set_plain(e, true);
		make_due(e, e->first_seen_ms + PLAIN_MS);
	} else {
		entry_drop(e, ERR_NOTFOUND);
	}
}

/*
 * Whether the other path still leads to this directory is seen by looking there; if it does, this
 * one is but another name of it.
 */
static bool wait_for_other(struct entry *e, struct entry *other)
{
	struct entries *all = e->all;

	/* An old entry can lead to another directory than it did. */
	if (e->twin_ino != other->ino || e->twin_dev != other->dev) {
		e->twin_dev = other->dev;
		e->twin_ino = other->ino;
		e->twin_ms = now_mono(all);
	}
	if (other->began_ms > e->twin_ms && other->job == NULL) {
		if (e->known)
			entry_gone(e);
		askers_give(&e->askers, &other->askers);
		if (other->askers != NULL)
			make_urgent(other);
		entry_drop(e, 0);
		return false;
	}
	make_due(other, DUE_URGENT);
	make_due(e, now_mono(all) + all->config.settle_ms);
	e->busy = true;
	return false;
}

/* What was told of the old path is the new one's to settle: by its facts, or as gone. */
static void take_place(struct entry *e, struct entry *old)
{
	moved_from_is_gone(e);
	if (old->known) {
		old->moved_from = mem_strdup(old->path); /* no memory: the next scan misses it */
		old->moved_dev = old->told_dev;
		old->moved_ino = old->told_ino;
	}
	e->moved_from = old->moved_from;
	e->moved_dev = old->moved_dev;
	e->moved_ino = old->moved_ino;
	old->moved_from = NULL;
}

/* It is known by another path now. What its old one leads to, nobody has looked at: the hints about
 * that went to this entry. */
static void leave_path(struct entry *old)
{
	struct entries *all = old->all;
	char *path = mem_strdup(old->path);
	struct entry *fresh;

	entry_drop(old, 0);
	fresh = path != NULL ? entry_new(all, path) : NULL;
	if (fresh != NULL)
		make_due(fresh, now_mono(all));
	mem_free(path);
}

/* Another directory is at its path now, which has not been settled yet. */
static bool leads_elsewhere(const struct entry *e)
{
	return e->found_ino != 0 && (e->found_ino != e->ino || e->found_dev != e->dev);
}

/* What it was known by has gone to another entry: the path is one that was never seen. */
static void begin_anew(struct entry *e)
{
	let_go(e);
	leave_inodes(e);
	e->known = false;
	e->whole = false;
	e->vanished = false;
	e->has_stamp = false;
	e->first_seen_ms = now_mono(e->all);
	make_due(e, now_mono(e->all));
}

/* The same directory is known by another path: an alias of it (then this one goes), or its old one.
 */
static bool settle_aliases(struct entry *e, const struct look_job *job)
{
	struct entries *all = e->all;
	struct entry *same = entries_find(all, job->canonical);
	bool other = false;

	e->found_dev = job->dev;
	e->found_ino = job->ino;
	if (same != NULL && same != e) {
		askers_give(&e->askers,
			    &same->askers); /* whoever asked by this name is answered by that one */
		if (same->askers != NULL)
			make_urgent(same);
		entry_drop(e, 0);
		return false;
	}
	if (same == NULL) { /* found through a link: known by its real name from now on */
		char *path = mem_strdup(job->canonical);

		if (path == NULL)
			return true;
		unqueue(e);
		RB_REMOVE(path_tree, &all->paths, e);
		mem_free(e->path);
		e->path = path;
		RB_INSERT(path_tree, &all->paths, e);
		queue(e);
	}
	same = entries_find_inode(all, job->dev, job->ino);
	if (same != NULL && same != e && leads_elsewhere(same)) {
		take_place(e, same);
		begin_anew(same);
	} else if (same != NULL && same != e) {
		/* Two paths, one directory: moved, unless the old one still leads there. */
		if (!same->vanished)
			return wait_for_other(e, same);
		askers_give(&same->askers, &e->askers);
		take_place(e, same);
		leave_path(same);
	}
	if (e->ino != job->ino || e->dev != job->dev) {
		other = e->ino != 0;
		leave_inodes(e);
		e->dev = job->dev;
		e->ino = job->ino;
		if (e->ino != 0)
			RB_INSERT(inode_tree, &all->inodes, e);
	}
	if (other) {
		/* What is watched moved away with the one that was there: look with new watches. */
		drop_watch(all, &e->meta);
		drop_watch(all, &e->site);
		make_due(e, now_mono(all));
		e->busy = true;
	}
	return !other;
}

static void send_facts(struct entry *e, struct look_job *job)
{
	struct entries *all = e->all;
	bool first = !e->known;
	struct entry *source;

	let_go(e);
	e->busy = false;
	e->reads = 0;
	e->unsettled_ms = 0;
	e->vanished = false;
	e->known = true;
	e->told_dev = job->dev;
	e->told_ino = job->ino;
	set_plain(e, false);
	e->whole = !job->empty_meta;
	e->has_stamp = true;
	e->mount = job->mount;
	e->automount = job->by_automount;
	memcpy(e->volume, job->volume, sizeof e->volume);
	memcpy(e->stamp, job->stamp, sizeof e->stamp);
	all->config.callbacks->facts(all->config.ctx, &job->frames);
	moved_from_is_gone(e);
	if (job->renamed_from[0] != '\0' &&
	    (source = entries_find(all, job->renamed_from)) != NULL && source != e)
		make_due(source, now_mono(all)); /* something new may be there already */
	answer_askers(e, 0);
	if (first)
		all->config.callbacks->environment(all->config.ctx, e->path);
}

/* Between three and five quarters of it: what was found together is not polled together. */
static int64_t spread(const struct entry *e, int64_t ms)
{
	uint32_t hash = 2166136261u;

	for (const char *c = e->path; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	hash ^= (uint32_t)e->began_ms * 2654435761u;
	return ms * 3 / 4 + (int64_t)(hash % 1024) * ms / 2 / 1024;
}

static void after_clean(struct entry *e)
{
	struct entries *all = e->all;

	e->at_start = false;
	tell_away(e, false);
	e->polled = e->polled || e->remote;
	if (e->polled && !e->automount)
		make_due_in_background(e, now_mono(all) + spread(e, all->config.poll_ms));
}

/* A prefix that just came into being is looked at once, to be watched; that is no quiet time. */
static bool just_came(const struct entry *e)
{
	return !e->known && !e->at_start && e->askers == NULL &&
	       now_mono(e->all) - e->first_seen_ms < e->all->config.settle_ms;
}

/* Whoever has waited long enough for it to settle hears that it is busy. */
static void answer_impatient(struct entry *e)
{
	struct entries *all = e->all;
	uint64_t id;

	while (askers_take(&e->askers, now_mono(all) - READ_PATIENCE_MS, &id))
		all->config.callbacks->read_done(all->config.ctx, id, ERR_BUSY, e->path);
}

/* Another Python has another site-packages, while the old one may stay, and be watched. */
static bool site_moved(struct entry *e, const char *path)
{
	bool moved = e->site_path != NULL && strcmp(e->site_path, path) != 0;

	if (e->site_path == NULL || moved) {
		mem_free(e->site_path);
		e->site_path = mem_strdup(path);
	}
	return moved;
}

static void found_environment(struct entry *e, struct look_job *job)
{
	struct entries *all = e->all;

	if (job->is_cache) {
		entry_drop(e, ERR_NOTFOUND);
		return;
	}
	if (!settle_aliases(e, job))
		return;
	if (site_moved(e, job->site_packages) && job->site.rc == 1) {
		drop_watch(all, &e->site);
		make_due(e, now_mono(all));
		e->busy = true;
		return;
	}
	if (job->verdict.reason != SETTLE_READY) {
		answer_impatient(e);
		if (e->unsettled_ms == 0)
			e->unsettled_ms = now_mono(all);
		e->busy = true;
		e->reads = job->unreadable > 0 ? e->reads + 1 : 0;
		make_due(e, now_mono(all) + job->verdict.wait_ms);
		return;
	}
	if (just_came(e)) {
		e->busy = true;
		make_due(e, e->first_seen_ms + all->config.settle_ms);
		return;
	}
	send_facts(e, job);
	if (job->site.rc == 0)
		make_due(e, now_mono(all)); /* what came before the watch; costs one listing */
	else
		after_clean(e);
}

static void found_failure(struct entry *e, struct look_job *job)
{
	int64_t wait = RETRY_MS;

	for (unsigned i = 0; i < e->failures && i < RETRY_DOUBLES_MAX; i++)
		wait *= 2;
	if (e->failures++ == 0)
		log_warn("reader", "prefix not read", LOG_STR("prefix", e->path),
			 LOG_ERR(&job->err));
	e->busy = false;
	answer_askers(e, job->rc);
	make_due(e, now_mono(e->all) + wait);
}

static void found(struct entry *e, struct look_job *job)
{
	if (job->rc < 0) {
		found_failure(e, job);
		return;
	}
	e->failures = 0;
	e->denied = job->kind == EXAMINE_DENIED;
	e->remote = job->fs == FS_NETWORK || job->fs == FS_FUSE;
	switch (job->kind) {
	case EXAMINE_NOTHING:
	case EXAMINE_PLAIN:
		found_nothing(e, job->kind);
		break;
	case EXAMINE_DENIED:
		if (e->asked_for && !e->known) {
			entry_drop(e, ERR_PERM); /* anybody may name any path */
			break;
		}
		e->busy = false; /* the sweep looks whether that has changed */
		answer_askers(e, ERR_PERM);
		break;
	case EXAMINE_UNCHANGED:
		let_go(e);
		e->busy = false;
		e->unsettled_ms = 0;
		e->vanished = false;
		e->mount = job->mount;
		answer_askers(e, 0);
		after_clean(e);
		break;
	case EXAMINE_ENVIRONMENT:
		found_environment(e, job);
		break;
	}
}

/* A run may last long after it has told what it is, or be seen in its last moment only. */
static void take_last(struct entry *e, struct look_job *job)
{
	if (job->rc < 0 || (job->last == NULL && job->kind != EXAMINE_ENVIRONMENT))
		return;
	mem_free(e->last);
	e->last = job->last;
	job->last = NULL;
}

static void take_look(struct entry *e, struct look_job *job)
{
	bool torn = e->events != e->job_events && job->rc == 0;

	uncount(e);
	e->looked = true;
	e->aside = false;
	queue(e); /* what was made due meanwhile */
	take_last(e, job);
	if (torn && e->torn++ < TORN_MAX) {
		/* Something happened meanwhile: what was read may be torn. */
		e->busy = true;
		make_due(e, e->event_ms + e->all->config.settle_ms);
		return;
	}
	e->torn = 0;
	if (!torn)
		e->unquiet_ms = 0;
	found(e, job);
}

static void maybe_stopped(struct entries *all);
static void on_timer(uv_timer_t *timer);

static void give_back(struct entries *all, struct json_reader *json)
{
	for (size_t i = 0; i < IDLE_READERS; i++) {
		if (all->json[i] == NULL) {
			all->json[i] = json;
			return;
		}
	}
	json_reader_free(json);
}

static struct json_reader *take_json(struct entries *all)
{
	struct json_reader *json = NULL;

	for (size_t i = 0; i < IDLE_READERS; i++) {
		if (all->json[i] != NULL) {
			json = all->json[i];
			all->json[i] = NULL;
			return json;
		}
	}
	return json_reader_new(&record_limits, &json) < 0 ? NULL : json;
}

static void job_free(struct entries *all, struct look_job *job)
{
	buf_deinit(&job->frames);
	mem_free(job->last);
	give_back(all, job->json);
	mem_free(job);
}

/* It may not be looked at: it is on what would have to be mounted first. */
static void found_refused(struct entry *e)
{
	if (e->known || is_unmounted(e))
		go_away(e);
	else
		entry_drop(e, ERR_UNREACHABLE);
}

static void on_looked(struct piece *piece)
{
	struct entry *e = container_of(piece, struct entry, piece);
	struct entries *all = e->all;
	struct look_job *job = e->job;
	bool ran = piece->end == PIECE_RAN;

	if (ran && !job->hold && !all->stopping && job->rc == 0 &&
	    (job->kind == EXAMINE_NOTHING || job->kind == EXAMINE_PLAIN))
		all->config.callbacks->refresh_mounts(all->config.ctx);
	all->under_way--;
	e->job = NULL;
	e->held = job->held;
	all->held += held_history_is_open(&e->held);
	if (e->forgotten || all->stopping) {
		if (ran && !job->hold)
			discard_watches(all, job);
		if (e->forgotten)
			entry_free(e);
	} else if (ran && job->hold) {
		make_due(e, e->event_ms + all->config.settle_ms);
	} else if (ran) {
		e->stats = (uint32_t)piece->stats;
		adopt_watches(e, job);
		take_look(e, job);
	} else {
		found_refused(e);
	}
	job_free(all, job);
	if (all->stopping)
		maybe_stopped(all);
	else
		pump(all);
}

/* Nothing is known to wait for it any more; it is looked at when it answers. */
static void on_stuck(struct piece *piece)
{
	struct entry *e = container_of(piece, struct entry, piece);
	struct entries *all = e->all;

	if (e->forgotten || all->stopping)
		return;
	uncount(e);
	e->aside = true;
	answer_askers(e, ERR_UNREACHABLE);
	if (entries_all_looked(all))
		all->config.callbacks->caught_up(all->config.ctx);
}

static void on_run(struct piece *piece)
{
	struct look_job *job = container_of(piece, struct entry, piece)->job;

	job->mounts = piece->table;
	look_job_run(job);
	piece->stats = job->stats;
}

static struct look_job *job_new(struct entry *e)
{
	struct entries *all = e->all;
	struct look_job *job = mem_calloc(1, sizeof *job);
	const struct clock *clock = all->config.clock;

	if (job == NULL || (job->json = take_json(all)) == NULL) {
		mem_free(job);
		return NULL;
	}
	(void)snprintf(job->prefix, sizeof job->prefix, "%s", e->path);
	job->watcher = all->watcher;
	job->exclude = all->config.exclude;
	job->meta.wanted = e->meta.watch == WATCH_NONE;
	job->site.wanted = e->site.watch == WATCH_NONE;
	job->folder.wanted = e->prefix.watch == WATCH_NONE;
	job->recall = all->config.recall;
	job->now_ms = clock->wall_ms(clock);
	job->reads = e->reads;
	job->known = e->known && e->whole;
	job->known_dev = e->told_dev;
	job->known_ino = e->told_ino;
	job->at_start = e->at_start;
	job->overdue = e->unsettled_ms != 0 && now_mono(all) - e->unsettled_ms > OVERDUE_MS;
	job->hold = e->to_hold;
	job->held = e->held;
	all->held -= held_history_is_open(&e->held);
	e->held = HELD_HISTORY_NONE;
	e->to_hold = false;
	job->has_stamp = e->has_stamp && e->askers == NULL;
	memcpy(job->stamp, e->stamp, sizeof job->stamp);
	return job;
}

static bool on_begin(struct piece *piece)
{
	struct entry *e = container_of(piece, struct entry, piece);
	struct entries *all = e->all;

	if (!all->config.callbacks->may_send(all->config.ctx))
		return false;
	e->job = job_new(e);
	if (e->job == NULL) {
		all->short_of_memory = true;
		uv_timer_start(&all->timer, on_timer, RETRY_MS, 0);
		return false;
	}
	piece->path = e->job->prefix;
	e->dirty = false;
	e->began_ms = now_mono(all);
	e->job_events = e->events;
	all->under_way++;
	return true;
}

/* --- when --- */

static void on_timer(uv_timer_t *timer)
{
	pump(timer->data);
}

static struct entry *next_due(struct entries *all, int64_t now, int64_t *wait_ms)
{
	struct entry *first = RB_MIN(due_tree, &all->due);

	*wait_ms = first == NULL || first->due_ms <= now ? INT64_MAX : first->due_ms - now;
	return first != NULL && first->due_ms <= now ? first : NULL;
}

bool entries_all_looked(const struct entries *all)
{
	return all->unlooked == 0;
}

static void hand_over(struct entry *e)
{
	struct entries *all = e->all;
	int rc;

	unqueue(e);
	e->piece.rank = e->background ? PIECE_BACKGROUND : PIECE_LOOK;
	e->piece.begin = on_begin;
	e->piece.run = on_run;
	e->piece.done = on_looked;
	e->piece.stuck = on_stuck;
	rc = lanes_submit(all->config.lanes, &e->piece, e->path, e->due_ms == DUE_URGENT);
	if (rc == ERR_UNREACHABLE)
		found_refused(e);
	else if (rc < 0)
		make_due(e, now_mono(all) + RETRY_MS);
	else if (lanes_stuck(all->config.lanes, lanes_group(all->config.lanes, e->path)))
		on_stuck(&e->piece);
}

static void pump(struct entries *all)
{
	int64_t wait_ms = INT64_MAX;
	struct entry *e;

	if (all->stopping || all->pumping)
		return;
	all->pumping = true;
	if (all->short_of_memory) {
		all->short_of_memory = false;
		lanes_go_on(all->config.lanes);
	}
	while ((e = next_due(all, now_mono(all), &wait_ms)) != NULL)
		hand_over(e);
	all->pumping = false;
	if (all->short_of_memory && wait_ms > RETRY_MS)
		wait_ms = RETRY_MS;
	if (wait_ms != INT64_MAX)
		uv_timer_start(&all->timer, on_timer, (uint64_t)(wait_ms > 0 ? wait_ms : 1), 0);
	if (entries_all_looked(all))
		all->config.callbacks->caught_up(all->config.ctx);
}

void entries_go_on(struct entries *all)
{
	lanes_go_on(all->config.lanes);
	pump(all);
}

/* --- hints --- */

static void hint(struct entry *e)
{
	struct entries *all = e->all;
	int64_t now = now_mono(all);
	int64_t due = now + all->config.settle_ms;
	int64_t latest;

	e->events++;
	e->event_ms = now;
	if (e->unquiet_ms == 0) {
		e->unquiet_ms = now;
		e->to_hold = e->known && !e->remote && all->held < HELD_MAX &&
			     !held_history_is_open(&e->held);
	}
	/* One that is never quiet is looked at now and then all the same. */
	latest = e->unquiet_ms + QUIET_MAX_SETTLES * all->config.settle_ms;
	if (due > latest)
		due = latest > now ? latest : e->dirty ? e->due_ms : now;
	make_due(e, e->to_hold ? now : due);
}

void entries_watched(struct watch_user *user, enum watch_kind kind)
{
	struct entry *e = user->owner;

	if (kind == WATCH_GONE)
		user->watch = WATCH_NONE;
	hint(e);
	pump(e->all);
}

void entries_touched(struct entries *all, const char *path)
{
	struct entry *e = entries_find(all, path);

	if (e != NULL)
		hint(e);
	pump(all);
}

void entries_sweep(struct entries *all)
{
	struct entry *e;

	all->told_exhausted = false;
	RB_FOREACH(e, path_tree, &all->paths)
	{
		if (!e->dirty && !e->away && !e->automount)
			make_due_in_background(e, now_mono(all));
	}
	pump(all);
}

void entries_mounts_changed(struct entries *all)
{
	const struct mount_table *table = lanes_table(all->config.lanes);
	struct entry *e;

	RB_FOREACH(e, path_tree, &all->paths)
	{
		const struct mount *m = mount_table_find(table, e->path);

		/* A change of where it is, or of what hangs: looked at whatever is due for it. */
		if (m == NULL || (m->id == e->mount && !e->away) || (e->mount == 0 && !e->away) ||
		    (e->away && is_unmounted(e)))
			continue;
		e->mount = m->id;
		if (e->job == NULL)
			make_due(e, now_mono(all));
		else
			e->events++; /* what is being read is of before */
	}
	pump(all);
}

int entries_candidate(struct entries *all, const char *path, bool urgent)
{
	struct entry *e = entries_find(all, path);

	if (e == NULL) {
		e = entry_new(all, path);
		if (e == NULL)
			return ERR_NOMEM;
		make_due(e, now_mono(all));
	}
	if (urgent && !e->looked)
		make_urgent(e);
	pump(all);
	return 0;
}

void entries_read(struct entries *all, const char *path, const unsigned char *volume, uint64_t id)
{
	struct entry *e = entries_find(all, path);

	if (e == NULL && (e = entry_new(all, path)) != NULL)
		e->asked_for = true;
	if (e == NULL || askers_add(&e->askers, id, now_mono(all)) < 0)
		all->config.callbacks->read_done(all->config.ctx, id, ERR_BUSY, path);
	if (e == NULL)
		return;
	if (!e->known && volume != NULL)
		memcpy(e->volume, volume, sizeof e->volume);
	if (e->aside && piece_is_out(&e->piece)) /* its look hangs: nobody waits for that */
		answer_askers(e, ERR_UNREACHABLE);
	else
		make_urgent(e);
	pump(all);
}

/* --- life --- */

int entries_new(const struct entries_config *config, struct entries **out, struct err *err)
{
	struct entries *all = mem_calloc(1, sizeof *all);

	if (all == NULL)
		return err_nomem(err);
	all->config = *config;
	RB_INIT(&all->paths);
	RB_INIT(&all->inodes);
	RB_INIT(&all->due);
	CHECK(uv_timer_init(config->loop, &all->timer) == 0);
	all->timer.data = all;
	*out = all;
	return 0;
}

void entries_set_watcher(struct entries *all, struct watcher *watcher)
{
	all->watcher = watcher;
}

void entries_set_at_start(struct entries *all, bool at_start)
{
	all->at_start = at_start;
}

static void maybe_stopped(struct entries *all)
{
	void (*stopped)(void *) = all->stopped;
	void *owner = all->owner;

	if (!all->timer_closed || all->under_way > 0)
		return;
	while (!RB_EMPTY(&all->paths)) {
		struct entry *e = RB_MIN(path_tree, &all->paths);

		entry_drop(e, ERR_CANCELED);
	}
	for (size_t i = 0; i < IDLE_READERS; i++)
		json_reader_free(all->json[i]);
	mem_free(all);
	stopped(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct entries *all = handle->data;

	all->timer_closed = true;
	maybe_stopped(all);
}

void entries_stop(struct entries *all, void (*stopped)(void *owner), void *owner)
{
	struct entry *e;

	if (all->stopping)
		return;
	all->stopping = true;
	all->stopped = stopped;
	all->owner = owner;
	RB_FOREACH(e, path_tree, &all->paths)
	{
		unqueue(e);
	}
	uv_close((uv_handle_t *)&all->timer, on_timer_closed);
}
