/*
 * Signed state: which set is held, what it says, and taking over a new one.
 *
 *   a timestamp names a set -> what is lacking is fetched -> verified as a whole (core/trust)
 *   -> made durable -> active -> reported
 *
 * A refused set changes nothing: the last good one stays, and the server is told why.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define KEY_LOGGING "logging" /* '1': the server was told a baseline, logging has been on */
#define KEY_TRUSTED_TIME "trusted-time"
#define SWITCH_RETRY_MS 30000

/* What a status bundle says, in one block of memory of its own. */
struct said {
	struct arena arena;
	struct status_entry *statuses; /* sorted by environment */
	size_t n_statuses;
	const char *contact;
	enum agent_down when_agent_down;
	bool logging;
};

struct state {
	struct engine *e;
	bool held; /* false until enrolled */
	struct trust trust;

	struct said said;
	bool logged;	/* a baseline was told since logging was last switched on */
	bool switching; /* a job makes the second follow the first */

	/* The set being fetched. */
	struct buf timestamp; /* empty: none */
	struct trust_names names;
	struct buf bundles[TRUST_ROLES];
	bool wanted[TRUST_ROLES];
	bool accepting;	  /* a job is making it durable */
	struct buf later; /* the newest timestamp that came meanwhile */
};

/* --- what the status bundle says --- */

static int cmp_status(const void *a, const void *b)
{
	return uuid_cmp(&((const struct status_entry *)a)->environment,
			&((const struct status_entry *)b)->environment);
}

static int copy_statuses(const Envwarden__Bundle__Status *status, struct arena *arena,
			 struct status_entry **out)
{
	struct status_entry *all = arena_calloc(arena, status->n_statuses + 1, sizeof *all);

	for (size_t i = 0; all != NULL && i < status->n_statuses; i++) {
		const Envwarden__Bundle__EnvironmentStatus *wire = status->statuses[i];
		int rc = action_from_wire(wire->action, &all[i].action, NULL);

		uuid_from_wire(&wire->environment, &all[i].environment);
		all[i].message = arena_strdup(arena, wire->message);
		all[i].until_ms = wire->until_ms;
		all[i].until_fixed = wire->until_fixed;
		if (rc < 0 || all[i].message == NULL)
			return rc < 0 ? rc : ERR_NOMEM;
	}
	if (all == NULL)
		return ERR_NOMEM;
	if (status->n_statuses > 1)
		qsort(all, status->n_statuses, sizeof *all, cmp_status);
	*out = all;
	return 0;
}

static int read_said(const Envwarden__Bundle__Status *status, struct said *out, struct err *err)
{
	struct said said = {.n_statuses = status->n_statuses, .logging = status->logging};
	int rc;

	arena_init(&said.arena, LIMIT_BUNDLE_MEMORY);
	rc = copy_statuses(status, &said.arena, &said.statuses);
	said.contact = arena_strdup(&said.arena, status->contact);
	if (rc == 0 && said.contact == NULL)
		rc = ERR_NOMEM;
	if (rc < 0) {
		arena_deinit(&said.arena);
		return err_set(err, rc, "status bundle: %s", err_text(rc));
	}
	if (agent_down_parse(status->when_agent_down, &said.when_agent_down) < 0)
		said.when_agent_down = AGENT_DOWN_LAST_DECISION;
	*out = said;
	return 0;
}

static void take_said(struct state *s, struct said *said)
{
	arena_deinit(&s->said.arena);
	s->said = *said;
	*said = (struct said){0};
}

const struct status_entry *state_status(const struct engine *e, const struct uuid *environment)
{
	const struct state *s = e->state;
	struct status_entry key = {.environment = *environment};

	if (s->said.n_statuses == 0)
		return NULL;
	return bsearch(&key, s->said.statuses, s->said.n_statuses, sizeof key, cmp_status);
}

bool state_logging(const struct engine *e)
{
	/* Not before the baseline: what is from before must never be sent. */
	return e->state->said.logging && e->state->logged;
}

const char *state_contact(const struct engine *e)
{
	return e->state->said.contact;
}

enum agent_down state_when_agent_down(const struct engine *e)
{
	return e->state->said.when_agent_down;
}

uint64_t state_version(const struct engine *e, enum trust_role role)
{
	return e->state->held ? e->state->trust.items[role].version : 0;
}

