#include "agent/reader/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "agent/accounts.h"
#include "agent/link.h"
#include "agent/prefix/last_run.h"
#include "agent/prefix/wire_path.h"
#include "agent/reader/condarc_path.h"
#include "agent/reader/entries.h"
#include "agent/reader/exclude.h"
#include "agent/reader/lanes.h"
#include "agent/reader/lending.h"
#include "agent/reader/lookout.h"
#include "agent/reader/places.h"
#include "agent/reader/probe.h"
#include "agent/reader/recall.h"
#include "agent/reader/runs.h"
#include "agent/reader/watch_user.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/mounts.h"
#include "platform/process.h"
#include "platform/safe_open.h"
#include "platform/sandbox.h"
#include "platform/watch.h"
#include "proto/convert.h"
#include "proto/limits.h"

#define UNTAKEN_MAX 2 /* the rest waits on disk, where it is */
#define END_MS 3000   /* how long a look may hold up the end: a hung mount must not */
#define HEALTH_EVERY_MS 1000

struct reader {
	uv_loop_t loop;
	struct link *link;
	struct watcher *watcher;
	int queue; /* for the watcher that the core can see into, WATCH_NONE */
	struct lending lending;
	struct mounts *mounts; /* NULL: not told here, everything counts as local */
	struct lanes *lanes;
	struct accounts *accounts;
	struct recall *recall; /* what the core knows, for the looks */
	struct entries *entries;
	struct places *places;
	uv_timer_t sweep;
	uv_timer_t poll; /* of places on file systems that tell nothing */
	uv_timer_t health;
	uint64_t poll_ms;
	bool no_watcher; /* the system had none left for us */
	bool configured;
	bool scan_done;
	struct entries_health told; /* what the core knows of our health */
	size_t cut_told;	    /* ... and of what bounds left out */
	bool told_silent;	    /* ... and of accounts that are not told */
	bool health_differs;	    /* something else of it than the entries' has changed */
	unsigned untaken;	    /* facts told that the core has not made durable yet */
	struct exclude exclude;
	struct condarc_cache *condarc;
	struct runs runs;	 /* that the core is to be told */
	struct lookout *lookout; /* NULL: running programs are not looked at */
};

static void send_message(void *ctx, const Envwarden__Reader__Envelope *envelope)
{
	struct reader *r = ctx;

	if (r->link != NULL && link_send(r->link, envelope) < 0)
		link_stop(r->link); /* both sides start afresh */
}

/* --- what entries and places say --- */

static void on_facts(void *ctx, struct buf *frames)
{
	struct reader *r = ctx;

	r->untaken++;
	if (r->link != NULL && link_send_frames(r->link, frames) < 0)
		link_stop(r->link);
}

static void on_gone(void *ctx, const struct entries_gone *what)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Gone gone = ENVWARDEN__READER__GONE__INIT;
	Envwarden__Reader__HistoryFacts history = ENVWARDEN__READER__HISTORY_FACTS__INIT;
	Envwarden__Person owner = ENVWARDEN__PERSON__INIT;
	struct wire_path path;

	(void)wire_path(&path, what->prefix, NULL); /* told before: it fits */
	gone.prefix = path.text;
	gone.device = what->dev;
	gone.inode = what->ino;
	if (what->last != NULL) {
		history.command = wire_text(what->last->command);
		history.tool = wire_text(what->last->tool);
		owner.uid = what->last->owner;
		owner.name = wire_text(what->last->owner_name);
		history.owner = &owner;
		gone.last = &history;
	}
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_GONE;
	envelope.gone = &gone;
	send_message(ctx, &envelope);
}

static void on_away(void *ctx, const char *prefix, bool away)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Away message = ENVWARDEN__READER__AWAY__INIT;
	struct wire_path path;

	(void)wire_path(&path, prefix, NULL); /* told before: it fits */
	message.prefix = path.text;
	message.away = away;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_AWAY;
	envelope.away = &message;
	send_message(ctx, &envelope);
}

