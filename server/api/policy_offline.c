/* Policies that are signed where the server is not: a draft goes out, signed bytes come in. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sodium/utils.h>

#include "proto/signed.h"
#include "server/api/policy_plan.h"
#include "server/api/policy_request.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_bundle.h"
#include "server/pki/signer.h"

/* --- out --- */

/* The hash of the body in Signed bytes: what they are found again by, whoever has signed them. */
static int body_read(const void *data, size_t n, struct arena *arena,
		     unsigned char hash[SHA256_SIZE], Envwarden__Bundle__Body **body,
		     struct err *err)
{
	Envwarden__Bundle__Signed *wire;
	int rc = codec_unpack_signed(data, n, arena, &wire, err);

	if (rc < 0)
		return rc;
	sha256(wire->body.data, wire->body.len, hash);
	return body ? codec_unpack_body(wire->body.data, wire->body.len, arena, body, err) : 0;
}

static int draft_store(struct db_conn *conn, struct request *r, const struct buf *draft,
		       const struct db_policy *policy)
{
	unsigned char hash[SHA256_SIZE];
	char target[32];
	int rc = body_read(draft->data, draft->len, &r->arena, hash, NULL, &r->err);

	if (rc == 0)
		rc = db_policy_draft_put(conn, hash, policy, &r->err);
	(void)snprintf(target, sizeof(target), "policy:%" PRIu64, policy->version);
	return rc < 0 ? rc : request_audit(conn, r, "policy.export", target, policy->note);
}

int policy_draft_write(struct db_conn *conn, struct request *r)
{
	const struct policy_request *p = r->data;
	struct db_policy policy = {
		.source = p->source, .author = r->who, .note = p->note, .created_ms = r->now_ms};
	struct buf draft;
	int rc = db_policy_next(conn, &policy.version, &r->err);

	buf_init(&draft, DB_BUNDLE_MAX);
	if (rc == 0)
		rc = signer_draft_policy(policy_plan_policy(p->plan), policy.version, r->now_ms,
					 &draft, &r->err);
	if (rc == 0)
		rc = draft_store(conn, r, &draft, &policy);
	if (rc == 0) {
		request_open(r, "policy_draft");
		json_kv_int(&r->json, "version", (int64_t)policy.version);
		rc = request_base64(r, "data", draft.data, draft.len);
		request_close(r);
	}
	buf_deinit(&draft);
	return rc;
}

/* --- in --- */

struct signed_request {
	const char *text;
	unsigned char *data;
	size_t n;
};

int policy_signed_begin(struct request *r)
{
	static const struct field fields[] = {
		{"data", FIELD_TEXT, true, API_LARGE_MAX, offsetof(struct signed_request, text)},
	};
	struct signed_request *s = arena_calloc(&r->arena, 1, sizeof(*s));
	size_t cap;
	int rc;

	if (!s)
		return err_nomem(&r->err);
	r->data = s;
	rc = request_fields(r, fields, ARRAY_SIZE(fields), s);
	if (rc < 0)
		return rc;
	cap = strlen(s->text) + 1;
	s->data = arena_alloc(&r->arena, cap);
	if (!s->data)
		return err_nomem(&r->err);
	return sodium_base642bin(s->data, cap, s->text, cap - 1, NULL, &s->n, NULL,
				 sodium_base64_VARIANT_ORIGINAL) == 0
		       ? 0
		       : err_set(&r->err, ERR_INVALID, "data: not base64");
}

static int check_draft(struct db_conn *conn, struct request *r, const unsigned char *hash,
		       uint64_t version, struct db_policy *out)
{
	uint64_t next = 0;
	int rc = db_policy_draft_get(conn, hash, &r->arena, out, &r->err);

	if (rc == ERR_NOTFOUND)
		return request_refuse(r, 409, rc,
				      "this server exported no such policy (or another was applied "
				      "since): export it again");
	if (rc == 0)
		rc = db_policy_next(conn, &next, &r->err);
	if (rc == 0 && next != version)
		rc = request_refuse(r, 409, ERR_CONFLICT,
				    "it is version %" PRIu64 ", and the next is %" PRIu64
				    ": export it again",
				    version, next);
	return rc;
}

int policy_signed_write(struct db_conn *conn, struct request *r)
{
	const struct signed_request *s = r->data;
	unsigned char hash[SHA256_SIZE];
	Envwarden__Bundle__Body *body;
	struct db_policy policy;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_BUNDLE_MEMORY);
	rc = db_policy_verify(conn, s->data, s->n, NULL, &r->err);
	if (rc == ERR_VERIFY) {
		struct err why = r->err;

		rc = request_refuse(r, 409, rc,
				    "%s. Sign it where the key is: envwarden-server root sign",
				    why.text);
	}
	if (rc == 0)
		rc = body_read(s->data, s->n, &arena, hash, &body, &r->err);
	if (rc == 0)
		rc = check_draft(conn, r, hash, body->version, &policy);
	if (rc == 0) {
		policy.rules = (int64_t)body->policy->n_rules;
		policy.exceptions = (int64_t)body->policy->n_exceptions;
		policy.created_ms = r->now_ms;
		rc = policy_put_signed(conn, r, &policy, s->data, s->n);
	}
	arena_deinit(&arena);
	return rc;
}
