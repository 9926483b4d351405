#include "agent/reader/reader.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "agent/accounts.h"
#include "agent/link.h"
#include "agent/reader/condarc_path.h"
#include "agent/reader/lanes.h"
#include "agent/reader/probe.h"
#include "agent/reader/reader_impl.h"
#include "agent/reader/recall.h"
#include "agent/reader/watch_user.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/mounts.h"
#include "platform/process.h"
#include "platform/safe_open.h"
#include "platform/sandbox.h"
#include "platform/watch.h"
#include "proto/convert.h"
#include "proto/limits.h"

#define END_MS 3000 /* how long a look may hold up the end: a hung mount must not */

static void on_lanes_changed(void *ctx)
{
	struct reader *r = ctx;

	if (r->link != NULL)
		health_changed(&r->health);
}

static void on_accounts_changed(void *ctx)
{
	struct reader *r = ctx;

	if (!r->configured || r->link == NULL)
		return;
	places_accounts_changed(r->places);
	health_soon(&r->health);
}

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
	if (rc < 0 && !r->health.no_watcher)
		log_warn("watch", "no watching here, polling", LOG_ERR(&err));
	health_set_no_watcher(&r->health, rc == ERR_LIMIT);
	if (rc == 0) {
		entries_set_watcher(r->entries, r->watcher);
		places_set_watcher(r->places, r->watcher);
	}
}

static void on_poll(uv_timer_t *timer);

/* Where events tell everything, nothing wakes us. */
void reader_poll_if_needed(struct reader *r)
{
	if (r->configured && !uv_is_active((uv_handle_t *)&r->poll) &&
	    (r->health.no_watcher || places_polled(r->places)))
		uv_timer_start(&r->poll, on_poll, r->poll_ms, 0);
}

static void on_poll(uv_timer_t *timer)
{
	struct reader *r = timer->data;

	if (r->health.no_watcher) {
		make_watcher(r);
		if (r->watcher != NULL) {
			places_sweep(r->places);
			entries_sweep(r->entries);
		}
	}
	places_poll(r->places);
	reader_poll_if_needed(r);
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
					      .callbacks = &reader_entries_callbacks,
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
							.callbacks = &reader_places_callbacks,
							.ctx = r},
				&r->places, &err);
	if (rc == 0 && c->running)
		rc = lookout_new(
			&(struct lookout_config){.loop = &r->loop,
						 .clock = clock_system(),
						 .every_ms = (int64_t)c->blocked_look_s * 1000,
						 .all_accounts = c->n_homes == 0,
						 .runs = reader_seen,
						 .looked = reader_looked,
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
		reader_entries_callbacks.read_done(r, read->id, ERR_NOTFOUND, read->prefix);
	else if (exclude_has(&r->exclude, path))
		reader_entries_callbacks.read_done(r, read->id, ERR_PERM, path);
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
		if (r->mounts != NULL)
			mounts_drain(r->mounts);
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
	health_stop(&r->health);
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
	CHECK(uv_timer_init(&r->loop, &r->poll) == 0);
	r->poll.data = r;
	r->sweep.data = r;
	health_init(&r->health, &r->loop,
		    &(struct health_sources){.entries = &r->entries,
					     .places = &r->places,
					     .lanes = &r->lanes,
					     .accounts = &r->accounts,
					     .send = reader_send,
					     .ctx = r});
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
	    recall_new(&r->loop, reader_recall, r, &r->recall, &err) < 0 ||
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
