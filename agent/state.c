/*
 * Signed state: which set is held, and taking over a new one.
 *
 *   a timestamp names a set -> what is lacking is fetched -> verified as a whole (core/trust), read
 *   and made durable on the store's thread -> active -> reported
 *
 * A refused set changes nothing: the last good one stays, and the server is told why. A timestamp
 * that does not verify, or names a newer root, has the next root fetched, one step at a time.
 *
 * A set from a file (state_import) goes the same way; only that all of it is there at once, and
 * that who brought it is told, not the server.
 */
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

struct state {
	struct engine *e;
	bool held; /* false until enrolled */
	struct trust trust;
	struct said *said;	/* NULL: nothing was said yet */
	struct rulebook *rules; /* NULL: there is no policy */

	/* The set being fetched. */
	struct buf timestamp; /* empty: none */
	struct trust_names names;
	struct buf bundles[TRUST_ROLES];
	bool wanted[TRUST_ROLES];
	struct buf root;  /* one that was stepped to and is not stored yet; empty: it is */
	bool stepping;	  /* the next root is asked for, for the sake of `timestamp` */
	bool accepting;	  /* a job is making it durable */
	struct buf later; /* the newest timestamp that came meanwhile */
	char refused[ENGINE_TEXT_MAX]; /* why the last set was, "" if it was taken */

	struct {
		const struct set_file *set; /* NULL: none is waited for */
		state_import_cb done;
		void *ctx;
	} import;
	bool importing; /* the set under way is the import's */
};

bool state_wants_logging(const struct engine *e)
{
	const struct state *s = e->state;

	return s->said != NULL && s->said->logging;
}

bool state_logging(const struct engine *e)
{
	/* Not before the baseline: what is from before must never be sent. */
	return state_wants_logging(e) && e->logged;
}

const char *state_contact(const struct engine *e)
{
	const struct state *s = e->state;

	if (s->rules != NULL && s->rules->policy.defaults.contact[0] != '\0')
		return s->rules->policy.defaults.contact;
	return s->said != NULL ? s->said->contact : "";
}

enum agent_down state_when_agent_down(const struct engine *e)
{
	const struct state *s = e->state;

	if (s->rules != NULL)
		return s->rules->when_agent_down;
	return s->said != NULL ? s->said->when_agent_down : AGENT_DOWN_LAST_DECISION;
}

struct said *state_said(const struct engine *e)
{
	return e->state->said;
}

struct rulebook *state_rules(const struct engine *e)
{
	return e->state->rules;
}

int64_t state_confirmed_ms(const struct engine *e)
{
	return e->state->held ? e->state->trust.created_ms : 0;
}

const char *state_refused(const struct engine *e)
{
	return e->state->refused;
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

/* --- taking over a set --- */

static void forget_set(struct state *s)
{
	buf_clear(&s->timestamp);
	s->stepping = false;
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++) {
		buf_clear(&s->bundles[role]);
		s->wanted[role] = false;
	}
}

static void tell_refused(struct state *s, const char *role, uint64_t version, const struct err *err)
{
	log_warn("state", "set refused", LOG_STR("role", role), LOG_ERR(err));
	(void)snprintf(s->refused, sizeof s->refused, "%s", err->text);
	if (syncing_client(s->e) != NULL)
		sync_report(syncing_client(s->e), role, version, false, err->text);
}

/* Whoever brought the file is told; nothing refers to it any more. */
static void import_end(struct state *s, int rc, const struct err *err)
{
	state_import_cb done = s->import.done;
	void *ctx = s->import.ctx;

	s->importing = false;
	s->import.set = NULL;
	done(ctx, rc, err);
}

