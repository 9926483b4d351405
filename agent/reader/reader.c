#include "agent/reader/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "agent/link.h"
#include "agent/reader/entries.h"
#include "agent/reader/places.h"
#include "agent/reader/probe.h"
#include "agent/reader/watch_user.h"
#include "agent/worker.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "platform/safe_open.h"
#include "platform/sandbox.h"
#include "platform/users.h"
#include "platform/watch.h"
#include "proto/convert.h"

#define UNTAKEN_MAX 2 /* the rest waits on disk, where it is */
#define END_MS 3000   /* how long a look may hold up the end: a hung mount must not */
#define HEALTH_EVERY_MS 1000

struct reader {
	uv_loop_t loop;
	struct link *link;
	struct watcher *watcher;
	struct worker *reading; /* looks at prefixes */
	struct worker *probing; /* scans places and answers probes: short pieces */
	struct entries *entries;
	struct places *places;
	uv_timer_t sweep;
	uv_timer_t health;
	bool configured;
	bool scan_done;
	bool all_accounts;	    /* look in every account's home */
	struct entries_health told; /* what the core knows of our health */
	unsigned untaken;	    /* facts told that the core has not made durable yet */
	char **exclude;
	size_t n_exclude;
};

static void send_message(struct reader *r, Envwarden__Reader__Envelope *envelope)
{
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

static void on_gone(void *ctx, const char *prefix, uint64_t dev, uint64_t ino)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Gone gone = ENVWARDEN__READER__GONE__INIT;

	gone.prefix = wire_text(prefix);
	gone.device = dev;
	gone.inode = ino;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_GONE;
	envelope.gone = &gone;
	send_message(ctx, &envelope);
}

static void on_read_done(void *ctx, uint64_t id, int rc, const char *prefix)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__ReadDone done = ENVWARDEN__READER__READ_DONE__INIT;

	done.id = id;
	done.code = rc;
	done.prefix = wire_text(prefix);
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_READ_DONE;
	envelope.read_done = &done;
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
	if (snprintf(path, sizeof path, "%s/envs", prefix) < (int)sizeof path)
		(void)places_add(r->places, PLACE_ENVS, path);
}

static void send_health(struct reader *r)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Health health = ENVWARDEN__READER__HEALTH__INIT;
	struct entries_health seen;
	char *lines[3];
	char denied[160];
	char failed[160];

	entries_health(r->entries, &seen);
	r->told = seen;
	health.watched = seen.watched;
	health.polled = seen.polled;
	health.degraded = lines;
	if (seen.watches_exhausted)
		lines[health.n_degraded++] =
			(char *)"watches\tthe system has no directory watches left for this "
				"account\traise fs.inotify.max_user_watches";
	if (seen.denied > 0) {
		(void)snprintf(denied, sizeof denied,
			       "unreadable\t%zu environments may not be read by the agent\trun "
			       "envwarden record in them",
			       seen.denied);
		lines[health.n_degraded++] = denied;
	}
	if (seen.failed > 0) {
		(void)snprintf(failed, sizeof failed,
			       "not read\t%zu environments could not be read (a path that is not "
			       "UTF-8, too much in it)\tthe agent's log names them",
			       seen.failed);
		lines[health.n_degraded++] = failed;
	}
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_HEALTH;
	envelope.health = &health;
	send_message(r, &envelope);
}

static void on_health(uv_timer_t *timer)
{
	struct reader *r = timer->data;
	struct entries_health seen;

	entries_health(r->entries, &seen);
	if (seen.watched != r->told.watched || seen.polled != r->told.polled ||
	    seen.denied != r->told.denied || seen.failed != r->told.failed ||
	    seen.watches_exhausted != r->told.watches_exhausted)
		send_health(r);
}

static void on_caught_up(void *ctx)
{
	struct reader *r = ctx;
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__ScanDone done = ENVWARDEN__READER__SCAN_DONE__INIT;
	struct entries_health seen;

	if (r->scan_done && !uv_is_active((uv_handle_t *)&r->health))
		uv_timer_start(&r->health, on_health, HEALTH_EVERY_MS, 0);
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
	send_health(r);
}

static bool on_may_send(void *ctx)
{
	struct reader *r = ctx;

	return r->link != NULL && r->untaken < UNTAKEN_MAX;
}

static bool is_excluded(const void *ctx, const char *path)
{
	const struct reader *r = ctx;

	for (size_t i = 0; i < r->n_exclude; i++) {
		size_t n = strlen(r->exclude[i]);

		if (strncmp(path, r->exclude[i], n) == 0 && (path[n] == '\0' || path[n] == '/'))
			return true;
	}
	return false;
}

static void on_candidate(void *ctx, const char *path)
{
	struct reader *r = ctx;

	if (!is_excluded(r, path))
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
							   .read_done = on_read_done,
							   .environment = on_environment,
							   .caught_up = on_caught_up,
							   .may_send = on_may_send};
static const struct places_callbacks places_callbacks = {
	.candidate = on_candidate, .touched = on_touched, .caught_up = on_caught_up};

/* --- what watches say --- */

