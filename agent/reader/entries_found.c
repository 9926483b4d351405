/* What a look that has finished means for its entry, for others, and for the core. */
#include <string.h>

#include "agent/reader/askers.h"
#include "agent/reader/entries_impl.h"
#include "agent/reader/lanes.h"
#include "agent/reader/look_job.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define PLAIN_MS (10 * 60 * 1000) /* how long a folder may take to become an environment */
#define GONE_GRACE_SETTLES 2	  /* settle times before "gone" is told: a move shows up by then */
#define READ_PATIENCE_MS 30000	  /* how long an asker waits for a prefix to settle */
#define TORN_MAX 8		  /* looks with events meanwhile before one counts all the same */
#define RETRY_DOUBLES_MAX 11

/* --- there, gone, away --- */

static bool was_told(const struct entry *e)
{
	return e->known || e->expected;
}

/* What is there, the core has not heard of. */
static void be_untold(struct entry *e)
{
	entry_let_go(e);
	entry_leave_inodes(e);
	e->known = false;
	e->expected = false;
	e->whole = false;
	e->vanished = false;
	e->has_stamp = false;
	e->first_seen_ms = entries_now(e->all);
}

/* What is left of it is a folder like any other. What was told may be another than was seen last.
 */
static void entry_gone(struct entry *e)
{
	struct entries *all = e->all;

	all->config.callbacks->gone(all->config.ctx, &(struct entries_gone){.prefix = e->path,
									    .dev = e->told_dev,
									    .ino = e->told_ino,
									    .last = e->last});
	be_untold(e);
}

bool entry_is_unmounted(const struct entry *e)
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

	entry_unwatch(all, &e->meta);
	entry_unwatch(all, &e->site);
	entry_unwatch(all, &e->prefix);
	entry_undirty(e);
	entry_uncount(e);
	entry_let_go(e);
	e->looked = true;
	e->busy = false;
	e->vanished = false;
	tell_away(e, true);
	entry_answer(e, ERR_UNREACHABLE);
}

/* No environment, but a folder: is watched for a while, or forgotten. */
static void become_plain(struct entry *e)
{
	struct entries *all = e->all;

	entry_answer(e, ERR_NOTFOUND);
	if (!e->plain)
		entries_make_room_for_plain(all);
	entry_set_plain(e, true);
	entry_make_due(e, e->first_seen_ms + PLAIN_MS);
}

static void found_nothing(struct entry *e, const struct look_job *job)
{
	struct entries *all = e->all;
	int64_t now = entries_now(all);
	/* A conda-meta, of this folder or of another that was here: then the folder itself was not
	   marked, and what comes into it would go unseen. */
	bool unwatched = e->meta.watch != WATCH_NONE || job->meta.rc == 0;
	bool young;

	if (entry_is_unmounted(e)) {
		go_away(e);
		return;
	}
	entry_unwatch(all, &e->meta);
	entry_unwatch(all, &e->site);
	e->busy = false;
	tell_away(e, false);
	if ((was_told(e) || e->ino != 0 || e->moved_from != NULL) && !e->vanished) {
		/* It may have been moved or renamed: whatever took its place speaks up by then. */
		e->vanished = true;
		entry_make_due(e, now + GONE_GRACE_SETTLES * all->config.settle_ms);
		return;
	}
	entry_moved_from_is_gone(e);
	/* Who asks for one known from before is told by the answer, as long as it was never here.
	 */
	if (e->known || (e->expected && (e->ino != 0 || e->askers == NULL)))
		entry_gone(e);
	entry_leave_inodes(e);
	e->vanished = false;
	memset(e->volume, 0, sizeof e->volume);
	young = job->kind == EXAMINE_PLAIN && now - e->first_seen_ms < PLAIN_MS;
	if (young && e->prefix.watch != WATCH_NONE)
		become_plain(e);
	else if (young && unwatched)
		entry_make_due(e, now);
	else
		entry_drop(e, ERR_NOTFOUND);
}

/* --- moves, and other names --- */

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
		e->twin_ms = entries_now(all);
	}
	if (other->counted_ms > e->twin_ms && other->job == NULL) {
		if (was_told(e))
			entry_gone(e);
		askers_give(&e->askers, &other->askers);
		if (other->askers != NULL)
			entry_make_urgent(other);
		entry_drop(e, 0);
		return false;
	}
	entry_make_due(other, DUE_URGENT);
	entry_make_due(e, entries_now(all) + all->config.settle_ms);
	e->busy = true;
	return false;
}

/* What was told of the old path is the new one's to settle: by its facts, or as gone. They may be
 * one, whose path changes. */