static void on_refresh_mounts(void *ctx)
{
	struct reader *r = ctx;

	if (r->mounts != NULL)
		mounts_refresh(r->mounts);
}

static void on_read_done(void *ctx, uint64_t id, int rc, const char *prefix)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__ReadDone done = ENVWARDEN__READER__READ_DONE__INIT;
	struct wire_path path;

	done.id = id;
	done.code = rc;
	(void)wire_path(&path, prefix, NULL); /* told before: it fits */
	done.prefix = path.text;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_READ_DONE;
	envelope.read_done = &done;
	send_message(ctx, &envelope);
}

static void on_recall(void *ctx, uint64_t id, const char *prefix)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Recall recall = ENVWARDEN__READER__RECALL__INIT;
	struct wire_path path;

	recall.id = id;
	(void)wire_path(&path, prefix, NULL); /* too long: nothing is known of it */
	recall.prefix = path.text;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_RECALL;
	envelope.recall = &recall;
	send_message(ctx, &envelope);
}

/* Its neighbours may be environments too, and a base has more below itself. */
static void on_environment(void *ctx, const char *prefix)
{
	struct reader *r = ctx;
	char path[SAFE_PATH_MAX];
	const char *slash = strrchr(prefix, '/');

	if (slash != NULL && slash != prefix) {
		(void)snprintf(path, sizeof path, "%.*s", (int)(slash - prefix), prefix);
		(void)places_add(r->places, PLACE_ENVS, path);
	}
	(void)places_add(r->places, PLACE_PREFIX, prefix);
}

#define HEALTH_LINES 12
#define HEALTH_LINE_MAX 480

struct health_lines {
	char text[HEALTH_LINES][HEALTH_LINE_MAX];
	char *list[HEALTH_LINES];
	size_t n;
};

/* "what\twhy\tremedy" */
static void tell(struct health_lines *lines, const char *format, ...)
{
	va_list args;

	if (lines->n == HEALTH_LINES)
		return;
	va_start(args, format);
	(void)vsnprintf(lines->text[lines->n], HEALTH_LINE_MAX, format, args);
	va_end(args);
	lines->list[lines->n] = lines->text[lines->n];
	lines->n++;
}

/* Of a mount: what is not printable, or would end a column, is made harmless. */
static const char *harmless(struct buf *text, const char *name)
{
	buf_clear(text);
	text_escape(text, name, strlen(name));
	return buf_rc(text) == 0 ? buf_cstr(text) : "?";
}

static void tell_stuck(void *ctx, const char *point, const char *source, int64_t since_ms)
{
	struct health_lines *lines = ctx;
	char since[CLOCK_TEXT_MAX];
	struct buf where;
	struct buf what;

	buf_init(&where, 1024);
	buf_init(&what, 1024);
	clock_format(since_ms, since);
	tell(lines,
	     "mount\t%s (%s) does not answer since %s\tits environments stay as they were last "
	     "seen; mend its server or unmount it, the agent then goes on by itself",
	     harmless(&where, point), harmless(&what, source), since);
	buf_deinit(&where);
	buf_deinit(&what);
}

static bool accounts_are_silent(const struct reader *r)
{
	return accounts_waited_ms(r->accounts) >= ACCOUNTS_SILENT_MS;
}

static void find_trouble(const struct reader *r, const struct entries_health *seen,
			 struct health_lines *lines)
{
	int64_t waited_ms = accounts_waited_ms(r->accounts);

