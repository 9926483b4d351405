/* Taking over a set that is whole: verified, read and made durable on the store's thread. */
#include <stdio.h>

#include "agent/state_impl.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

void state_forget_set(struct state *s)
{
	buf_clear(&s->timestamp);
	s->stepping = false;
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++) {
		buf_clear(&s->bundles[role]);
		s->wanted[role] = false;
	}
}

void state_tell_refused(struct state *s, const char *role, uint64_t version, const struct err *err)
{
	log_warn("state", "set refused", LOG_STR("role", role), LOG_ERR(err));
	(void)snprintf(s->refused, sizeof s->refused, "%s", err->text);
	if (syncing_client(s->e) != NULL)
		sync_report(syncing_client(s->e), role, version, false, err->text);
}

void state_refuse(struct state *s, const char *role, uint64_t version, const struct err *err)
{
	if (!s->importing)
		state_tell_refused(s, role, version, err);
	state_forget_set(s);
	if (s->importing) {
		log_warn("state", "file refused", LOG_ERR(err));
		state_import_end(s, err->code, err);
	}
}

/* What a set says, read: of the roles that are new in it. */
struct reading {
	struct trust_accepted accepted;
	struct arena arena;	/* the bodies; empty once a rulebook lives in it */
	struct said *said;	/* NULL: as before */
	struct rulebook *rules; /* NULL: as before */
};

static void reading_deinit(struct reading *r)
{
	said_drop(r->said);
	rulebook_drop(r->rules);
	arena_deinit(&r->arena);
}

/* A set that can't be understood is not taken over. The rules last: they take the arena along. */
static int read_bodies(struct reading *r, struct err *err)
{
	const Envwarden__Bundle__Body *status = r->accepted.bodies[TRUST_STATUS];
	const Envwarden__Bundle__Body *policy = r->accepted.bodies[TRUST_POLICY];
	int rc = status != NULL ? said_read(status->status, &r->said, err) : 0;

	if (rc < 0 || policy == NULL)
		return rc;
	if (policy->content_case != ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY)
		return err_set(err, ERR_INVALID, ROLE_POLICY ": is none");
	rc = rulebook_read(policy->policy, policy->version, &r->arena, &r->rules, err);
	return rc < 0 ? err_context(err, ROLE_POLICY) : 0;
}

static void take_reading(struct state *s, struct reading *r)
{
	s->trust = r->accepted.trust;
	s->held = true;
	if (r->said != NULL) {
		said_drop(s->said);
		s->said = r->said;
		r->said = NULL;
	}
	if (r->rules != NULL) {
		rulebook_drop(s->rules);
		s->rules = r->rules;
		r->rules = NULL;
	}
}

struct accept_job {
	struct job job;
	struct trust held;
	struct reading reading;
	struct buf timestamp;
	struct buf bundles[TRUST_ROLES];
	uint64_t version; /* of the timestamp */
	int64_t trusted_ms;
};

static void accept_free(struct accept_job *a)
{
	buf_deinit(&a->timestamp);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		buf_deinit(&a->bundles[role]);
	reading_deinit(&a->reading);
	mem_free(a);
}

static int accept_store(struct accept_job *a, struct err *err)
{
	struct store *store = a->job.e->store;
	const struct trust *trust = &a->reading.accepted.trust;
	struct store_bundle set[TRUST_ROLES];
	size_t n = 0;
	int rc;

	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++) {
		const struct buf *bytes =
			role == TRUST_TIMESTAMP ? &a->timestamp : &a->bundles[role];

		if (bytes->len > 0)
			set[n++] = (struct store_bundle){.role = trust_role_name(role),
							 .version = trust->items[role].version,
							 .data = bytes->data,
							 .n = bytes->len};
	}
	rc = store_trusted_put(store, set, n, err);
	if (a->trusted_ms < trust->created_ms)
		a->trusted_ms = trust->created_ms;
	return rc == 0 ? timekeeping_put(store, a->trusted_ms, err) : rc;
}

static void accept_run(struct job *job)
{
	struct accept_job *a = container_of(job, struct accept_job, job);
	struct trust_candidate candidate = {.timestamp = {a->timestamp.data, a->timestamp.len},
					    .now_ms = a->trusted_ms};
	struct reading *r = &a->reading;

	for (enum trust_role role = TRUST_POLICY; role < TRUST_TIMESTAMP; role++)
		candidate.bundles[role] =
			(struct trust_blob){a->bundles[role].data, a->bundles[role].len};
	job->rc = trust_accept(&a->held, &candidate, &r->arena, &r->accepted, &job->err);
	if (job->rc == 0)
		job->rc = read_bodies(r, &job->err);
	if (job->rc == 0)
		job->rc = accept_store(a, &job->err);
}

