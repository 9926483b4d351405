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
#include "lib/base/mem.h"
#include "lib/conda/record.h"

#define HELD_MAX 64	      /* histories held open at a time */
#define QUIET_MAX_SETTLES 240 /* settle times after which an unquiet prefix is looked at */
#define OVERDUE_MS (2 * SETTLE_STALE_MS) /* unsettled for longer: it is read as it is */

static void pump(struct entries *all);
static void maybe_stopped(struct entries *all);
static void on_timer(uv_timer_t *timer);

/* --- a look --- */

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
			entries_discard_watches(all, job);
		if (e->forgotten)
			entry_free(e);
	} else if (ran && job->hold) {
		entry_make_due(e, e->event_ms + all->config.settle_ms);
	} else if (ran) {
		e->stats = (uint32_t)piece->stats;
		entry_adopt_watches(e, job);
		entry_take_look(e, job);
	} else {
		entry_found_refused(e);
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
	entry_uncount(e);
	e->aside = true;
	entry_answer(e, ERR_UNREACHABLE);
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
	job->recall = all->config.recall;
	job->now_ms = clock->wall_ms(clock);
	job->reads = e->reads;
	job->known = e->known && e->whole;
	job->known_dev = e->told_dev;
	job->known_ino = e->told_ino;
	job->at_start = e->at_start;
	job->overdue = e->unsettled_ms != 0 && entries_now(all) - e->unsettled_ms > OVERDUE_MS;
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
	e->began_ms = entries_now(all);
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
	struct entry *first = entries_first_due(all);

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

	entry_unqueue(e);
	e->piece.rank = e->background ? PIECE_BACKGROUND : PIECE_LOOK;
	e->piece.begin = on_begin;
	e->piece.run = on_run;
	e->piece.done = on_looked;
	e->piece.stuck = on_stuck;
	rc = lanes_submit(all->config.lanes, &e->piece, e->path, e->due_ms == DUE_URGENT);
	if (rc == ERR_UNREACHABLE)
		entry_found_refused(e);
	else if (rc < 0)
		entry_make_due(e, entries_now(all) + RETRY_MS);
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
	while ((e = next_due(all, entries_now(all), &wait_ms)) != NULL)
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
	int64_t now = entries_now(all);
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
	entry_make_due(e, e->to_hold ? now : due);
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
		bool rests = !e->dirty || e->calm || e->plain;

		if (rests && !e->away && !e->automount)
			entry_make_due_in_background(e, entries_now(all));
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
		    (e->away && entry_is_unmounted(e)))
			continue;
		e->mount = m->id;
		if (e->job == NULL)
			entry_make_due(e, entries_now(all));
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
		entry_make_due(e, entries_now(all));
	}
	if (urgent && !e->looked)
		entry_make_urgent(e);
	pump(all);
	return 0;
}

static void take_told(struct entry *e, const struct entries_told *told)
{
	if (e->known)
		return;
	if (told->volume != NULL)
		memcpy(e->volume, told->volume, sizeof e->volume);
	if (told->ino != 0) {
		e->expected = true;
		e->told_dev = told->dev;
		e->told_ino = told->ino;
	}
}

void entries_read(struct entries *all, const char *path, const struct entries_told *told,
		  uint64_t id)
{
	struct entry *e = entries_find(all, path);

	if (e == NULL && (e = entry_new(all, path)) != NULL)
		e->asked_for = true;
	if (e == NULL || askers_add(&e->askers, id, entries_now(all)) < 0)
		all->config.callbacks->read_done(all->config.ctx, id, ERR_BUSY, path);
	if (e == NULL)
		return;
	if (told != NULL)
		take_told(e, told);
	if (e->aside && piece_is_out(&e->piece)) /* its look hangs: nobody waits for that */
		entry_answer(e, ERR_UNREACHABLE);
	else
		entry_make_urgent(e);
	pump(all);
}

/* --- life --- */

int entries_new(const struct entries_config *config, struct entries **out, struct err *err)
{
	struct entries *all = mem_calloc(1, sizeof *all);

	if (all == NULL)
		return err_nomem(err);
	all->config = *config;
	all->epoch = 1;
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
		entry_unqueue(e);
	}
	uv_close((uv_handle_t *)&all->timer, on_timer_closed);
}