	lanes_each_stuck(r->lanes, tell_stuck, lines);
	if (waited_ms >= ACCOUNTS_SILENT_MS)
		tell(lines,
		     "accounts\tthe system's look-up of accounts has not answered for %lld "
		     "s\tmend its directory service (SSSD, LDAP); homes that only it knows are "
		     "not looked at, names that need it not resolved meanwhile",
		     (long long)(waited_ms / 1000));
	if (r->no_watcher)
		tell(lines,
		     "watches\tthe system has no watchers left for this account; "
		     "environments are polled\traise fs.inotify.max_user_instances (sysctl)");
	if (seen->watches_exhausted)
		tell(lines,
		     "watches\tthe system has no directory watches left for this account; "
		     "%zu environments are polled\traise fs.inotify.max_user_watches (sysctl)",
		     seen->polled);
	if (seen->failed > 0)
		tell(lines,
		     "not read\t%zu environments could not be read (too long a path, too "
		     "much in it)\tthe agent's log names them",
		     seen->failed);
}

static size_t left_out(const struct reader *r, const struct entries_health *seen)
{
	return places_cut(r->places) + seen->full;
}

static void send_health(struct reader *r)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Health health = ENVWARDEN__READER__HEALTH__INIT;
	struct entries_health seen;
	struct health_lines lines = {.n = 0};
	char *denied[LIMIT_DENIED];

	entries_health(r->entries, &seen);
	r->told = seen;
	r->told_silent = accounts_are_silent(r);
	r->health_differs = false;
	find_trouble(r, &seen, &lines);
	r->cut_told = left_out(r, &seen);
	if (r->cut_told > 0)
		tell(&lines,
		     "discovery\tin %zu places there is more than the agent looks at, so "
		     "environments may be unknown\tname narrower roots, or exclude folders",
		     r->cut_told);
	health.watched = seen.watched;
	health.polled = seen.polled;
	health.degraded = lines.list;
	health.n_degraded = lines.n;
	health.late_ms = seen.remote > 0 ? (uint64_t)seen.late_ms : 0;
	health.remote = seen.remote;
	health.denied = seen.denied;
	health.denied_paths = denied;
	health.n_denied_paths = entries_denied(r->entries, denied, LIMIT_DENIED);
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_HEALTH;
	envelope.health = &health;
	send_message(r, &envelope);
}

static void health_soon(struct reader *r);

static void on_health(uv_timer_t *timer)
{
	struct reader *r = timer->data;
	struct entries_health seen;

	entries_health(r->entries, &seen);
	if (seen.watched != r->told.watched || seen.polled != r->told.polled ||
	    seen.denied != r->told.denied || seen.failed != r->told.failed ||
	    seen.away != r->told.away || seen.remote != r->told.remote ||
	    seen.watches_exhausted != r->told.watches_exhausted || r->health_differs ||
	    left_out(r, &seen) != r->cut_told || accounts_are_silent(r) != r->told_silent)
		send_health(r);
	if (accounts_waited_ms(r->accounts) > 0)
		health_soon(r); /* they may become silent */
}

static void health_soon(struct reader *r)
{
	if (r->scan_done && !uv_is_active((uv_handle_t *)&r->health))
		uv_timer_start(&r->health, on_health, HEALTH_EVERY_MS, 0);
}

static void on_lanes_changed(void *ctx)
{
	struct reader *r = ctx;

	r->health_differs = true;
	if (r->link != NULL)
		health_soon(r);
}

static void on_accounts_changed(void *ctx)
{
	struct reader *r = ctx;

	if (!r->configured || r->link == NULL)
		return;
	places_accounts_changed(r->places);
	health_soon(r);
}

static void poll_if_needed(struct reader *r);

/* What was found with it has to be told before. */
static void send_running(struct reader *r)
{
	if (r->scan_done && !places_scanning(r->places) && entries_all_looked(r->entries))
		runs_send(&r->runs, r, send_message);
}

static void on_runs(void *ctx, const struct discover_program *program)
{
	struct reader *r = ctx;

	if (r->lookout != NULL)
		lookout_named(r->lookout, program->prefix, program->named);
	runs_add(&r->runs, r->entries, program);
}

