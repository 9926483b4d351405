#include "server/session/state.h"

#include <stdbool.h>
#include <string.h>

#include "proto/signed.h"
#include "server/db/db_bundle.h"
#include "server/db/db_machine.h"
#include "server/db/db_org.h"
#include "server/db/db_status.h"

struct state {
	struct db_conn *conn;
	const struct signer *signer;
	struct db_machine machine;
	struct db_bundle status; /* data NULL: none is stored */
	int64_t now_ms;
	struct arena arena;
};

/* The machine as it is now, and the newest status bundle stored for it. */
static int load(struct state *s, const struct uuid *machine, struct err *err)
{
	int rc = db_machine_get(s->conn, machine, &s->arena, &s->machine, err);

	if (rc < 0)
		return rc;
	rc = db_bundle_get(s->conn, ROLE_STATUS, machine, 0, &s->arena, &s->status, NULL);
	if (rc == ERR_NOTFOUND)
		return 0;
	return rc < 0 ? err_set(err, rc, "status bundle: %s", err_text(rc)) : 0;
}

/* Whether the machine holds a bundle that the one in the store does not follow. */
static bool held_is_foreign(const struct state *s, const struct state_held *held)
{
	unsigned char hash[SHA256_SIZE];

	if (held->status_version == 0)
		return false;
	if (!s->status.data || held->status_version > s->status.version)
		return true;
	if (held->status_version < s->status.version)
		return false;
	sha256(s->status.data, s->status.n, hash);
	return !crypto_equal(hash, held->status_hash, SHA256_SIZE);
}

/*
 * What the machine holds it acts on. It reports that when it begins to; but a report is lost when
 * the machine, or the server, ends before it is stored.
 */
static int held_note(struct state *s, const struct state_held *held, struct err *err)
{
	if (held->status_version == 0 || held_is_foreign(s, held) ||
	    held->status_version != s->status.version)
		return 0;
	return db_bundle_report_put(s->conn,
				    &(struct db_bundle_report){.machine = s->machine.id,
							       .role = ROLE_STATUS,
							       .version = held->status_version,
							       .active = true,
							       .reason = "",
							       .at_ms = s->now_ms},
				    err);
}

/* Makes the wanted version higher where it has to be. */
static int raise_version(struct state *s, const struct state_held *held, struct err *err)
{
	const struct uuid id = s->machine.id;
	uint64_t above = 0;
	int rc;

	if (held_is_foreign(s, held))
		above = held->status_version;
	else if (s->status.data && s->status.created_ms + SIGNER_STATUS_MS / 2 < s->now_ms)
		above = s->status.version; /* long before it expires */
	if (above < s->machine.status_version || above == 0)
		return 0;
	/* The store raises only what is lower than it is told. */
	rc = db_machine_raise_status(s->conn, &id, above + 1, err);
	return rc < 0 ? rc : db_machine_get(s->conn, &id, &s->arena, &s->machine, err);
}

static int status_make(struct state *s, struct err *err)
{
	struct status_entry *entries = NULL;
	struct signer_org org;
	struct db_org stored;
	struct buf out;
	size_t n = 0;
	int rc;

	buf_init(&out, DB_BUNDLE_MAX);
	rc = db_org_get(s->conn, &s->arena, &stored, err);
	if (rc == 0)
		rc = db_status_list(s->conn, &s->machine.id, s->now_ms, &s->arena, &entries, &n,
				    err);
	if (rc < 0)
		goto out;
	org = (struct signer_org){.id = stored.id,
				  .name = stored.name,
				  .logging = stored.logging,
				  .contact = stored.contact,
				  .when_agent_down = stored.when_agent_down};
	rc = signer_sign_status(s->signer, &org,
				&(struct signer_status){.machine = s->machine.id,
							.version = s->machine.status_version,
							.statuses = entries,
							.n_statuses = n,
							.labels = s->machine.labels.items,
							.n_labels = s->machine.labels.n},
				s->now_ms, &out, err);
	if (rc < 0)
		goto out;
	s->status = (struct db_bundle){.role = ROLE_STATUS,
				       .version = s->machine.status_version,
				       .machine = s->machine.id,
				       .data = arena_dup(&s->arena, out.data, out.len),
				       .n = out.len,
				       .created_ms = s->now_ms};
	rc = s->status.data ? db_bundle_put(s->conn, &s->status, err) : err_nomem(err);
out:
	buf_deinit(&out);
	return rc;
}

static int timestamp_make(struct state *s, uint64_t held, struct buf *out, struct err *err)
{
	struct db_bundle root;
	uint64_t version = 0;
	int rc = db_bundle_get(s->conn, ROLE_ROOT, NULL, 0, &s->arena, &root, err);

	if (rc == 0)
		rc = db_machine_next_timestamp(s->conn, &s->machine.id, held, &version, err);
	if (rc < 0)
		return rc;
	return signer_sign_timestamp(
		s->signer, &s->machine.id, version,
		(const struct signer_held[]){
			{ROLE_ROOT, root.version, root.data, root.n},
			{ROLE_STATUS, s->status.version, s->status.data, s->status.n}},
		2, s->now_ms, out, err);
}

int state_make(struct db_conn *conn, const struct signer *signer, const struct uuid *machine,
	       const struct state_held *held, int64_t now_ms, struct buf *timestamp,
	       struct err *err)
{
	struct state s = {.conn = conn, .signer = signer, .now_ms = now_ms};
	int rc;

	arena_init(&s.arena, STATE_MEMORY);
	rc = load(&s, machine, err);
	if (rc == 0)
		rc = held_note(&s, held, err);
	if (rc == 0)
		rc = raise_version(&s, held, err);
	if (rc == 0 && (!s.status.data || s.status.version < s.machine.status_version))
		rc = status_make(&s, err);
	if (rc == 0)
		rc = timestamp_make(&s, held->timestamp_version, timestamp, err);
	arena_deinit(&s.arena);
	return rc;
}
