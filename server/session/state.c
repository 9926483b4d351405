#include "server/session/state.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/limits.h"
#include "proto/signed.h"
#include "server/db/db_bundle.h"
#include "server/db/db_exception.h"
#include "server/db/db_machine.h"
#include "server/db/db_org.h"
#include "server/db/db_request.h"
#include "server/db/db_status.h"
#include "server/db/db_unlock.h"

enum {
	NAMED_ROOT,
	NAMED_STATUS,
	NAMED_POLICY, /* when there is one */
	NAMED_N
};

struct state {
	struct uuid machine;
	int64_t now_ms;
	struct arena arena;
	uint64_t timestamp_version;
	struct signer_held named[NAMED_N];
	size_t n_named;
	bool make; /* a status bundle of these: */
	struct signer_org org;
	struct signer_status status;
	unsigned char unlock_key[UNLOCK_KEY_SIZE];
	struct buf signed_status;
	struct buf timestamp;
};

/* What is needed to find out what is wanted. */
struct preparing {
	struct db_conn *conn;
	struct state *s;
	const struct state_held *held;
	struct db_machine machine;
	struct db_bundle status; /* version 0: none is stored */
};

void state_free(struct state *s)
{
	if (!s)
		return;
	crypto_wipe(s->unlock_key, sizeof(s->unlock_key));
	arena_deinit(&s->arena);
	buf_deinit(&s->signed_status);
	buf_deinit(&s->timestamp);
	mem_free(s);
}

/* --- what is stored --- */

/* The newest bundle of a role; version 0 when there is none. */
static int head(struct db_conn *conn, const char *role, const struct uuid *machine,
		struct db_bundle *out, struct err *err)
{
	int rc = db_bundle_head(conn, role, machine, out, NULL);

	if (rc == ERR_NOTFOUND) {
		out->version = 0;
		return 0;
	}
	return rc < 0 ? err_set(err, rc, "%s bundle: %s", role, err_text(rc)) : 0;
}

static void name(struct state *s, const char *role, uint64_t version, const unsigned char *hash)
{
	struct signer_held *named = &s->named[s->n_named++];

	named->role = role;
	named->version = version;
	if (hash)
		memcpy(named->hash, hash, SHA256_SIZE);
}

/* --- what the machine holds --- */

/* Whether the machine holds a bundle that the one in the store does not follow. */
static bool held_is_foreign(const struct preparing *p)
{
	uint64_t held = p->held->status_version;

	if (held == 0)
		return false;
	if (held != p->status.version)
		return held > p->status.version;
	return !crypto_equal(p->status.hash, p->held->status_hash, SHA256_SIZE);
}

static int note(struct preparing *p, const char *role, uint64_t version, struct err *err)
{
	return db_bundle_report_put(p->conn,
				    &(struct db_bundle_report){.machine = p->s->machine,
							       .role = role,
							       .version = version,
							       .active = true,
							       .reason = "",
							       .at_ms = p->s->now_ms},
				    err);
}

/*
 * What the machine holds it acts on. It reports that when it begins to; but a report is lost when
 * the machine, or the server, ends before it is stored.
 */
static int held_note(struct preparing *p, const struct db_bundle *policy, struct err *err)
{
	const struct state_held *held = p->held;
	char id[UUID_TEXT_MAX];
	int rc = 0;

	if (held->status_version > 0 && held->status_version == p->status.version &&
	    !held_is_foreign(p))
		rc = note(p, ROLE_STATUS, held->status_version, err);
	if (rc == 0 && held->policy_version > 0 && held->policy_version == policy->version &&
	    crypto_equal(held->policy_hash, policy->hash, SHA256_SIZE))
		rc = note(p, ROLE_POLICY, held->policy_version, err);
	if (held->policy_version > policy->version) {
		uuid_format(&p->s->machine, id);
		log_warn("session", "a machine holds a newer policy than is stored here",
			 LOG_STR("machine", id), LOG_INT("held", (int64_t)held->policy_version),
			 LOG_INT("stored", (int64_t)policy->version));
	}
	return rc;
}

/* Makes the wanted version higher where it has to be. */
static int raise_version(struct preparing *p, struct err *err)
{
	const struct uuid id = p->s->machine;
	uint64_t above = 0;
	int rc;

	if (held_is_foreign(p))
		above = p->held->status_version;
	else if (p->status.version > 0 &&
		 p->status.created_ms + SIGNER_STATUS_MS / 2 < p->s->now_ms)
		above = p->status.version; /* long before it expires */
	if (above < p->machine.status_version || above == 0)
		return 0;
	rc = db_machine_raise_status(p->conn, &id, above, err);
	return rc < 0 ? rc : db_machine_get(p->conn, &id, &p->s->arena, &p->machine, err);
}

/* --- what a new status bundle says --- */

static int requests_get(struct preparing *p, struct err *err)
{
	struct state *s = p->s;
	struct signer_request *told;
	struct db_request *list = NULL;
	size_t n = 0;
	int rc = db_request_of_machine(p->conn, &s->machine, s->now_ms, &s->arena, &list, &n, err);

	if (rc < 0)
		return rc;
	told = arena_calloc(&s->arena, n + 1, sizeof(*told));
	if (!told)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		told[i] = (struct signer_request){.id = list[i].id,
						  .state = (uint32_t)list[i].state,
						  .message = list[i].answer,
						  .exception = list[i].exception,
						  .until_ms = list[i].until_ms};
	s->status.requests = told;
	s->status.n_requests = n;
	return 0;
}

