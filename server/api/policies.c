/* Policies: read, planned, applied. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"
#include "proto/signed.h"
#include "server/api/policy_fits.h"
#include "server/api/policy_plan.h"
#include "server/api/policy_request.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_bundle.h"
#include "server/db/db_policy.h"
#include "server/pki/signer.h"

static void release(struct request *r)
{
	struct policy_request *p = r->data;

	policy_plan_free(p->plan);
}

static int policy_begin(struct request *r, const struct field *fields, size_t n)
{
	struct policy_request *p = arena_calloc(&r->arena, 1, sizeof(*p));

	if (!p)
		return err_nomem(&r->err);
	r->data = p;
	r->release = release;
	p->note = "";
	return request_fields(r, fields, n, p);
}

#define SOURCE_FIELD                                                                               \
	{                                                                                          \
		"source", FIELD_TEXT, true, DB_POLICY_SOURCE_MAX,                                  \
			offsetof(struct policy_request, source)                                    \
	}

int policy_plan_begin(struct request *r)
{
	static const struct field fields[] = {SOURCE_FIELD};

	return policy_begin(r, fields, ARRAY_SIZE(fields));
}

int policy_apply_begin(struct request *r)
{
	static const struct field fields[] = {
		SOURCE_FIELD,
		{"note", FIELD_TEXT, false, DB_TEXT_MAX, offsetof(struct policy_request, note)},
		{"base", FIELD_INT, false, (size_t)INT32_MAX,
		 offsetof(struct policy_request, base)},
	};

	return policy_begin(r, fields, ARRAY_SIZE(fields));
}

/* Reads what was sent, once; a policy with errors is no failure of the plan, but one that agents
 * have no room for is. */
static int take_source(struct request *r)
{
	struct policy_request *p = r->data;
	int rc;

	if (p->plan)
		return 0;
	rc = policy_plan_new(p->source, r->now_ms, &p->plan, &r->err);
	if (rc == 0 && policy_plan_good(p->plan))
		rc = policy_fits(policy_plan_policy(p->plan), POLICY_FITS_MEMORY, &r->err);
	return rc == ERR_LIMIT ? request_refuse(r, 422, rc, "%s", r->err.text) : rc;
}

int policy_plan_read(struct db_conn *conn, struct request *r)
{
	struct policy_request *p = r->data;
	int rc = take_source(r);

	if (rc == 0 && policy_plan_good(p->plan))
		rc = policy_plan_step(conn, p->plan, &r->err);
	if (rc != 0)
		return rc;
	request_open(r, "policy_plan");
	policy_plan_write(p->plan, &r->json);
	request_close(r);
	return 0;
}

int policy_apply_read(struct db_conn *conn, struct request *r)
{
	struct policy_request *p = r->data;
	const struct problems *problems;
	int rc = take_source(r);

	(void)conn;
	if (rc < 0 || policy_plan_good(p->plan))
		return rc;
	problems = policy_plan_problems(p->plan);
	return request_refuse(r, 422, ERR_INVALID, "the policy has %zu errors; line %u: %s",
			      problems->n_errors, problems->n ? problems->items[0].line : 0,
			      problems->n ? problems->items[0].text : "it can't be read");
}

/* --- the documents --- */

static void describe(struct request *r, const struct db_policy *policy)
{
	json_kv_int(&r->json, "version", (int64_t)policy->version);
	json_kv_str(&r->json, "author", policy->author);
	json_kv_str(&r->json, "note", policy->note);
	json_kv_int(&r->json, "rules", policy->rules);
	json_kv_int(&r->json, "exceptions", policy->exceptions);
	json_kv_time_opt(&r->json, "created", policy->created_ms);
}

static int answer(struct db_conn *conn, struct request *r, const struct db_policy *policy)
{
	struct db_delivery delivery;
	int rc = db_policy_delivery(conn, policy->version, &delivery, &r->err);

	if (rc < 0)
		return rc;
	request_open(r, "policy");
	describe(r, policy);
	json_kv_str(&r->json, "source", policy->source);
	json_kv_int(&r->json, "machines", delivery.machines);
	json_kv_int(&r->json, "active", delivery.active);
	json_kv_int(&r->json, "refused", delivery.refused);
	request_close(r);
	return 0;
}

