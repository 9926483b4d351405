/* Joining an organisation: all of what it brings is kept, or nothing. */
#include "agent/engine.h"
#include "agent/syncing_impl.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

static void enrol_ended(struct engine *e, int rc, const struct err *err)
{
	struct syncing *s = e->syncing;
	syncing_enrol_cb done = s->enrolled;

	e->enrol = NULL;
	s->enrolled = NULL;
	if (done != NULL)
		done(s->enrolled_ctx, rc, err);
}

struct adopt_job {
	struct job job;
};

/* Everything learnt from another organisation before is void; then the identity makes it so. */
static void adopt_run(struct job *job)
{
	struct engine *e = job->e;

	job->rc = store_trusted_clear(e->store, &job->err);
	if (job->rc == 0)
		job->rc = store_packages_unsent(e->store, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, SYNCING_KEY_CONTINUITY, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, SYNCING_KEY_USE_TOLD, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, ENGINE_KEY_LOST, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, ENGINE_KEY_TIME, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, ENGINE_KEY_GRACES, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, ENGINE_KEY_GRACES_TOLD, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, ENGINE_KEY_COUNTS, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, ENGINE_KEY_RAN, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_clear(e->store, ENGINE_KEY_ASKED, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_put(e->store, "logging", "0", 1, &job->err);
	if (job->rc == 0)
		job->rc = sync_identity_save(&e->identity, e->syncing->identity_path, &job->err);
}

static void adopt_done(struct job *job)
{
	struct adopt_job *a = container_of(job, struct adopt_job, job);
	struct engine *e = job->e;

	e->adopting = false;
	if (job->rc == 0) {
		e->enrolled = true;
		e->use_told_ms = 0;
		trusted_time_init(&e->time, 0, engine_mono(e));
		e->syncing->has_continuity = false; /* another server's would make it a clone */
		notes_forget(e);
		graces_forget(e);
		telling_forget(e);
		asking_free(e);
		job->rc = state_begin(e, &job->err);
	}
	if (job->rc == 0 && !e->stopping)
		job->rc = syncing_start_client(e, &job->err);
	if (job->rc < 0) {
		/* Not half: the next start must not find it. */
		(void)files_remove(e->syncing->identity_path, NULL);
		sync_identity_deinit(&e->identity);
		sync_identity_init(&e->identity);
		e->enrolled = false;
	} else {
		log_info("sync", "enrolled", LOG_STR("organisation", e->identity.name));
		readers_restart(e); /* logging is the organisation's to switch on */
		deciding_state_changed(e);
	}
	enrol_ended(e, job->rc, &job->err);
	mem_free(a);
}

static void on_enrolled(void *ctx, int rc, struct sync_identity *identity, const struct err *err)
{
	struct engine *e = ctx;
	struct adopt_job *a;
	struct err nomem = ERR_INIT;

	e->enrol = NULL;
	if (rc < 0) {
		enrol_ended(e, rc, err);
		return;
	}
	a = mem_calloc(1, sizeof *a);
	if (a == NULL) {
		enrol_ended(e, err_nomem(&nomem), &nomem);
		return;
	}
	e->identity = *identity;
	sync_identity_init(identity);
	e->adopting = true; /* or a job behind this one kept what it clears */
	a->job.run = adopt_run;
	a->job.done = adopt_done;
	engine_submit(e, &a->job);
}

void syncing_enrol(struct engine *e, const struct join_code *code, syncing_enrol_cb done, void *ctx)
{
	const struct enrol_config config = {.loop = &e->loop,
					    .code = code,
					    .proxy = e->config.proxy,
					    .timeout_ms = 30000,
					    .now_ms = engine_wall(e),
					    .done = on_enrolled,
					    .ctx = e};
	struct err err = ERR_INIT;

	if (e->enrolled || e->syncing->enrolled != NULL) {
		err_set(&err, ERR_EXISTS,
			e->enrolled ? "this machine is enrolled already"
				    : "an enrolment is under way already");
		done(ctx, err.code, &err);
		return;
	}
	e->syncing->enrolled = done;
	e->syncing->enrolled_ctx = ctx;
	if (enrol_start(&config, &e->enrol, &err) < 0)
		enrol_ended(e, err.code, &err);
}
