/* What the parts of the reader say, passed on to the core or to each other. */
#include <stdio.h>
#include <string.h>

#include "agent/link.h"
#include "agent/prefix/last_run.h"
#include "agent/prefix/wire_path.h"
#include "agent/reader/reader_impl.h"
#include "platform/mounts.h"
#include "platform/safe_open.h"
#include "proto/convert.h"

#define UNTAKEN_MAX 2 /* the rest waits on disk, where it is */

void reader_send(void *ctx, const Envwarden__Reader__Envelope *envelope)
{
	struct reader *r = ctx;

	if (r->link != NULL && link_send(r->link, envelope) < 0)
		link_stop(r->link); /* both sides start afresh */
}

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
	reader_send(ctx, &envelope);
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
	reader_send(ctx, &envelope);
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
	reader_send(ctx, &envelope);
}

void reader_recall(void *ctx, uint64_t id, const char *prefix)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Recall recall = ENVWARDEN__READER__RECALL__INIT;
	struct wire_path path;

	recall.id = id;
	(void)wire_path(&path, prefix, NULL); /* too long: nothing is known of it */
	recall.prefix = path.text;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_RECALL;
	envelope.recall = &recall;
	reader_send(ctx, &envelope);
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

/* What was found with it has to be told before. */
static void send_running(struct reader *r)
{
	if (r->scan_done && !places_scanning(r->places) && entries_all_looked(r->entries))
		runs_send(&r->runs, r, reader_send);
}

static void on_runs(void *ctx, const struct discover_program *program)
{
	struct reader *r = ctx;

	if (r->lookout != NULL)
		lookout_named(r->lookout, program->prefix, program->named);
	runs_add(&r->runs, r->entries, program);
}

void reader_seen(void *ctx, const struct discover_program *program)
{
	struct reader *r = ctx;

	if (r->configured && r->link != NULL)
		runs_add(&r->runs, r->entries, program);
}

void reader_looked(void *ctx)
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

	health_soon(&r->health);
	reader_poll_if_needed(r);
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
	reader_send(r, &envelope);
	send_running(r);
	health_begin(&r->health);
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

const struct entries_callbacks reader_entries_callbacks = {.facts = on_facts,
							   .gone = on_gone,
							   .away = on_away,
							   .refresh_mounts = on_refresh_mounts,
							   .read_done = on_read_done,
							   .environment = on_environment,
							   .caught_up = on_caught_up,
							   .may_send = on_may_send};
const struct places_callbacks reader_places_callbacks = {.candidate = on_candidate,
							 .touched = on_touched,
							 .runs = on_runs,
							 .caught_up = on_caught_up};