static void on_seen(void *ctx, const struct discover_program *program)
{
	struct reader *r = ctx;

	if (r->configured && r->link != NULL)
		runs_add(&r->runs, r->entries, program);
}

static void on_looked(void *ctx)
{
	struct reader *r = ctx;

	if (r->configured && r->link != NULL)
		send_running(r);
}

static void on_caught_up(void *ctx)
{
	struct reader *r = ctx;
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__ScanDone done = ENVWARDEN__READER__SCAN_DONE__INIT;
	struct entries_health seen;

	health_soon(r);
	poll_if_needed(r);
	send_running(r);
	if (!r->configured || r->scan_done || places_scanning(r->places) ||
	    !entries_all_looked(r->entries))
		return;
	r->scan_done = true;
	entries_set_at_start(r->entries, false);
	entries_health(r->entries, &seen);
	done.environments = seen.environments;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_SCAN_DONE;
	envelope.scan_done = &done;
	send_message(r, &envelope);
	send_running(r);
	send_health(r);
	health_soon(r); /* the look-up of accounts may have become silent */
}

static bool on_may_send(void *ctx)
{
	struct reader *r = ctx;

	return r->link != NULL && r->untaken < UNTAKEN_MAX;
}

static void on_candidate(void *ctx, const char *path)
{
	struct reader *r = ctx;

	if (!exclude_has(&r->exclude, path))
		(void)entries_candidate(r->entries, path, false);
}

static void on_touched(void *ctx, const char *path)
{
	struct reader *r = ctx;

	if (entries_find(r->entries, path) != NULL)
		entries_touched(r->entries, path);
	else
		on_candidate(ctx, path);
}

static const struct entries_callbacks entries_callbacks = {.facts = on_facts,
							   .gone = on_gone,
							   .away = on_away,
							   .refresh_mounts = on_refresh_mounts,
							   .read_done = on_read_done,
							   .environment = on_environment,
							   .caught_up = on_caught_up,
							   .may_send = on_may_send};
static const struct places_callbacks places_callbacks = {.candidate = on_candidate,
							 .touched = on_touched,
							 .runs = on_runs,
							 .caught_up = on_caught_up};

/* --- what watches say --- */

static void on_watch(void *ctx, int watch, void *user, enum watch_kind kind, const char *name)
{
	struct reader *r = ctx;
	struct watch_user *which = user;

	(void)watch;
	if (r->link == NULL)
		return; /* ending */
	if (kind == WATCH_OVERFLOW) {
		log_warn("watch", "events were lost, looking at everything", LOG_NONE);
		places_sweep(r->places);
		entries_sweep(r->entries);
	} else if (which->kind == WATCH_USER_ENTRY) {
		entries_watched(which, kind);
	} else {
		places_watched(which, kind, name);
		if (kind == WATCH_GONE) /* moved, perhaps, with all that is in it */
			entries_sweep(r->entries);
	}
}

static void on_reading(void *ctx)
{
	struct reader *r = ctx;

	lending_wake(&r->lending);
}

/* May come late: the system lends only so many to each account. */
static void make_watcher(struct reader *r)
{
	const struct watcher_config config = {.loop = &r->loop,
					      .queue = r->queue,
					      .cb = on_watch,
					      .reading = on_reading,
					      .ctx = r};
	struct err err = ERR_INIT;
	int rc;

	if (r->watcher != NULL)
		return;
	if (r->queue == WATCH_NONE)
		lending_stop(&r->lending); /* the core would look at another queue */
	r->queue = WATCH_NONE;
	rc = watcher_new(&config, &r->watcher, &err);
	if (rc < 0 && !r->no_watcher)
		log_warn("watch", "no watching here, polling", LOG_ERR(&err));
	r->health_differs = r->health_differs || r->no_watcher != (rc == ERR_LIMIT);
	r->no_watcher = rc == ERR_LIMIT;
	if (rc == 0) {
		entries_set_watcher(r->entries, r->watcher);
		places_set_watcher(r->places, r->watcher);
	}
}