static void take_place(struct entry *e, struct entry *old)
{
	entry_moved_from_is_gone(e);
	if (was_told(old) && old->moved_from != NULL) {
		entry_gone(old); /* what came there went on, what was there is nowhere */
	} else if (was_told(old)) {
		old->moved_from = mem_strdup(old->path); /* no memory: the next scan misses it */
		old->moved_dev = old->told_dev;
		old->moved_ino = old->told_ino;
	}
	if (e == old)
		return;
	e->moved_from = old->moved_from;
	e->moved_dev = old->moved_dev;
	e->moved_ino = old->moved_ino;
	old->moved_from = NULL;
	if (e->moved_from != NULL && strcmp(e->moved_from, e->path) == 0) { /* back again */
		mem_free(e->moved_from);
		e->moved_from = NULL;
	}
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
		entry_make_due(fresh, entries_now(all));
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
	be_untold(e);
	entry_make_due(e, entries_now(e->all));
}

/* Found by a name of its own: whoever asked by the other name is answered by that one, and what was
 * told by the other name is its to settle, too. */
static void join(struct entry *e, struct entry *same)
{
	askers_give(&e->askers, &same->askers);
	if (same->askers != NULL)
		entry_make_urgent(same);
	if (was_told(e)) {
		take_place(same, e);
		if (same->known) /* no more facts of it may come */
			entry_moved_from_is_gone(same);
	}
	entry_drop(e, 0);
}

/* Found through a link: known by its real name from now on. What was told by the other name was
 * something else, or has moved here. False: no memory. */
static bool take_real_name(struct entry *e, const char *canonical)
{
	char *path = mem_strdup(canonical);

	if (path == NULL)
		return false;
	if (was_told(e)) {
		take_place(e, e);
		be_untold(e);
	}
	entry_change_path(e, path);
	return true;
}

/* The same directory is known by another path: an alias of it (then this one goes), or its old one.
 */
static bool settle_aliases(struct entry *e, const struct look_job *job)
{
	struct entries *all = e->all;
	struct entry *same = entries_find(all, job->canonical);

	e->found_dev = job->dev;
	e->found_ino = job->ino;
	if (same != NULL && same != e) {
		join(e, same);
		return false;
	}
	if (same == NULL && !take_real_name(e, job->canonical))
		return true;
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
	if (e->ino != job->ino || e->dev != job->dev)
		entry_change_inode(e, job->dev, job->ino);
	return true;
}

/* --- facts --- */

static void send_facts(struct entry *e, struct look_job *job)
{
	struct entries *all = e->all;
	bool comes = !e->known || e->vanished;
	struct entry *source;

	entry_let_go(e);
	e->busy = false;
	e->reads = 0;
	e->unsettled_ms = 0;
	e->vanished = false;
	e->known = true;
	e->expected = false;
	e->told_dev = job->dev;
	e->told_ino = job->ino;
	entry_set_plain(e, false);
	e->whole = !job->empty_meta;
	e->has_stamp = true;
	e->mount = job->mount;
	e->automount = job->by_automount;
	memcpy(e->volume, job->volume, sizeof e->volume);
	memcpy(e->stamp, job->stamp, sizeof e->stamp);
	all->config.callbacks->facts(all->config.ctx, &job->frames);
	entry_moved_from_is_gone(e);
	if (job->renamed_from[0] != '\0' &&
	    (source = entries_find(all, job->renamed_from)) != NULL && source != e)
		entry_make_due(source, entries_now(all)); /* something new may be there already */
	entry_answer(e, 0);
	if (comes)
		all->config.callbacks->environment(all->config.ctx, e->path);
}

/* Not later than what has happened meanwhile asks for. */
static void look_again(struct entry *e, int64_t due_ms)
{
	if (!e->dirty || due_ms < e->due_ms)
		entry_make_due(e, due_ms);
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
	e->polled = e->polled || e->remote || e->meta.watch == WATCH_NONE;
	if (e->polled && !e->automount && !e->dirty)
		entry_make_due_in_background(e, entries_now(all) + spread(e, all->config.poll_ms));
}

/* A prefix that just came into being is looked at once, to be watched; that is no quiet time. */
static bool just_came(const struct entry *e)
{
	return !e->known && !e->at_start && e->askers == NULL &&
	       entries_now(e->all) - e->first_seen_ms < e->all->config.settle_ms;
}

