/*
 * Trusted time as the store has it, so that it goes on where it was: with each set of the
 * organisation's, and as it was carried forward since, once an hour and at the end. Else a machine
 * that hears of no server could make graces, codes and exceptions last by starting the agent anew.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define TEXT_MAX 32

static int64_t kept_ms(struct store *store)
{
	struct buf text;
	int64_t ms = 0;

	buf_init(&text, TEXT_MAX);
	if (store_kv_get(store, ENGINE_KEY_TIME, &text, NULL) == 0)
		ms = strtoll(buf_cstr(&text), NULL, 10);
	buf_deinit(&text);
	return ms;
}

int timekeeping_put(struct store *store, int64_t trusted_ms, struct err *err)
{
	char text[TEXT_MAX];

	if (trusted_ms <= kept_ms(store))
		return 0;
	(void)snprintf(text, sizeof text, "%" PRId64, trusted_ms);
	return store_kv_put(store, ENGINE_KEY_TIME, text, strlen(text), err);
}

void timekeeping_start(struct engine *e)
{
	trusted_time_init(&e->time, kept_ms(e->store), engine_mono(e));
}

struct time_job {
	struct job job;
	int64_t trusted_ms;
};

static void save_run(struct job *job)
{
	struct time_job *t = container_of(job, struct time_job, job);

	job->rc = timekeeping_put(job->e->store, t->trusted_ms, &job->err);
}

static void save_done(struct job *job)
{
	if (job->rc < 0) /* the next one says all that this one did */
		log_warn("state", "trusted time not kept", LOG_ERR(&job->err));
	mem_free(container_of(job, struct time_job, job));
}

void timekeeping_save(struct engine *e)
{
	bool keeps = trusted_time_known(&e->time) && !e->adopting;
	struct time_job *t = keeps ? mem_calloc(1, sizeof *t) : NULL;

	if (t == NULL)
		return;
	t->trusted_ms = engine_trusted(e);
	t->job.run = save_run;
	t->job.done = save_done;
	engine_submit(e, &t->job);
}