static void on_poll(uv_timer_t *timer);

/* Where events tell everything, nothing wakes us. */
static void poll_if_needed(struct reader *r)
{
	if (r->configured && !uv_is_active((uv_handle_t *)&r->poll) &&
	    (r->no_watcher || places_polled(r->places)))
		uv_timer_start(&r->poll, on_poll, r->poll_ms, 0);
}

static void on_poll(uv_timer_t *timer)
{
	struct reader *r = timer->data;

	if (r->no_watcher) {
		make_watcher(r);
		if (r->watcher != NULL) {
			places_sweep(r->places);
			entries_sweep(r->entries);
		}
	}
	places_poll(r->places);
	poll_if_needed(r);
}

static void on_mounts_changed(void *ctx)
{
	struct reader *r = ctx;

	lanes_set_table(r->lanes, mounts_table(r->mounts));
	if (r->configured && r->link != NULL) {
		places_mounts_changed(r->places);
		entries_mounts_changed(r->entries);
	}
}

static void on_sweep(uv_timer_t *timer)
{
	struct reader *r = timer->data;

	make_watcher(r);
	places_sweep(r->places);
	entries_sweep(r->entries);
}

/* --- what the core says --- */

static int on_configure(struct reader *r, const Envwarden__Reader__Configure *c)
{
	const struct entries_config config = {.loop = &r->loop,
					      .clock = clock_system(),
					      .lanes = r->lanes,
					      .recall = r->recall,
					      .settle_ms = c->settle_ms,
					      .poll_ms = (int64_t)c->poll_s * 1000,
					      .exclude = &r->exclude,
					      .callbacks = &entries_callbacks,
					      .ctx = r};
	struct err err = ERR_INIT;
	int rc;

	if (r->configured || !c->watch)
		return r->configured ? ERR_PROTOCOL : 0;
	r->condarc = condarc_cache_new();
	rc = r->condarc != NULL ? exclude_init(&r->exclude, c->exclude, c->n_exclude) : ERR_NOMEM;
	if (rc == 0)
		rc = entries_new(&config, &r->entries, &err);
	if (rc == 0)
		rc = places_new(&(struct places_config){.lanes = r->lanes,
							.clock = clock_system(),
							.exclude = &r->exclude,
							.condarc = r->condarc,
							.running = c->running,
							.accounts = r->accounts,
							.all_accounts = c->n_homes == 0,
							.callbacks = &places_callbacks,
							.ctx = r},
				&r->places, &err);
	if (rc == 0 && c->running)
		rc = lookout_new(
			&(struct lookout_config){.loop = &r->loop,
						 .clock = clock_system(),
						 .every_ms = (int64_t)c->blocked_look_s * 1000,
						 .all_accounts = c->n_homes == 0,
						 .runs = on_seen,
						 .looked = on_looked,
						 .ctx = r},
			&r->lookout, &err);
	if (rc < 0)
		return rc;
	make_watcher(r);
	entries_set_at_start(r->entries, true);
	r->configured = true;
	rc = places_add_system(r->places);
	for (size_t i = 0; rc == 0 && i < c->n_homes; i++)
		rc = places_add(r->places, PLACE_HOME, c->homes[i]->path);
	for (size_t i = 0; rc == 0 && i < c->n_roots; i++)
		rc = places_add(r->places, PLACE_WALK, c->roots[i]);
	r->poll_ms = (uint64_t)c->poll_s * 1000;
	uv_timer_start(&r->sweep, on_sweep, (uint64_t)c->sweep_s * 1000,
		       (uint64_t)c->sweep_s * 1000);
	return rc;
}