static void report_active(struct state *s, const struct accept_job *a)
{
	struct sync *client = syncing_client(s->e);

	for (enum trust_role role = TRUST_ROOT; client != NULL && role < TRUST_TIMESTAMP; role++)
		if (a->bundles[role].len > 0)
			sync_report(client, trust_role_name(role), s->trust.items[role].version,
				    true, "");
}

/* What was pushed while a set was being made durable. */
static void take_later(struct state *s)
{
	struct buf later = s->later;

	buf_init(&s->later, LIMIT_SMALL_SIGNED);
	if (later.len > 0)
		state_timestamp(s->e, later.data, later.len);
	buf_deinit(&later);
}

/* A set was dealt with: what waited for that. */
void state_go_on(struct state *s)
{
	struct err err = ERR_INIT;

	if (s->e->stopping) {
		if (s->import.set != NULL)
			state_import_end(s, err_set(&err, ERR_CANCELED, "the agent is ending"),
					 &err);
		return;
	}
	if (s->import.set != NULL)
		state_import_begin(s);
	if (!s->accepting)
		take_later(s);
}

static void accept_done(struct job *job)
{
	struct accept_job *a = container_of(job, struct accept_job, job);
	struct engine *e = job->e;
	struct state *s = e->state;

	s->accepting = false;
	if (job->rc < 0) {
		s->root = a->bundles[TRUST_ROOT]; /* stepped to, whatever becomes of this set */
		buf_init(&a->bundles[TRUST_ROOT], LIMIT_BUNDLE);
		state_refuse(s, ROLE_TIMESTAMP, a->version, &job->err);
	} else {
		take_reading(s, &a->reading);
		s->refused[0] = '\0';
		(void)trusted_time_hear(&e->time, s->trust.created_ms, engine_mono(e));
		state_forget_set(s);
		log_info("state", "active", LOG_INT("status", s->trust.items[TRUST_STATUS].version),
			 LOG_INT("policy", s->trust.items[TRUST_POLICY].version));
		report_active(s, a);
	}
	accept_free(a);
	if (!e->stopping) {
		logging_follow(e);
		asking_hear(e);
		deciding_state_changed(e);
	}
	if (s->importing)
		state_import_end(s, 0, NULL);
	state_go_on(s);
}

void state_accept_set(struct state *s)
{
	struct accept_job *a = mem_calloc(1, sizeof *a);
	struct err err = ERR_INIT;

	if (a == NULL) {
		err_nomem(&err);
		state_refuse(s, ROLE_TIMESTAMP, s->names.items[TRUST_TIMESTAMP].version, &err);
		return;
	}
	arena_init(&a->reading.arena, LIMIT_BUNDLE_MEMORY);
	a->held = s->trust;
	a->version = s->names.items[TRUST_TIMESTAMP].version;
	a->trusted_ms = engine_trusted(s->e);
	a->timestamp = s->timestamp;
	buf_init(&s->timestamp, LIMIT_SMALL_SIGNED);
	for (enum trust_role role = TRUST_POLICY; role < TRUST_ROLES; role++) {
		a->bundles[role] = s->bundles[role];
		buf_init(&s->bundles[role], LIMIT_BUNDLE);
	}
	a->bundles[TRUST_ROOT] = s->root;
	buf_init(&s->root, LIMIT_BUNDLE);
	s->accepting = true;
	a->job.run = accept_run;
	a->job.done = accept_done;
	engine_submit(s->e, &a->job);
}

void state_accept_when_whole(struct state *s)
{
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		if (s->wanted[role])
			return;
	state_accept_set(s);
}

void state_restore_set(struct state *s, const struct trust_candidate *stored)
{
	struct reading r = {.said = NULL};
	struct err why = ERR_INIT;
	int rc;

	arena_init(&r.arena, LIMIT_BUNDLE_MEMORY);
	rc = trust_restore(&s->trust, stored, &r.arena, &r.accepted, &why);
	if (rc == 0)
		rc = read_bodies(&r, &why);
	if (rc == 0)
		take_reading(s, &r);
	else
		log_warn("state", "stored set not usable, fetching it again", LOG_ERR(&why));
	reading_deinit(&r);
}