/* Whoever has waited long enough for it to settle hears that it is busy. */
static void answer_impatient(struct entry *e)
{
	struct entries *all = e->all;
	uint64_t id;

	while (askers_take(&e->askers, entries_now(all) - READ_PATIENCE_MS, &id))
		all->config.callbacks->read_done(all->config.ctx, id, ERR_BUSY, e->path);
}

/*
 * Another Python has another site-packages, while the old one may stay, and be watched. False: the
 * watch is not on what the look found, another look will place it.
 */
static bool site_is_watched(struct entry *e, const struct look_job *job)
{
	if (e->site.watch == WATCH_NONE ||
	    (e->site_ino == job->site_ino && e->site_dev == job->site_dev))
		return true;
	entry_unwatch(e->all, &e->site);
	entry_make_due(e, entries_now(e->all));
	e->busy = true;
	return false;
}

/*
 * Of what came before the watch for site-packages nobody heard, nor of what comes into the folder
 * of a distribution that is there already (uv links RECORD first, and writes REQUESTED and more
 * then). Either costs another listing.
 */
static void after_facts(struct entry *e, const struct look_job *job)
{
	int64_t now = entries_now(e->all);

	after_clean(e);
	if (job->site.rc == 0) {
		entry_make_due(e, now);
	} else if (job->dist_age_ms >= 0 && job->dist_age_ms < SETTLE_HISTORY_MS && !e->dirty) {
		entry_make_due(e, now + SETTLE_HISTORY_MS - job->dist_age_ms);
		e->calm = true;
	}
}

static void found_environment(struct entry *e, struct look_job *job)
{
	struct entries *all = e->all;

	if (job->is_cache) {
		if (was_told(e))
			entry_gone(e);
		entry_drop(e, ERR_NOTFOUND);
		return;
	}
	if (!settle_aliases(e, job))
		return;
	if (!site_is_watched(e, job))
		return;
	if (job->verdict.reason != SETTLE_READY) {
		answer_impatient(e);
		if (e->unsettled_ms == 0)
			e->unsettled_ms = entries_now(all);
		e->busy = true;
		e->reads = job->unreadable > 0 ? e->reads + 1 : 0;
		look_again(e, entries_now(all) + job->verdict.wait_ms);
		return;
	}
	if (just_came(e)) {
		e->busy = true;
		entry_make_due(e, e->first_seen_ms + all->config.settle_ms);
		return;
	}
	send_facts(e, job);
	after_facts(e, job);
}

static void found_unchanged(struct entry *e, const struct look_job *job)
{
	bool comes = e->vanished;

	entry_let_go(e);
	e->unsettled_ms = 0;
	e->vanished = false;
	e->mount = job->mount;
	if (!site_is_watched(e, job))
		return;
	e->busy = false;
	entry_answer(e, 0);
	after_facts(e, job);
	if (comes)
		e->all->config.callbacks->environment(e->all->config.ctx, e->path);
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
	entry_answer(e, job->rc);
	entry_make_due(e, entries_now(e->all) + wait);
}

static void found(struct entry *e, struct look_job *job)
{
	if (job->rc < 0) {
		found_failure(e, job);
		return;
	}
	e->failures = 0;
	e->counted_ms = e->began_ms;
	e->denied = job->kind == EXAMINE_DENIED;
	e->remote = job->fs == FS_NETWORK || job->fs == FS_FUSE;
	switch (job->kind) {
	case EXAMINE_NOTHING:
	case EXAMINE_PLAIN:
		found_nothing(e, job);
		break;
	case EXAMINE_DENIED:
		if (e->asked_for && !e->known) {
			entry_drop(e, ERR_PERM); /* anybody may name any path */
			break;
		}
		e->busy = false; /* the sweep looks whether that has changed */
		entry_answer(e, ERR_PERM);
		break;
	case EXAMINE_UNCHANGED:
		found_unchanged(e, job);
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

void entry_take_look(struct entry *e, struct look_job *job)
{
	bool torn = e->events != e->job_events && job->rc == 0;

	entry_uncount(e);
	e->looked = true;
	e->aside = false;
	entry_queue(e); /* what was made due meanwhile */
	take_last(e, job);
	if (torn && e->torn++ < TORN_MAX) {
		/* Something happened meanwhile: what was read may be torn. */
		e->busy = true;
		entry_make_due(e, e->event_ms + e->all->config.settle_ms);
		return;
	}
	e->torn = 0;
	if (!torn)
		e->unquiet_ms = 0;
	found(e, job);
}

void entry_found_refused(struct entry *e)
{
	if (e->known || entry_is_unmounted(e))
		go_away(e);
	else
		entry_drop(e, ERR_UNREACHABLE);
}