int policy_get_read(struct db_conn *conn, struct request *r)
{
	const char *text = request_query(r, "version");
	unsigned long long version = 0;
	struct db_policy policy;
	int rc;

	if (text &&
	    (text_to_u64(text, strlen(text), &version) < 0 || version == 0 || version > INT64_MAX))
		return err_set(&r->err, ERR_INVALID, "version: a number from 1 on, please");
	rc = db_policy_get(conn, version, &r->arena, &policy, &r->err);
	if (rc == ERR_NOTFOUND && version)
		return request_refuse(r, 404, rc, "no policy has version %llu", version);
	if (rc == ERR_NOTFOUND)
		return request_refuse(r, 404, rc, "no policy was applied yet");
	return rc < 0 ? rc : answer(conn, r, &policy);
}

int policies_read(struct db_conn *conn, struct request *r)
{
	struct db_cursor after, next;
	struct db_policy *list;
	size_t limit, n;
	int rc = request_limit(r, &limit);

	if (rc == 0)
		rc = request_after(r, &after);
	if (rc == 0)
		rc = db_policy_list(conn, &after, limit, &r->arena, &list, &n, &r->err);
	if (rc != 0)
		return rc;
	request_open(r, "policies");
	json_key(&r->json, "policies");
	json_begin_array(&r->json);
	for (size_t i = 0; i < n; i++) {
		json_begin_object(&r->json);
		describe(r, &list[i]);
		json_end_object(&r->json);
	}
	json_end_array(&r->json);
	if (n == limit) {
		next = (struct db_cursor){.set = true, .id = (int64_t)list[n - 1].version};
		request_next(r, &next);
	}
	request_close(r);
	return 0;
}

/* --- applying --- */

/* What was planned against must still be the present one. */
static int check_base(const struct policy_request *p, uint64_t version, struct request *r)
{
	if (p->base == 0 || (uint64_t)p->base + 1 == version)
		return 0;
	return request_refuse(r, 409, ERR_CONFLICT,
			      "version %" PRIu64 " was applied meanwhile: plan again", version - 1);
}

#define ELSEWHERE                                                                                  \
	"the policy key is not on this server (or one is not enough): nothing was applied. "       \
	"envwarden-admin policy export-body FILE -o policy.draft; where the keys are, "            \
	"envwarden-server root sign --in policy.draft --key KEY --out policy.signed; then "        \
	"envwarden-admin policy import-signed policy.signed"

static int sign(struct db_conn *conn, struct request *r, uint64_t version, struct buf *out)
{
	const struct policy_request *p = r->data;
	int rc = r->config->signer
			 ? signer_sign_policy(r->config->signer, policy_plan_policy(p->plan),
					      version, r->now_ms, out, &r->err)
			 : err_set(&r->err, ERR_PERM, "the policy key is not here");

	if (rc == 0)
		rc = db_policy_verify(conn, out->data, out->len, NULL, &r->err);
	return rc == ERR_PERM || rc == ERR_VERIFY ? request_refuse(r, 409, ERR_PERM, ELSEWHERE)
						  : rc;
}

int policy_put_signed(struct db_conn *conn, struct request *r, const struct db_policy *policy,
		      const void *data, size_t n)
{
	char target[32];
	int rc = db_policy_put(conn, policy, &r->err);

	if (rc == 0)
		rc = db_bundle_put(conn,
				   &(struct db_bundle){.role = ROLE_POLICY,
						       .version = policy->version,
						       .data = data,
						       .n = n,
						       .created_ms = r->now_ms},
				   &r->err);
	(void)snprintf(target, sizeof(target), "policy:%" PRIu64, policy->version);
	if (rc == 0)
		rc = request_audit(conn, r, "policy.apply", target, policy->note);
	return rc < 0 ? rc : answer(conn, r, policy);
}

int policy_apply_write(struct db_conn *conn, struct request *r)
{
	const struct policy_request *p = r->data;
	const struct policy *parsed = policy_plan_policy(p->plan);
	struct db_policy policy = {.source = p->source,
				   .author = r->who,
				   .note = p->note,
				   .rules = (int64_t)parsed->n_rules,
				   .exceptions = (int64_t)parsed->n_exceptions,
				   .created_ms = r->now_ms};
	struct buf out;
	int rc = db_policy_next(conn, &policy.version, &r->err);

	buf_init(&out, DB_BUNDLE_MAX);
	if (rc == 0)
		rc = check_base(p, policy.version, r);
	if (rc == 0)
		rc = sign(conn, r, policy.version, &out);
	if (rc == 0)
		rc = policy_put_signed(conn, r, &policy, out.data, out.len);
	buf_deinit(&out);
	return rc;
}