void state_held(const struct engine *e, struct sync_position *out)
{
	const struct trust *t = &e->state->trust;

	out->n_held = 0;
	for (enum trust_role role = TRUST_ROOT; e->state->held && role <= TRUST_TIMESTAMP; role++) {
		if (t->items[role].version == 0)
			continue;
		(void)snprintf(out->held[out->n_held].role, sizeof out->held[0].role, "%s",
			       trust_role_name(role));
		out->held[out->n_held].version = t->items[role].version;
		memcpy(out->held[out->n_held].hash, t->items[role].hash, SHA256_SIZE);
		out->n_held++;
	}
}

/* --- the logging switch --- */

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

static void follow_switch(struct state *s);

static void on_switch_time(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	follow_switch(e->state);
}

static void switch_done(struct job *job)
{
	struct switch_job *sw = container_of(job, struct switch_job, job);
	struct engine *e = job->e;
	struct state *s = e->state;
	bool failed = job->rc < 0;

	s->switching = false;
	if (failed) {
		log_error("state", "logging not switched, trying again", LOG_ERR(&job->err));
	} else {
		s->logged = sw->on;
		log_info("state", sw->on ? "logging is on" : "logging is off", LOG_NONE);
	}
	mem_free(sw);
	if (e->stopping)
		return;
	if (failed) {
		uv_timer_start(&e->switch_timer, on_switch_time, SWITCH_RETRY_MS, 0);
		return;
	}
	follow_switch(s); /* it may have been switched again meanwhile */
	engine_restart_reader(e);
	fallback_update(e);
	syncing_journal_grew(e);
	requests_journal_grew(e);
}

static void follow_switch(struct state *s)
{
	struct switch_job *sw;

	if (s->said.logging == s->logged || s->switching)
		return;
	sw = mem_calloc(1, sizeof *sw);
	if (sw == NULL)
		return; /* the next state, or start, tries again */
	s->switching = true;
	sw->on = s->said.logging;
	sw->job.run = switch_run;
	sw->job.done = switch_done;
	engine_submit(s->e, &sw->job);
}

/* --- taking over a set --- */

static void forget_set(struct state *s)
{
	buf_clear(&s->timestamp);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++) {
		buf_clear(&s->bundles[role]);
		s->wanted[role] = false;
	}
}

static void refuse(struct state *s, const char *role, uint64_t version, const struct err *err)
{
	log_warn("state", "set refused", LOG_STR("role", role), LOG_ERR(err));
	if (syncing_client(s->e) != NULL)
		sync_report(syncing_client(s->e), role, version, false, err->text);
	forget_set(s);
}

struct accept_job {
	struct job job;
	struct arena arena; /* the bodies */
	struct trust_accepted accepted;
	struct said said; /* of a new status bundle: */
	bool says;
	struct buf timestamp;
	struct buf bundles[TRUST_ROLES];
	int64_t trusted_ms;
};

static void accept_free(struct accept_job *a)
{
	buf_deinit(&a->timestamp);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		buf_deinit(&a->bundles[role]);
	arena_deinit(&a->said.arena);
	arena_deinit(&a->arena);
	mem_free(a);
}

static void accept_run(struct job *job)
{
	struct accept_job *a = container_of(job, struct accept_job, job);
	struct store_bundle set[TRUST_ROLES];
	char now[32];
	size_t n = 0;

	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++) {
		const struct buf *bytes =
			role == TRUST_TIMESTAMP ? &a->timestamp : &a->bundles[role];

		if (bytes->len > 0)
			set[n++] = (struct store_bundle){
				.role = trust_role_name(role),
				.version = a->accepted.trust.items[role].version,
				.data = bytes->data,
				.n = bytes->len};
	}
	job->rc = store_trusted_put(job->e->store, set, n, &job->err);
	(void)snprintf(now, sizeof now, "%lld", (long long)a->trusted_ms);
	if (job->rc == 0)
		job->rc =
			store_kv_put(job->e->store, KEY_TRUSTED_TIME, now, strlen(now), &job->err);
}