static void on_read(struct reader *r, const Envwarden__Reader__Read *read)
{
	const struct entries_told told = {
		.volume = read->volume.len == MOUNT_VOLUME_SIZE ? read->volume.data : NULL,
		.dev = read->device,
		.ino = read->inode,
	};
	char path[SAFE_PATH_MAX];

	if (text_to_path(read->prefix, path, sizeof path) < 0)
		on_read_done(r, read->id, ERR_NOTFOUND, read->prefix);
	else if (exclude_has(&r->exclude, path))
		on_read_done(r, read->id, ERR_PERM, path);
	else
		entries_read(r->entries, path, &told, read->id);
}

static int on_blocked(struct reader *r, const Envwarden__Reader__Blocked *blocked)
{
	char path[SAFE_PATH_MAX];

	if (r->lookout == NULL) /* not watched any more, or running programs are not looked at */
		return 0;
	for (size_t i = 0; i < blocked->n_environments; i++) {
		const Envwarden__Reader__BlockedEnvironment *env = blocked->environments[i];

		/* What there is no room for is seen at sweeps. */
		if (text_to_path(env->prefix, path, sizeof path) == 0)
			(void)lookout_add(r->lookout, path, env->since_ms);
	}
	if (!blocked->more)
		lookout_take(r->lookout);
	return 0;
}

static int on_message(void *ctx, const Envwarden__Reader__Envelope *message)
{
	struct reader *r = ctx;

	switch (message->kind_case) {
	case ENVWARDEN__READER__ENVELOPE__KIND_CONFIGURE:
		return on_configure(r, message->configure);
	case ENVWARDEN__READER__ENVELOPE__KIND_PROBE:
		if (!r->configured)
			return ERR_PROTOCOL;
		if (r->watcher != NULL)
			(void)watcher_drain(r->watcher, NULL);
		return probe(&(struct probe_context){r->entries, r->lanes, &r->link, &r->places,
						     &r->exclude, r->condarc, r->accounts},
			     message->probe);
	case ENVWARDEN__READER__ENVELOPE__KIND_ACCOUNT:
		if (!r->configured)
			return ERR_PROTOCOL;
		places_add_account(r->places, message->account->uid);
		return 0;
	case ENVWARDEN__READER__ENVELOPE__KIND_READ:
		if (!r->configured)
			return ERR_PROTOCOL;
		on_read(r, message->read);
		return 0;
	case ENVWARDEN__READER__ENVELOPE__KIND_BLOCKED:
		return on_blocked(r, message->blocked);
	case ENVWARDEN__READER__ENVELOPE__KIND_KNOWN:
		recall_answer(r->recall, message->known);
		return 0;
	case ENVWARDEN__READER__ENVELOPE__KIND_TAKEN:
		if (r->untaken == 0)
			return ERR_PROTOCOL;
		r->untaken--;
		entries_go_on(r->entries);
		return 0;
	default:
		return ERR_PROTOCOL; /* same build: nothing else is ever right */
	}
}

/* --- life --- */

static void on_part_stopped(void *owner)
{
	(void)owner; /* the loop ends when the last handle is closed */
}

/* What ran in them placed watches. */
static void on_lanes_stopped(void *owner)
{
	struct reader *r = owner;

	accounts_stop(r->accounts, on_part_stopped, r);
	if (r->watcher != NULL)
		watcher_stop(r->watcher, on_part_stopped, r);
}

static void stop_lanes(struct reader *r)
{
	if (r->places == NULL && r->entries == NULL)
		lanes_stop(r->lanes, on_lanes_stopped, r);
}

static void on_places_stopped(void *owner)
{
	struct reader *r = owner;

	r->places = NULL;
	stop_lanes(r);
}

static void on_entries_stopped(void *owner)
{
	struct reader *r = owner;

	r->entries = NULL;
	stop_lanes(r);
}

static void on_patience(uv_timer_t *timer)
{
	(void)timer;
	log_warn("reader", "a look hangs, ending without it", LOG_NONE);
	_Exit(0);
}

