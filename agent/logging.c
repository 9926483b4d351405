/*
 * The organisation's logging switch: turning it on begins with a baseline, and nothing from before
 * that is ever sent.
 */
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define KEY_LOGGING "logging" /* '1': the server was told a baseline, logging has been on */
#define SWITCH_RETRY_MS 30000

struct switch_job {
	struct job job;
	bool on;
};

/* A baseline; and if the journal before it was lost with its store, that is said first. */
static int begin_logging(struct job *job)
{
	struct store *store = job->e->store;
	struct store_new_epoch how = {.baseline = true, .now_ms = engine_wall(job->e)};
	struct buf lost;
	int rc;

	buf_init(&lost, UUID_SIZE + 1);
	how.gap = store_kv_get(store, ENGINE_KEY_LOST, &lost, NULL) == 0 && lost.len == UUID_SIZE;
	if (how.gap)
		memcpy(how.lost.b, lost.data, UUID_SIZE);
	buf_deinit(&lost);
	rc = store_new_epoch(store, &how, &job->err);
	if (rc == 0 && how.gap)
		rc = store_kv_delete(store, ENGINE_KEY_LOST, &job->err);
	return rc;
}

static void switch_run(struct job *job)
{
	struct switch_job *sw = container_of(job, struct switch_job, job);
	struct store *store = job->e->store;

	/* Turning on starts with a baseline; nothing from before is sent. */
	if (sw->on)
		job->rc = begin_logging(job);
	if (job->rc == 0)
		job->rc = store_kv_put(store, KEY_LOGGING, sw->on ? "1" : "0", 1, &job->err);
}

static void on_switch_time(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	logging_follow(e);
}

static void switch_done(struct job *job)
{
	struct switch_job *sw = container_of(job, struct switch_job, job);
	struct engine *e = job->e;
	bool failed = job->rc < 0;

	e->log_switching = false;
	if (failed) {
		log_error("state", "logging not switched, trying again", LOG_ERR(&job->err));
	} else {
		e->logged = sw->on;
		log_info("state", sw->on ? "logging is on" : "logging is off", LOG_NONE);
	}
	mem_free(sw);
	if (e->stopping)
		return;
	if (failed) {
		uv_timer_start(&e->switch_timer, on_switch_time, SWITCH_RETRY_MS, 0);
		return;
	}
	logging_follow(e); /* it may have been switched again meanwhile */
	readers_restart(e);
	deciding_state_changed(e);
	syncing_journal_grew(e);
	requests_journal_grew(e);
}

void logging_follow(struct engine *e)
{
	struct switch_job *sw;

	if (state_wants_logging(e) == e->logged || e->log_switching)
		return;
	sw = mem_calloc(1, sizeof *sw);
	if (sw == NULL)
		return; /* the next state, or start, tries again */
	e->log_switching = true;
	sw->on = state_wants_logging(e);
	sw->job.run = switch_run;
	sw->job.done = switch_done;
	engine_submit(e, &sw->job);
}

void logging_restore(struct engine *e)
{
	struct buf text;

	buf_init(&text, 64);
	if (store_kv_get(e->store, KEY_LOGGING, &text, NULL) == 0)
		e->logged = text.len == 1 && text.data[0] == '1';
	buf_deinit(&text);
}
