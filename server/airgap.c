#include "server/airgap.h"

#include <inttypes.h>

#include "lib/policy/policy.h"
#include "proto/set_file.h"
#include "proto/signed.h"
#include "server/db/db_bundle.h"
#include "server/db/db_machine.h"
#include "server/pki/signer.h"
#include "server/session/state.h"

#define DAY_MS INT64_C(86400000)

/* What becomes a file. */
struct exporting {
	struct db_conn *conn;
	struct api_set *set;
	struct arena arena;
	struct db_bundle policy; /* n 0 = there is none */
	struct state *state;
};

static int machine_check(struct exporting *x, struct err *err)
{
	struct db_machine machine;
	int rc = db_machine_get(x->conn, &x->set->machine, &x->arena, &machine, err);

	if (rc == 0 && machine.state != DB_MACHINE_ACTIVE)
		rc = err_set(err, ERR_PERM, "this machine is %s",
			     db_machine_state_name(machine.state));
	return rc;
}

/* A policy we stored, so nobody's bytes but ours. */
static int stale_after(struct exporting *x, int64_t *ms, struct err *err)
{
	Envwarden__Bundle__Signed *wire;
	Envwarden__Bundle__Body *body;
	struct policy_defaults defaults;
	struct arena arena;
	int rc;

	policy_defaults_init(&defaults);
	*ms = defaults.stale_after_ms;
	if (x->policy.n == 0)
		return 0;
	arena_init(&arena, LIMIT_BUNDLE_MEMORY);
	rc = codec_unpack_signed(x->policy.data, x->policy.n, &arena, &wire, err);
	if (rc == 0)
		rc = codec_unpack_body(wire->body.data, wire->body.len, &arena, &body, err);
	if (rc == 0 && body->content_case == ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY)
		*ms = body->policy->stale_after_ms;
	arena_deinit(&arena);
	return rc;
}

/* A timestamp may be offered again for as long as it is valid: never longer than what it names
 * would count as fresh. */
static int valid_check(struct exporting *x, struct err *err)
{
	int64_t most = 0;
	int rc = stale_after(x, &most, err);

	if (rc < 0)
		return rc;
	if (x->set->valid_ms == 0)
		x->set->valid_ms = SIGNER_TIMESTAMP_MS;
	if (most == 0 || most > AIRGAP_LONGEST_MS)
		most = AIRGAP_LONGEST_MS;
	if (most < SIGNER_TIMESTAMP_MS)
		most = SIGNER_TIMESTAMP_MS; /* as over the wire */
	if (x->set->valid_ms > most)
		return err_set(err, ERR_LIMIT,
			       "valid for %" PRId64 " days at most, which is the policy's "
			       "stale_after",
			       most / DAY_MS);
	return 0;
}

static int policy_get(struct exporting *x, struct err *err)
{
	int rc = db_bundle_get(x->conn, ROLE_POLICY, NULL, 0, &x->arena, &x->policy, NULL);

	if (rc == ERR_NOTFOUND) {
		x->policy.n = 0;
		return 0;
	}
	return rc < 0 ? err_set(err, rc, "policy: %s", err_text(rc)) : 0;
}

static int state_make(struct exporting *x, const struct signer *signer, struct err *err)
{
	const struct state_held nothing = {.status_version = 0};
	int rc = state_prepare(x->conn, &x->set->machine, &nothing, x->set->now_ms, &x->state, err);

	if (rc == 0)
		rc = state_sign(x->state, signer, x->set->valid_ms, err);
	if (rc == 0 && state_made(x->state))
		rc = state_store(x->conn, x->state, err);
	return rc;
}

/* What the timestamp names is what is stored, in this very transaction. */
static int file_make(struct exporting *x, struct err *err)
{
	const struct buf *timestamp = state_timestamp(x->state);
	struct set_file file = {.timestamp = {timestamp->data, timestamp->len},
				.policy = {x->policy.data, x->policy.n}};
	struct db_bundle *roots = NULL, status = {.version = 0};
	size_t n = 0;
	int rc = db_bundle_roots(x->conn, &x->arena, &roots, &n, err);

	if (rc == 0)
		rc = db_bundle_get(x->conn, ROLE_STATUS, &x->set->machine, 0, &x->arena, &status,
				   err);
	if (rc == 0 && n > LIMIT_ROOTS)
		rc = err_set(err, ERR_LIMIT, "more than %d roots", LIMIT_ROOTS);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		file.roots[i] = (struct set_file_item){roots[i].data, roots[i].n};
	file.n_roots = n;
	file.status = (struct set_file_item){status.data, status.n};
	x->set->policy_version = x->policy.n > 0 ? x->policy.version : 0;
	x->set->status_version = status.version;
	return set_file_format(&file, x->set->file, err);
}

int airgap_export(struct db_conn *conn, const struct signer *signer, struct api_set *set,
		  struct err *err)
{
	struct exporting x = {.conn = conn, .set = set};
	int rc;

	arena_init(&x.arena, STATE_MEMORY);
	rc = machine_check(&x, err);
	if (rc == 0)
		rc = policy_get(&x, err);
	if (rc == 0)
		rc = valid_check(&x, err);
	if (rc == 0)
		rc = state_make(&x, signer, err);
	if (rc == 0)
		rc = file_make(&x, err);
	state_free(x.state);
	arena_deinit(&x.arena);
	return rc;
}