static void on_watch(void *ctx, int watch, void *user, enum watch_kind kind, const char *name)
{
	struct reader *r = ctx;
	struct watch_user *which = user;

	(void)watch;
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

static int add_account(void *ctx, const struct user *user)
{
	struct reader *r = ctx;

	return user->home[0] == '/' && user->home[1] != '\0'
		       ? places_add(r->places, PLACE_HOME, user->home)
		       : 0;
}

static void on_sweep(uv_timer_t *timer)
{
	struct reader *r = timer->data;

	if (r->all_accounts)
		(void)users_each(add_account, r, NULL); /* new ones */
	places_sweep(r->places);
	entries_sweep(r->entries);
}

/* --- what the core says --- */

static int take_exclude(struct reader *r, const Envwarden__Reader__Configure *c)
{
	r->exclude = mem_calloc(c->n_exclude + 1, sizeof *r->exclude);
	for (size_t i = 0; r->exclude != NULL && i < c->n_exclude; i++) {
		r->exclude[i] = mem_strdup(c->exclude[i]);
		if (r->exclude[i] == NULL)
			return ERR_NOMEM;
		r->n_exclude++;
	}
	return r->exclude != NULL ? 0 : ERR_NOMEM;
}

static int on_configure(struct reader *r, const Envwarden__Reader__Configure *c)
{
	const struct entries_config config = {.loop = &r->loop,
					      .clock = clock_system(),
					      .worker = r->reading,
					      .settle_ms = c->settle_ms,
					      .poll_ms = (int64_t)c->poll_s * 1000,
					      .callbacks = &entries_callbacks,
					      .ctx = r};
	struct err err = ERR_INIT;
	int rc;

	if (r->configured || !c->watch)
		return r->configured ? ERR_PROTOCOL : 0;
	rc = take_exclude(r, c);
	if (rc == 0)
		rc = entries_new(&config, &r->entries, &err);
	if (rc == 0)
		rc = places_new(r->probing, &places_callbacks, r, &r->places, &err);
	if (rc < 0)
		return rc;
	if (watcher_new(&r->loop, on_watch, r, &r->watcher, &err) < 0)
		log_warn("watch", "no watching here, polling", LOG_ERR(&err));
	entries_set_watcher(r->entries, r->watcher);
	places_set_watcher(r->places, r->watcher);
	entries_set_at_start(r->entries, true);
	r->configured = true;
	rc = places_add_system(r->places);
	for (size_t i = 0; rc == 0 && i < c->n_homes; i++)
		rc = places_add(r->places, PLACE_HOME, c->homes[i]->path);
	r->all_accounts = c->n_homes == 0;
	if (rc == 0 && r->all_accounts)
		rc = users_each(add_account, r, NULL);
	for (size_t i = 0; rc == 0 && i < c->n_roots; i++)
		rc = places_add(r->places, PLACE_WALK, c->roots[i]);
	uv_timer_start(&r->sweep, on_sweep, (uint64_t)c->sweep_s * 1000,
		       (uint64_t)c->sweep_s * 1000);
	return rc;
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
		return probe(
			&(struct probe_context){r->entries, r->probing, &r->link, is_excluded, r},
			message->probe);
	case ENVWARDEN__READER__ENVELOPE__KIND_READ:
		if (!r->configured)
			return ERR_PROTOCOL;
		if (is_excluded(r, message->read->prefix))
			on_read_done(r, message->read->id, ERR_PERM, message->read->prefix);
		else
			entries_read(r->entries, message->read->prefix, message->read->id);
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

static void on_places_stopped(void *owner)
{
	struct reader *r = owner;

	r->places = NULL;
	worker_stop(r->probing, on_part_stopped, r);
}

static void on_entries_stopped(void *owner)
{
	struct reader *r = owner;

	r->entries = NULL;
	worker_stop(r->reading, on_part_stopped, r);
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
	log_info("reader", "ends", LOG_STR("why", err_text(rc)));
	uv_close((uv_handle_t *)&r->health, NULL);
	uv_timer_start(&r->sweep, on_patience, END_MS, 0);
	uv_unref((uv_handle_t *)&r->sweep);
	if (!r->configured) {
		worker_stop(r->reading, on_part_stopped, r);
		worker_stop(r->probing, on_part_stopped, r);
		return;
	}
	/* The watcher may be gone before they are. */
	entries_set_watcher(r->entries, NULL);
	places_set_watcher(r->places, NULL);
	entries_stop(r->entries, on_entries_stopped, r);
	places_stop(r->places, on_places_stopped, r);
	if (r->watcher != NULL)
		watcher_stop(r->watcher, on_part_stopped, r);
}

static void give_up_rights(int64_t parent)
{
	struct err err = ERR_INIT;

	process_set_name("envwarden-read");
	if (process_end_with_parent(parent, &err) < 0)
		log_warn("reader", "may outlive its supervisor", LOG_ERR(&err));
	if (process_set_limits(&(struct process_limits){.no_core = true}, &err) < 0)
		log_warn("reader", "core files stay on", LOG_ERR(&err));
	if (process_drop_rights(true, &err) < 0)
		log_warn("reader", "rights stay", LOG_ERR(&err));
	if (sandbox_reader(&err) < 0)
		log_info("reader", "sandbox incomplete", LOG_ERR(&err));
}

static const struct link_callbacks link_callbacks = {.message = on_message,
						     .closed = on_link_closed};

int reader_main(int fd, int64_t parent)
{
	static struct reader reader;
	struct reader *r = &reader;
	struct err err = ERR_INIT;

	give_up_rights(parent);
	CHECK(uv_loop_init(&r->loop) == 0);
	CHECK(uv_timer_init(&r->loop, &r->sweep) == 0);
	CHECK(uv_timer_init(&r->loop, &r->health) == 0);
	r->sweep.data = r;
	r->health.data = r;
	if (worker_new(&r->loop, "reading", &r->reading, &err) < 0 ||
	    worker_new(&r->loop, "probing", &r->probing, &err) < 0 ||
	    link_new(&r->loop, fd, &link_callbacks, r, &r->link, &err) < 0) {
		log_error("reader", "can't start", LOG_ERR(&err));
		return 1;
	}
	uv_run(&r->loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&r->sweep, NULL);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&r->loop) == 0);
	for (size_t i = 0; i < r->n_exclude; i++)
		mem_free(r->exclude[i]);
	mem_free(r->exclude);
	return 0;
}
