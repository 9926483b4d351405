/*
 * After a restore from a backup: what a machine holds may be newer than all that is stored. The
 * versions of statuses were raised by the restore; the policy's is raised here, as machines tell
 * what they hold, since it is the whole fleet's and may be signed elsewhere.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "proto/convert.h"
#include "proto/convert_policy.h"
#include "proto/limits.h"
#include "proto/signed.h"
#include "server/db/db_admin.h"
#include "server/db/db_bundle.h"
#include "server/db/db_policy.h"
#include "server/db/db_restore.h"
#include "server/pki/signer.h"
#include "server/session/session_impl.h"

/* Of the policy it holds; NULL = none. */
static const Envwarden__Bundle__Held *held_policy(const struct task *task)
{
	const Envwarden__Sync__Hello *hello = task->message->hello;

	for (size_t i = 0; i < hello->n_held; i++)
		if (strcmp(hello->held[i]->role, ROLE_POLICY) == 0)
			return hello->held[i]->version > 0 ? hello->held[i] : NULL;
	return NULL;
}

static bool follows(const Envwarden__Bundle__Held *held, const struct db_bundle *stored)
{
	unsigned char hash[SHA256_SIZE];

	if (held->version != stored->version)
		return held->version < stored->version;
	hash_from_wire(&held->hash, hash);
	return crypto_equal(hash, stored->hash, SHA256_SIZE);
}

/* What is stored, under the next version. ERR_PERM: not with the keys that are here. */
static int sign_again(struct db_conn *conn, const struct task *task, const struct db_bundle *stored,
		      struct arena *arena, uint64_t version, struct buf *out, struct err *err)
{
	Envwarden__Bundle__Signed *wire;
	Envwarden__Bundle__Body *body;
	struct policy policy;
	int rc = codec_unpack_signed(stored->data, stored->n, arena, &wire, err);

	if (rc == 0)
		rc = codec_unpack_body(wire->body.data, wire->body.len, arena, &body, err);
	if (rc == 0 && body->content_case != ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY)
		rc = err_set(err, ERR_CORRUPT, "the policy stored is none");
	if (rc == 0)
		rc = policy_from_wire(body->policy, arena, &policy, err);
	if (rc == 0)
		rc = signer_sign_policy(task->config->signer, &policy, version, task->now_ms, out,
					err);
	return rc == 0 ? db_policy_verify(conn, out->data, out->len, NULL, err) : rc;
}

static int put_again(struct db_conn *conn, const struct task *task, struct arena *arena,
		     uint64_t version, const struct buf *bytes, struct err *err)
{
	struct db_policy policy;
	int rc = db_policy_get(conn, 0, arena, &policy, err);

	policy.version = version;
	policy.author = "system";
	policy.note = "signed again: agents held a newer one than the backup had";
	policy.created_ms = task->now_ms;
	if (rc == 0)
		rc = db_policy_put(conn, &policy, err);
	return rc < 0 ? rc
		      : db_bundle_put(conn,
				      &(struct db_bundle){.role = ROLE_POLICY,
							  .version = version,
							  .data = (unsigned char *)bytes->data,
							  .n = bytes->len,
							  .created_ms = task->now_ms},
				      err);
}

static int tell(struct db_conn *conn, const struct task *task, const char *what, uint64_t version,
		struct err *err)
{
	char target[32];

	(void)snprintf(target, sizeof(target), "policy:%" PRIu64, version);
	return db_audit_append(conn,
			       &(struct db_audit){.at_ms = task->now_ms,
						  .who = "system",
						  .what = what,
						  .target = target,
						  .detail = ""},
			       err);
}

/* Not to be mended here, so that machines are not kept out by it: keys, or what is stored. */
static bool wants_person(int rc)
{
	return rc == ERR_PERM || rc == ERR_VERIFY || rc == ERR_INVALID || rc == ERR_CORRUPT ||
	       rc == ERR_LIMIT;
}

/* Agents hold policies up to the one before `version`. */
static int raise_policy(struct db_conn *conn, const struct task *task, uint64_t min,
			const struct db_bundle *head, struct err *err)
{
	struct db_bundle stored = {.version = 0};
	struct err why = ERR_INIT;
	uint64_t version = min;
	struct arena arena;
	struct buf bytes;
	int rc = db_policy_raise(conn, min, err);

	arena_init(&arena, (size_t)2 * LIMIT_BUNDLE_MEMORY);
	buf_init(&bytes, LIMIT_BUNDLE);
	if (rc == 0)
		rc = db_policy_next(conn, &version, err);
	if (rc == 0 && head->version > 0)
		rc = db_bundle_get(conn, ROLE_POLICY, NULL, 0, &arena, &stored, err);
	if (rc < 0)
		goto out;
	rc = head->version > 0 ? sign_again(conn, task, &stored, &arena, version, &bytes, &why)
			       : err_set(&why, ERR_PERM, "the backup has no policy");
	if (rc == 0)
		rc = put_again(conn, task, &arena, version, &bytes, err);
	else if (wants_person(rc))
		rc = 1;
	else
		rc = err_set(err, rc, "policy: %s", why.text);
	if (rc == 1)
		log_warn("session",
			 "agents hold a newer policy than the backup had: the policy "
			 "must be re-signed (apply it again)",
			 LOG_INT("at_least", (int64_t)version), LOG_ERR(&why));
	if (rc >= 0)
		rc = tell(conn, task, rc == 0 ? "policy.resigned" : "policy.resign_needed", version,
			  err);
out:
	buf_deinit(&bytes);
	arena_deinit(&arena);
	return rc;
}

int restored_policy(struct db_conn *conn, const struct task *task, struct err *err)
{
	const Envwarden__Bundle__Held *held = held_policy(task);
	struct db_bundle head = {.version = 0};
	int rc;

	if (!held)
		return 0;
	rc = db_bundle_head(conn, ROLE_POLICY, NULL, &head, NULL);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return err_set(err, rc, "policy: %s", err_text(rc));
	if (rc == 0 && follows(held, &head))
		return 0;
	/* One machine's word moves the whole fleet's version: not beyond belief. */
	if (held->version > head.version + DB_RESTORE_STEP) {
		log_warn("session", "a machine claims to hold an impossible policy",
			 LOG_INT("held", (int64_t)held->version));
		return 0;
	}
	return raise_policy(conn, task, held->version + 1, &head, err);
}