static int lifts_get(struct preparing *p, struct err *err)
{
	struct state *s = p->s;
	struct exception *exceptions = NULL;
	int rc = db_exception_of_machine(p->conn, &s->machine, s->now_ms, &s->arena, &exceptions,
					 &s->status.n_exceptions, err);

	if (rc == 0)
		rc = db_unlock_key(p->conn, &s->machine, s->unlock_key, err);
	if (rc == 0)
		rc = db_unlock_revoked(p->conn, &s->machine, s->now_ms, &s->arena,
				       &s->status.revoked, &s->status.revoked_n, err);
	s->status.exceptions = exceptions;
	s->status.unlock_key = s->unlock_key;
	return rc;
}

static int contents_get(struct preparing *p, struct err *err)
{
	struct state *s = p->s;
	struct status_entry *entries = NULL;
	struct db_org org;
	size_t n = 0;
	int rc = db_org_get(p->conn, &s->arena, &org, err);

	if (rc == 0)
		rc = db_status_list(p->conn, &s->machine, s->now_ms, &s->arena, &entries, &n, err);
	if (rc < 0)
		return rc;
	s->org = (struct signer_org){.id = org.id,
				     .name = org.name,
				     .logging = org.logging,
				     .contact = org.contact,
				     .when_agent_down = org.when_agent_down};
	s->status = (struct signer_status){.machine = s->machine,
					   .version = p->machine.status_version,
					   .statuses = entries,
					   .n_statuses = n,
					   .labels = p->machine.labels.items,
					   .n_labels = p->machine.labels.n};
	rc = lifts_get(p, err);
	return rc < 0 ? rc : requests_get(p, err);
}

/* --- the three steps --- */

static int prepare(struct preparing *p, struct err *err)
{
	struct state *s = p->s;
	struct db_bundle root, policy;
	int rc = db_machine_get(p->conn, &s->machine, &s->arena, &p->machine, err);

	if (rc == 0)
		rc = head(p->conn, ROLE_STATUS, &s->machine, &p->status, err);
	if (rc == 0)
		rc = db_bundle_head(p->conn, ROLE_ROOT, NULL, &root, err);
	if (rc == 0)
		rc = head(p->conn, ROLE_POLICY, NULL, &policy, err);
	if (rc == 0)
		rc = held_note(p, &policy, err);
	if (rc == 0)
		rc = raise_version(p, err);
	if (rc != 0)
		return rc;
	s->make = p->status.version < p->machine.status_version;
	name(s, ROLE_ROOT, root.version, root.hash);
	name(s, ROLE_STATUS, s->make ? p->machine.status_version : p->status.version,
	     s->make ? NULL : p->status.hash);
	if (policy.version > 0)
		name(s, ROLE_POLICY, policy.version, policy.hash);
	rc = s->make ? contents_get(p, err) : 0;
	return rc < 0 ? rc
		      : db_machine_next_timestamp(p->conn, &s->machine, p->held->timestamp_version,
						  &s->timestamp_version, err);
}

int state_prepare(struct db_conn *conn, const struct uuid *machine, const struct state_held *held,
		  int64_t now_ms, struct state **out, struct err *err)
{
	struct preparing p = {.conn = conn, .held = held};
	int rc;

	p.s = mem_calloc(1, sizeof(*p.s));
	if (!p.s)
		return err_nomem(err);
	p.s->machine = *machine;
	p.s->now_ms = now_ms;
	arena_init(&p.s->arena, STATE_MEMORY);
	buf_init(&p.s->signed_status, DB_BUNDLE_MAX);
	buf_init(&p.s->timestamp, LIMIT_SMALL_SIGNED);
	rc = prepare(&p, err);
	if (rc < 0) {
		state_free(p.s);
		return rc;
	}
	*out = p.s;
	return 0;
}

int state_sign(struct state *s, const struct signer *signer, int64_t valid_ms, struct err *err)
{
	int rc = 0;

	if (s->make) {
		rc = signer_sign_status(signer, &s->org, &s->status, s->now_ms, &s->signed_status,
					err);
		sha256(s->signed_status.data, s->signed_status.len, s->named[NAMED_STATUS].hash);
	}
	return rc < 0 ? rc
		      : signer_sign_timestamp(
				signer,
				&(struct signer_timestamp){.machine = s->machine,
							   .version = s->timestamp_version,
							   .held = s->named,
							   .n_held = s->n_named,
							   .now_ms = s->now_ms,
							   .valid_ms = valid_ms},
				&s->timestamp, err);
}

bool state_made(const struct state *s)
{
	return s->make;
}

int state_store(struct db_conn *conn, const struct state *s, struct err *err)
{
	return db_bundle_put(
		conn,
		&(struct db_bundle){.role = ROLE_STATUS,
				    .version = s->status.version,
				    .machine = s->machine,
				    .data = (const unsigned char *)s->signed_status.data,
				    .n = s->signed_status.len,
				    .created_ms = s->now_ms},
		err);
}

const struct buf *state_timestamp(const struct state *s)
{
	return &s->timestamp;
}
