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

#include "agent/state_impl.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

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
void state_follow_timestamp(struct state *s)
{
	struct trust_blob blob = {s->timestamp.data, s->timestamp.len};
	struct err err = ERR_INIT;
	int rc = trust_read_timestamp(&s->trust, &blob, engine_trusted(s->e), &s->names, &err);

	if (rc == ERR_VERIFY) {
		state_tell_refused(s, ROLE_TIMESTAMP, 0, &err);
		want_root(s);
		return;
	}
	if (rc < 0) {
		state_refuse(s, ROLE_TIMESTAMP, 0, &err);
		return;
	}
	if (trust_lacks(&s->trust, &s->names, TRUST_ROOT)) {
		want_root(s);
		return;
	}
	for (enum trust_role role = TRUST_POLICY; role < TRUST_TIMESTAMP; role++)
		if (trust_lacks(&s->trust, &s->names, role))
			want(s, role, s->names.items[role].version);
	state_accept_when_whole(s);
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
	state_forget_set(s);
	buf_add(&s->timestamp, data, n);
	if (buf_rc(&s->timestamp) < 0)
		state_forget_set(s);
	else
		state_follow_timestamp(s);
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
		state_refuse(s, ROLE_ROOT, version, &err);
		return;
	}
	buf_deinit(&s->root);
	s->root = *root;
	buf_init(root, LIMIT_BUNDLE);
	log_info("state", "next root", LOG_INT("version", s->trust.root.version));
	state_follow_timestamp(s);
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
		state_forget_set(s);
		return;
	}
	s->wanted[role] = false;
	if (role == TRUST_ROOT && s->stepping)
		step_root(s);
	else
		state_accept_when_whole(s);
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
		state_restore_set(s, &candidate);
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