static void report_active(struct state *s, const struct accept_job *a)
{
	struct sync *client = syncing_client(s->e);

	for (enum trust_role role = TRUST_ROOT; client != NULL && role < TRUST_TIMESTAMP; role++)
		if (a->bundles[role].len > 0)
			sync_report(client, trust_role_name(role),
				    a->accepted.trust.items[role].version, true, "");
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

static void accept_done(struct job *job)
{
	struct accept_job *a = container_of(job, struct accept_job, job);
	struct engine *e = job->e;
	struct state *s = e->state;

	s->accepting = false;
	if (job->rc < 0) {
		refuse(s, ROLE_TIMESTAMP, a->accepted.trust.items[TRUST_TIMESTAMP].version,
		       &job->err);
	} else {
		s->trust = a->accepted.trust;
		s->held = true;
		if (a->says)
			take_said(s, &a->said);
		forget_set(s);
		log_info("state", "active", LOG_INT("status", s->trust.items[TRUST_STATUS].version),
			 LOG_INT("policy", s->trust.items[TRUST_POLICY].version));
		report_active(s, a);
	}
	accept_free(a);
	if (e->stopping)
		return;
	follow_switch(s);
	fallback_update(e);
	take_later(s);
}

/* Before it is made durable: a set that can't be understood is not taken over. */
static int read_new_status(struct accept_job *a, struct err *err)
{
	const Envwarden__Bundle__Body *status = a->accepted.bodies[TRUST_STATUS];
	int rc = status != NULL ? read_said(status->status, &a->said, err) : 0;

	a->says = rc == 0 && status != NULL;
	return rc;
}

static void accept_set(struct state *s)
{
	struct accept_job *a = mem_calloc(1, sizeof *a);
	struct trust_candidate candidate = {.timestamp = {s->timestamp.data, s->timestamp.len},
					    .now_ms = engine_trusted(s->e)};
	struct err err = ERR_INIT;

	if (a == NULL) {
		err_nomem(&err);
		refuse(s, ROLE_TIMESTAMP, s->names.items[TRUST_TIMESTAMP].version, &err);
		return;
	}
	arena_init(&a->arena, LIMIT_BUNDLE_MEMORY);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		candidate.bundles[role] =
			(struct trust_blob){s->bundles[role].data, s->bundles[role].len};
	if (trust_accept(&s->trust, &candidate, &a->arena, &a->accepted, &err) < 0 ||
	    read_new_status(a, &err) < 0) {
		refuse(s, ROLE_TIMESTAMP, s->names.items[TRUST_TIMESTAMP].version, &err);
		accept_free(a);
		return;
	}
	(void)trusted_time_hear(&s->e->time, a->accepted.trust.created_ms, engine_mono(s->e));
	a->trusted_ms = engine_trusted(s->e);
	a->timestamp = s->timestamp;
	buf_init(&s->timestamp, LIMIT_SMALL_SIGNED);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++) {
		a->bundles[role] = s->bundles[role];
		buf_init(&s->bundles[role], LIMIT_BUNDLE);
	}
	s->accepting = true;
	a->job.run = accept_run;
	a->job.done = accept_done;
	engine_submit(s->e, &a->job);
}

static void accept_when_whole(struct state *s)
{
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		if (s->wanted[role])
			return;
	accept_set(s);
}

void state_timestamp(struct engine *e, const void *data, size_t n)
{
	struct state *s = e->state;
	struct trust_blob blob = {data, n};
	struct err err = ERR_INIT;
	int rc;

	if (!e->enrolled)
		return;
	if (s->accepting) {
		buf_clear(&s->later);
		buf_add(&s->later, data, n);
		return;
	}
	forget_set(s);
	rc = trust_read_timestamp(&s->trust, &blob, engine_trusted(e), &s->names, &err);
	if (rc < 0) {
		refuse(s, ROLE_TIMESTAMP, 0, &err);
		return;
	}
	buf_add(&s->timestamp, data, n);
	if (buf_rc(&s->timestamp) < 0) {
		forget_set(s);
		return;
	}
	for (enum trust_role role = TRUST_ROOT; role < TRUST_TIMESTAMP; role++) {
		if (!trust_lacks(&s->trust, &s->names, role))
			continue;
		s->wanted[role] = true;
		sync_want(syncing_client(e), trust_role_name(role), s->names.items[role].version);
	}
	accept_when_whole(s);
}