static void refuse(struct state *s, const char *role, uint64_t version, const struct err *err)
{
	if (!s->importing)
		tell_refused(s, role, version, err);
	forget_set(s);
	if (s->importing) {
		log_warn("state", "file refused", LOG_ERR(err));
		import_end(s, err->code, err);
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

static void go_on(struct state *s);

static void accept_done(struct job *job)
{
	struct accept_job *a = container_of(job, struct accept_job, job);
	struct engine *e = job->e;
	struct state *s = e->state;

	s->accepting = false;
	if (job->rc < 0) {
		s->root = a->bundles[TRUST_ROOT]; /* stepped to, whatever becomes of this set */
		buf_init(&a->bundles[TRUST_ROOT], LIMIT_BUNDLE);
		refuse(s, ROLE_TIMESTAMP, a->version, &job->err);
	} else {
		take_reading(s, &a->reading);
		s->refused[0] = '\0';
		(void)trusted_time_hear(&e->time, s->trust.created_ms, engine_mono(e));
		forget_set(s);
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
		import_end(s, 0, NULL);
	go_on(s);
}

static void accept_set(struct state *s)
{
	struct accept_job *a = mem_calloc(1, sizeof *a);
	struct err err = ERR_INIT;

	if (a == NULL) {
		err_nomem(&err);
		refuse(s, ROLE_TIMESTAMP, s->names.items[TRUST_TIMESTAMP].version, &err);
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

static void accept_when_whole(struct state *s)
{
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		if (s->wanted[role])
			return;
	accept_set(s);
}

/* --- what is lacking --- */

static void want(struct state *s, enum trust_role role, uint64_t version)
{
	if (syncing_client(s->e) == NULL)
		return;
	s->wanted[role] = true;
	s->names.items[role].version = version;
	sync_want(syncing_client(s->e), trust_role_name(role), version);
}

/* The next root, before anything else: who signs the others may depend on it. */
static void want_root(struct state *s)
{
	s->stepping = true;
	want(s, TRUST_ROOT, s->trust.root.version + 1);
}

/* A timestamp kept in s->timestamp. It may be one that only a root to come lets us verify. */
static void follow_timestamp(struct state *s)
{
	struct trust_blob blob = {s->timestamp.data, s->timestamp.len};
	struct err err = ERR_INIT;
	int rc = trust_read_timestamp(&s->trust, &blob, engine_trusted(s->e), &s->names, &err);

	if (rc == ERR_VERIFY) {
		tell_refused(s, ROLE_TIMESTAMP, 0, &err);
		want_root(s);
		return;
	}
	if (rc < 0) {
		refuse(s, ROLE_TIMESTAMP, 0, &err);
		return;
	}
	if (trust_lacks(&s->trust, &s->names, TRUST_ROOT)) {
		want_root(s);
		return;
	}
	for (enum trust_role role = TRUST_POLICY; role < TRUST_TIMESTAMP; role++)
		if (trust_lacks(&s->trust, &s->names, role))
			want(s, role, s->names.items[role].version);
	accept_when_whole(s);
}

void state_timestamp(struct engine *e, const void *data, size_t n)
{
	struct state *s = e->state;

	if (!e->enrolled)
		return;
	if (s->accepting) {
		buf_clear(&s->later);
		buf_add(&s->later, data, n);
		return;
	}
	forget_set(s);
	buf_add(&s->timestamp, data, n);
	if (buf_rc(&s->timestamp) < 0)
		forget_set(s);
	else
		follow_timestamp(s);
}

/* --- a set from a file --- */

/*
 * The roots of the file that follow ours. The file is not signed, so they come in any order; what
 * is kept for the store is the one that was stepped to, not the last.
 */
static int import_roots(struct state *s, struct err *err)
{
	const struct set_file *set = s->import.set;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < set->n_roots; i++) {
		struct trust_blob root = {set->roots[i].data, set->roots[i].n};
		uint64_t before = s->trust.root.version;

		rc = trust_step_roots(&s->trust, &root, 1, &s->trust, err);
		if (rc < 0 || s->trust.root.version == before)
			continue;
		buf_clear(&s->root);
		buf_add(&s->root, root.data, root.n);
		rc = buf_rc(&s->root);
		log_info("state", "next root", LOG_INT("version", s->trust.root.version));
	}
	return rc;
}

static int import_names(struct state *s, struct err *err)
{
	struct trust_blob blob = {s->timestamp.data, s->timestamp.len};
	int rc = trust_read_timestamp(&s->trust, &blob, engine_trusted(s->e), &s->names, err);

	if (rc == 0 && trust_lacks(&s->trust, &s->names, TRUST_ROOT))
		rc = err_set(err, ERR_NOTFOUND, ROLE_ROOT ": the file lacks the one it names");
	return rc;
}

/* What the file lacks is found out when the set is accepted. */
static int import_bundles(struct state *s)
{
	const struct set_file *set = s->import.set;
	const struct set_file_item *items[TRUST_ROLES] = {
		[TRUST_POLICY] = &set->policy,
		[TRUST_ADVISORIES] = &set->advisories,
		[TRUST_STATUS] = &set->status,
	};
	int rc = 0;

	for (enum trust_role role = TRUST_POLICY; rc == 0 && role < TRUST_TIMESTAMP; role++) {
		if (items[role]->n == 0 || !trust_lacks(&s->trust, &s->names, role))
			continue;
		buf_add(&s->bundles[role], items[role]->data, items[role]->n);
		rc = buf_rc(&s->bundles[role]);
	}
	return rc;
}

static void import_begin(struct state *s)
{
	struct err err = ERR_INIT;
	int rc;

	s->importing = true;
	if (s->timestamp.len > 0 && s->later.len == 0) { /* of the server's: again afterwards */
		struct buf asked = s->timestamp;

		s->timestamp = s->later;
		s->later = asked;
	}
	forget_set(s);
	buf_add(&s->timestamp, s->import.set->timestamp.data, s->import.set->timestamp.n);
	rc = buf_rc(&s->timestamp);
	if (rc == 0)
		rc = import_roots(s, &err);
	if (rc == 0)
		rc = import_names(s, &err);
	if (rc == 0)
		rc = import_bundles(s);
	if (rc == 0) {
		accept_set(s);
		return;
	}
	if (err.code == 0)
		err_set(&err, rc, "%s", err_text(rc));
	refuse(s, ROLE_TIMESTAMP, 0, &err);
}

/* A set was dealt with: what waited for that. */
static void go_on(struct state *s)
{
	struct err err = ERR_INIT;

	if (s->e->stopping) {
		if (s->import.set != NULL)
			import_end(s, err_set(&err, ERR_CANCELED, "the agent is ending"), &err);
		return;
	}
	if (s->import.set != NULL)
		import_begin(s);
	if (!s->accepting)
		take_later(s);
}

void state_import(struct engine *e, const struct set_file *set, state_import_cb done, void *ctx)
{
	struct state *s = e->state;
	struct err err = ERR_INIT;

	if (!e->enrolled || s->import.set != NULL) {
		err_set(&err, e->enrolled ? ERR_BUSY : ERR_CONFLICT,
			e->enrolled ? "another file is being imported"
				    : "this machine is not enrolled: there is nothing to verify "
				      "the file by");
		done(ctx, err.code, &err);
		return;
	}
	s->import.set = set;
	s->import.done = done;
	s->import.ctx = ctx;
	if (!s->accepting)
		go_on(s);
}

int64_t state_stale_ms(const struct engine *e)
{
	const struct rulebook *rules = e->state->rules;

	if (rules == NULL || rules->policy.defaults.stale_after_ms == 0)
		return 0;
	return e->state->trust.created_ms + rules->policy.defaults.stale_after_ms;
}

/* --- roots over the wire --- */

/* One step; its bytes stay until a set is stored with them. */
static void step_root(struct state *s)
{
	struct buf *root = &s->bundles[TRUST_ROOT];
	struct trust_blob blob = {root->data, root->len};
	uint64_t version = s->names.items[TRUST_ROOT].version;
	struct err err = ERR_INIT;

	s->stepping = false;
	if (trust_step_roots(&s->trust, &blob, 1, &s->trust, &err) < 0) {
		refuse(s, ROLE_ROOT, version, &err);
		return;
	}
	buf_deinit(&s->root);
	s->root = *root;
	buf_init(root, LIMIT_BUNDLE);
	log_info("state", "next root", LOG_INT("version", s->trust.root.version));
	follow_timestamp(s);
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
	if (role == TRUST_ROOT && s->stepping)
		step_root(s);
	else
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

static void forget_said(struct state *s)
{
	said_drop(s->said);
	rulebook_drop(s->rules);
	s->said = NULL;
	s->rules = NULL;
}

int state_begin(struct engine *e, struct err *err)
{
	struct state *s = e->state;

	forget_said(s);
	e->logged = false;
	return begin(s, e->identity.root.data, e->identity.root.len, err);
}

static void restore_set(struct state *s, const struct trust_candidate *stored)
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

/* The set as it was stored. What can't be used is fetched again. */
static int restore(struct state *s, struct err *err)
{
	struct buf stored[TRUST_ROLES];
	struct trust_candidate candidate = {.now_ms = engine_trusted(s->e)};
	const struct buf *root = &stored[TRUST_ROOT];
	int rc;

	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++) {
		uint64_t version;

		buf_init(&stored[role], LIMIT_BUNDLE);
		(void)store_trusted_get(s->e->store, trust_role_name(role), &version, &stored[role],
					NULL);
		candidate.bundles[role] = (struct trust_blob){stored[role].data, stored[role].len};
	}
	candidate.timestamp = candidate.bundles[TRUST_TIMESTAMP];
	candidate.bundles[TRUST_TIMESTAMP] = (struct trust_blob){0};
	candidate.bundles[TRUST_ROOT] = (struct trust_blob){0};
	if (root->len == 0)
		root = &s->e->identity.root;
	rc = begin(s, root->data, root->len, err);
	if (rc == 0 && candidate.timestamp.n > 0)
		restore_set(s, &candidate);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		buf_deinit(&stored[role]);
	return rc;
}

int state_start(struct engine *e, struct err *err)
{
	struct state *s = mem_calloc(1, sizeof *s);

	if (s == NULL)
		return err_nomem(err);
	s->e = e;
	buf_init(&s->timestamp, LIMIT_SMALL_SIGNED);
	buf_init(&s->later, LIMIT_SMALL_SIGNED);
	buf_init(&s->root, LIMIT_BUNDLE);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		buf_init(&s->bundles[role], LIMIT_BUNDLE);
	e->state = s;
	timekeeping_start(e);
	logging_restore(e);
	if (!e->enrolled)
		return 0;
	if (restore(s, err) < 0)
		return err_context(err, "the organisation's root");
	logging_follow(e); /* a crash may have come between the state and the switch */
	return 0;
}

void state_stop(struct engine *e)
{
	struct state *s = e->state;

	if (s == NULL)
		return;
	forget_said(s);
	buf_deinit(&s->timestamp);
	buf_deinit(&s->later);
	buf_deinit(&s->root);
	for (enum trust_role role = TRUST_ROOT; role < TRUST_ROLES; role++)
		buf_deinit(&s->bundles[role]);
	mem_free(s);
	e->state = NULL;
}