static void on_link_closed(void *ctx, int rc)
{
	struct reader *r = ctx;

	r->link = NULL;
	lending_stop(&r->lending);
	watch_queue_close(r->queue);
	r->queue = WATCH_NONE;
	recall_close(r->recall);
	log_info("reader", "ends", LOG_STR("why", err_text(rc)));
	uv_close((uv_handle_t *)&r->health, NULL);
	uv_close((uv_handle_t *)&r->poll, NULL);
	if (r->mounts != NULL)
		mounts_stop(r->mounts, on_part_stopped, r);
	uv_timer_start(&r->sweep, on_patience, END_MS, 0);
	uv_unref((uv_handle_t *)&r->sweep);
	if (r->lookout != NULL)
		lookout_stop(r->lookout, on_part_stopped, r);
	r->lookout = NULL;
	if (!r->configured) {
		lanes_stop(r->lanes, on_lanes_stopped, r);
		return;
	}
	entries_stop(r->entries, on_entries_stopped, r);
	places_stop(r->places, on_places_stopped, r);
}

/* ERR_CANCELED: the supervisor has ended, and with it all reason to begin. */
static int give_up_rights(int64_t parent)
{
	struct err err = ERR_INIT;
	int rc;

	process_set_name("envwarden-read");
	process_short_turns();
	process_return_memory();
	rc = process_end_with_parent(parent, &err);
	if (rc == ERR_CANCELED)
		return rc;
	if (rc < 0)
		log_warn("reader", "may outlive its supervisor", LOG_ERR(&err));
	if (process_set_limits(&(struct process_limits){.no_core = true}, &err) < 0)
		log_warn("reader", "core files stay on", LOG_ERR(&err));
	if (process_drop_rights(true, &err) < 0)
		log_warn("reader", "rights stay", LOG_ERR(&err));
	if (sandbox_reader(&err) < 0)
		log_info("reader", "sandbox incomplete", LOG_ERR(&err));
	return 0;
}

static const struct link_callbacks link_callbacks = {.message = on_message,
						     .closed = on_link_closed};

int reader_main(int fd, struct lease_ends *lease, int64_t parent)
{
	static struct reader reader;
	struct reader *r = &reader;
	struct err err = ERR_INIT;

	if (give_up_rights(parent) < 0)
		return 0;
	CHECK(uv_loop_init(&r->loop) == 0);
	CHECK(uv_timer_init(&r->loop, &r->sweep) == 0);
	CHECK(uv_timer_init(&r->loop, &r->health) == 0);
	CHECK(uv_timer_init(&r->loop, &r->poll) == 0);
	r->poll.data = r;
	r->sweep.data = r;
	r->health.data = r;
	lending_start(&r->lending, &r->loop, lease->word, &r->entries);
	r->queue = lease->queue;
	lease->queue = WATCH_NONE;
	lease_ends_close(lease);
	if (lanes_new(&(struct lanes_config){&r->loop, clock_system(), on_lanes_changed, r},
		      &r->lanes, &err) < 0 ||
	    accounts_new(&(struct accounts_config){.loop = &r->loop,
						   .clock = clock_system(),
						   .changed = on_accounts_changed,
						   .ctx = r},
			 &r->accounts, &err) < 0 ||
	    recall_new(&r->loop, on_recall, r, &r->recall, &err) < 0 ||
	    link_new(&r->loop, fd, &link_callbacks, r, &r->link, &err) < 0) {
		log_error("reader", "can't start", LOG_ERR(&err));
		return 1;
	}
	if (mounts_new(&r->loop, on_mounts_changed, r, &r->mounts, &err) < 0)
		log_warn("mounts", "not known here, a hung one may hold up others", LOG_ERR(&err));
	else
		lanes_set_table(r->lanes, mounts_table(r->mounts));
	uv_run(&r->loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&r->sweep, NULL);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&r->loop) == 0);
	recall_free(r->recall);
	runs_free(&r->runs);
	exclude_deinit(&r->exclude);
	condarc_cache_free(r->condarc);
	return 0;
}