void state_bundle(struct engine *e, const char *role_name, uint64_t version, const void *data,
		  size_t n)
{
	struct state *s = e->state;
	enum trust_role role;

	if (trust_role_parse(role_name, &role) < 0 || !s->wanted[role] ||
	    version != s->names.items[role].version)
		return; /* of a set that was superseded */
	buf_clear(&s->bundles[role]);
	buf_add(&s->bundles[role], data, n);
	if (buf_rc(&s->bundles[role]) < 0) {
		forget_set(s);
		return;
	}
	s->wanted[role] = false;
	accept_when_whole(s);
}

/* --- life --- */

static int begin(struct state *s, const void *root, size_t n, struct err *err)
{
	struct trust_blob blob = {root, n};
	int rc = trust_begin(&s->e->identity.machine, &blob, 1, &s->trust, err);

	s->held = rc == 0;
	return rc;
}

int state_begin(struct engine *e, struct err *err)
{
	struct state *s = e->state;

	s->said.logging = false;
	s->logged = false;
	return begin(s, e->identity.root.data, e->identity.root.len, err);
}

static void restore_time(struct state *s)
{
	struct buf text;

	buf_init(&text, 64);
	if (store_kv_get(s->e->store, KEY_TRUSTED_TIME, &text, NULL) == 0)
		trusted_time_init(&s->e->time, strtoll(buf_cstr(&text), NULL, 10),
				  engine_mono(s->e));
	buf_clear(&text);
	if (store_kv_get(s->e->store, KEY_LOGGING, &text, NULL) == 0)
		s->logged = text.len == 1 && text.data[0] == '1';
	buf_deinit(&text);
}

/* The set as it was stored. What can't be used is fetched again. */
static int restore(struct state *s, struct err *err)
{
	struct buf stored[TRUST_ROLES];
	struct trust_candidate candidate = {.now_ms = engine_trusted(s->e)};
	struct trust_accepted accepted;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_BUNDLE_MEMORY);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++) {
		uint64_t version;

		buf_init(&stored[role], LIMIT_BUNDLE);
		(void)store_trusted_get(s->e->store, trust_role_name(role), &version, &stored[role],
					NULL);
		candidate.bundles[role] = (struct trust_blob){stored[role].data, stored[role].len};
	}
	candidate.timestamp = candidate.bundles[TRUST_TIMESTAMP];
	candidate.bundles[TRUST_TIMESTAMP] = (struct trust_blob){0};
	rc = stored[TRUST_ROOT].len > 0
		     ? begin(s, stored[TRUST_ROOT].data, stored[TRUST_ROOT].len, err)
		     : begin(s, s->e->identity.root.data, s->e->identity.root.len, err);
	candidate.bundles[TRUST_ROOT] = (struct trust_blob){0};
	if (rc == 0 && candidate.timestamp.n > 0) {
		struct err why = ERR_INIT;
		struct said said = {0};
		bool says = false;

		rc = trust_restore(&s->trust, &candidate, &arena, &accepted, &why);
		if (rc == 0 && accepted.bodies[TRUST_STATUS] != NULL) {
			rc = read_said(accepted.bodies[TRUST_STATUS]->status, &said, &why);
			says = rc == 0;
		}
		if (says)
			take_said(s, &said);
		if (rc == 0)
			s->trust = accepted.trust;
		else
			log_warn("state", "stored set not usable, fetching it again",
				 LOG_ERR(&why));
		rc = 0;
	}
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		buf_deinit(&stored[role]);
	arena_deinit(&arena);
	return rc;
}

int state_start(struct engine *e, struct err *err)
{
	struct state *s = mem_calloc(1, sizeof *s);

	if (s == NULL)
		return err_nomem(err);
	s->e = e;
	s->said.contact = "";
	buf_init(&s->timestamp, LIMIT_SMALL_SIGNED);
	buf_init(&s->later, LIMIT_SMALL_SIGNED);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		buf_init(&s->bundles[role], LIMIT_BUNDLE);
	e->state = s;
	trusted_time_init(&e->time, 0, engine_mono(e));
	restore_time(s);
	if (!e->enrolled)
		return 0;
	if (restore(s, err) < 0)
		return err_context(err, "the organisation's root");
	follow_switch(s); /* a crash may have come between the state and the switch */
	return 0;
}

void state_stop(struct engine *e)
{
	struct state *s = e->state;

	if (s == NULL)
		return;
	arena_deinit(&s->said.arena);
	buf_deinit(&s->timestamp);
	buf_deinit(&s->later);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		buf_deinit(&s->bundles[role]);
	mem_free(s);
	e->state = NULL;
}
