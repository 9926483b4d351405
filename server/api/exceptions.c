/* Exceptions granted, and members' requests for them. */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "proto/limits.h"
#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/api/rules.h"
#include "server/db/db_env.h"
#include "server/db/db_exception.h"
#include "server/db/db_request.h"

#define TIME_MAX 32

struct granting {
	const char *environment;
	const char *machine;
	const char *rule;
	const char *package;
	const char *owner;
	const char *ticket;
	const char *reason;
	const char *expires;
	struct db_exception x;
};

#define GRANT_FIELDS(type, reason_required)                                                        \
	{"rule", FIELD_TEXT, false, POLICY_ID_MAX, offsetof(type, rule)},                          \
		{"package", FIELD_TEXT, false, LIMIT_WORD, offsetof(type, package)},               \
		{"owner", FIELD_TEXT, false, LIMIT_WORD, offsetof(type, owner)},                   \
		{"ticket", FIELD_TEXT, false, LIMIT_WORD, offsetof(type, ticket)},                 \
		{"reason", FIELD_TEXT, reason_required, LIMIT_TEXT, offsetof(type, reason)},       \
	{                                                                                          \
		"expires", FIELD_TEXT, true, TIME_MAX, offsetof(type, expires)                     \
	}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* All but what it is for. */
static int take_exception(struct request *r, struct granting *g)
{
	struct db_exception *x = &g->x;

	uuid_new(&x->id);
	x->rule = or_empty(g->rule);
	x->package = or_empty(g->package);
	x->owner = or_empty(g->owner);
	x->ticket = or_empty(g->ticket);
	x->reason = or_empty(g->reason);
	if (clock_parse(g->expires, &x->expires_ms) < 0)
		return err_set(&r->err, ERR_INVALID,
			       "expires: not a time like 2026-11-22T17:17:42Z");
	if (x->expires_ms <= r->now_ms)
		return err_set(&r->err, ERR_INVALID,
			       "expires: this time is past; name one to come");
	return 0;
}

int exception_begin(struct request *r)
{
	static const struct field fields[] = {
		{"environment", FIELD_TEXT, false, UUID_TEXT_MAX,
		 offsetof(struct granting, environment)},
		{"machine", FIELD_TEXT, false, UUID_TEXT_MAX, offsetof(struct granting, machine)},
		GRANT_FIELDS(struct granting, true),
	};
	struct granting *g = arena_calloc(&r->arena, 1, sizeof(*g));
	int rc;

	if (!g)
		return err_nomem(&r->err);
	r->data = g;
	rc = request_fields(r, fields, ARRAY_SIZE(fields), g);
	if (rc == 0)
		rc = take_exception(r, g);
	if (rc < 0)
		return rc;
	if (g->reason[strspn(g->reason, " \t\r\n")] == '\0')
		return err_set(&r->err, ERR_INVALID, "reason: say why it is granted");
	if (!g->environment == !g->machine)
		return err_set(&r->err, ERR_INVALID, "give an environment or a machine");
	if (uuid_parse(g->environment ? g->environment : g->machine,
		       g->environment ? &g->x.environment : &g->x.machine) < 0)
		return err_set(&r->err, ERR_INVALID, "%s: not an id",
			       g->environment ? "environment" : "machine");
	return 0;
}

int exception_read(struct db_conn *conn, struct request *r)
{
	const struct granting *g = r->data;

	return rules_expect(conn, r, g->x.rule, 422);
}

static void write_exception(struct json_writer *w, const struct db_exception *x, int64_t now_ms)
{
	json_begin_object(w);
	document_id(w, "id", &x->id);
	if (!uuid_is_zero(&x->environment))
		document_id(w, "environment", &x->environment);
	if (!uuid_is_zero(&x->machine))
		document_id(w, "machine", &x->machine);
	json_kv_str_opt(w, "prefix", x->prefix);
	json_kv_str_opt(w, "hostname", x->hostname);
	json_kv_str(w, "rule", x->rule);
	json_kv_str_opt(w, "package", x->package);
	json_kv_str_opt(w, "owner", x->owner);
	json_kv_str_opt(w, "ticket", x->ticket);
	json_kv_str(w, "reason", x->reason);
	json_kv_time_opt(w, "expires", x->expires_ms);
	json_kv_bool(w, "holds", x->revoked_ms == 0 && x->expires_ms > now_ms);
	json_kv_str(w, "by", x->granted_by);
	json_kv_time_opt(w, "at", x->granted_ms);
	json_kv_str_opt(w, "revoked_by", x->revoked_by);
	json_kv_time_opt(w, "revoked", x->revoked_ms);
	if (!uuid_is_zero(&x->request))
		document_id(w, "request", &x->request);
	json_end_object(w);
}

static int audit_exception(struct db_conn *conn, struct request *r, const char *what,
			   const struct db_exception *x)
{
	char target[UUID_TEXT_MAX + 16], id[UUID_TEXT_MAX];
	struct json_writer w;
	struct buf detail;
	int rc;

	uuid_format(&x->id, id);
	(void)snprintf(target, sizeof(target), "exception:%s", id);
	buf_init(&detail, DB_AUDIT_DETAIL_MAX);
	json_writer_init(&w, &detail);
	write_exception(&w, x, r->now_ms);
	rc = buf_rc(&detail);
	if (rc == 0)
		rc = request_audit(conn, r, what, target, buf_cstr(&detail));
	buf_deinit(&detail);
	return rc;
}

static int grant(struct db_conn *conn, struct request *r, struct db_exception *x)
{
	int rc;

	x->granted_by = r->who;
	rc = db_exception_grant(conn, x, r->now_ms, &r->err);
	if (rc == ERR_NOTFOUND)
		return request_refuse(r, 404, rc, "no such environment or machine");
	if (rc == 0)
		rc = db_exception_get(conn, &x->id, &r->arena, x, &r->err);
	return rc < 0 ? rc : audit_exception(conn, r, "exception.grant", x);
}

static void answer_exception(struct request *r, const struct db_exception *x)
{
	request_open(r, "exception");
	json_key(&r->json, "exception");
	write_exception(&r->json, x, r->now_ms);
	request_close(r);
}

int exception_write(struct db_conn *conn, struct request *r)
{
	struct granting *g = r->data;
	int rc = grant(conn, r, &g->x);

	if (rc == 0)
		answer_exception(r, &g->x);
	return rc;
}

int exception_revoke_write(struct db_conn *conn, struct request *r)
{
	struct db_exception x;
	int rc = db_exception_revoke(conn, &r->id, r->who, r->now_ms, &r->err);

	if (rc == ERR_NOTFOUND)
		return request_refuse(r, 404, rc,
				      "no exception has this id, or it was revoked before");
	if (rc == 0)
		rc = db_exception_get(conn, &r->id, &r->arena, &x, &r->err);
	if (rc == 0)
		rc = audit_exception(conn, r, "exception.revoke", &x);
	if (rc == 0)
		answer_exception(r, &x);
	return rc;
}

int exceptions_read(struct db_conn *conn, struct request *r)
{
	struct db_exception_filter filter = {.rule = request_query(r, "rule"), .now_ms = r->now_ms};
	const char *shown = request_query(r, "shown");
	struct db_cursor after, next;
	struct db_exception *list;
	size_t limit, n;
	int rc = request_limit(r, &limit);

	if (rc == 0 && shown && strcmp(shown, "all") != 0 && strcmp(shown, "holding") != 0)
		rc = err_set(&r->err, ERR_INVALID, "shown: neither holding nor all");
	filter.holding = !shown || strcmp(shown, "holding") == 0;
	if (rc == 0)
		rc = request_query_id(r, "environment", &filter.environment);
	if (rc == 0)
		rc = request_after(r, &after);
	if (rc == 0)
		rc = db_exception_list(conn, &filter, &after, limit, &r->arena, &list, &n, &r->err);
	if (rc != 0)
		return rc;
	request_open(r, "exceptions");
	json_key(&r->json, "exceptions");
	json_begin_array(&r->json);
	for (size_t i = 0; i < n; i++)
		write_exception(&r->json, &list[i], r->now_ms);
	json_end_array(&r->json);
	if (n == limit) {
		next = (struct db_cursor){.set = true, .id = list[n - 1].row};
		request_next(r, &next);
	}
	request_close(r);
	return 0;
}

/* --- requests --- */

static void write_request(struct json_writer *w, const struct db_request *q)
{
	json_begin_object(w);
	document_id(w, "id", &q->id);
	json_kv_str(w, "state", db_request_state_name(q->state));
	document_id(w, "environment", &q->environment);
	json_kv_str_opt(w, "prefix", q->prefix);
	document_id(w, "machine", &q->machine);
	json_kv_str(w, "hostname", q->hostname);
	json_kv_str(w, "user", q->user);
	json_kv_str(w, "reason", q->reason);
	json_kv_str_opt(w, "case", q->case_code);
	json_kv_time_opt(w, "made", q->made_ms);
	json_kv_time_opt(w, "received", q->received_ms);
	json_kv_str_opt(w, "answer", q->answer);
	json_kv_str_opt(w, "by", q->answered_by);
	json_kv_time_opt(w, "at", q->answered_ms);
	json_end_object(w);
}

int requests_read(struct db_conn *conn, struct request *r)
{
	const char *state = request_query(r, "state");
	struct db_request_filter filter = {.case_code = request_query(r, "case"),
					   .has_state = state != NULL};
	struct db_cursor after, next;
	struct db_request *list;
	size_t limit, n;
	int rc = request_limit(r, &limit);

	if (rc == 0 && state && db_request_state_parse(state, &filter.state) < 0)
		rc = err_set(&r->err, ERR_INVALID, "state: neither open, approved nor denied");
	if (rc == 0)
		rc = request_after(r, &after);
	if (rc == 0)
		rc = db_request_list(conn, &filter, &after, limit, &r->arena, &list, &n, &r->err);
	if (rc != 0)
		return rc;
	request_open(r, "requests");
	json_key(&r->json, "requests");
	json_begin_array(&r->json);
	for (size_t i = 0; i < n; i++)
		write_request(&r->json, &list[i]);
	json_end_array(&r->json);
	if (n == limit) {
		next = (struct db_cursor){.set = true, .id = list[n - 1].row};
		request_next(r, &next);
	}
	request_close(r);
	return 0;
}

struct answering {
	struct granting granting; /* first: the fields of an exception */
	struct maybe_bool approve;
	const char *message;
};

int request_answer_begin(struct request *r)
{
	static const struct field fields[] = {
		{"approve", FIELD_BOOL, true, 0, offsetof(struct answering, approve)},
		{"message", FIELD_TEXT, false, DECISION_MESSAGE_MAX,
		 offsetof(struct answering, message)},
		{"rule", FIELD_TEXT, false, POLICY_ID_MAX, offsetof(struct granting, rule)},
		{"ticket", FIELD_TEXT, false, LIMIT_WORD, offsetof(struct granting, ticket)},
		{"expires", FIELD_TEXT, false, TIME_MAX, offsetof(struct granting, expires)},
	};
	struct answering *a = arena_calloc(&r->arena, 1, sizeof(*a));
	int rc;

	if (!a)
		return err_nomem(&r->err);
	r->data = a;
	rc = request_fields(r, fields, ARRAY_SIZE(fields), a);
	if (rc < 0)
		return rc;
	if (a->approve.value && !a->granting.expires)
		return err_set(&r->err, ERR_INVALID, "expires: an exception must end");
	if (!a->approve.value && (a->granting.expires || a->granting.rule || a->granting.ticket))
		return err_set(&r->err, ERR_INVALID, "a request that is denied has only a message");
	return a->approve.value ? take_exception(r, &a->granting) : 0;
}

int request_answer_read(struct db_conn *conn, struct request *r)
{
	const struct answering *a = r->data;

	return rules_expect(conn, r, or_empty(a->granting.rule), 422);
}

/* The exception goes to the environment asked about, for the member's reason. */
static int approve(struct db_conn *conn, struct request *r, const struct db_request *q)
{
	struct answering *a = r->data;
	struct db_exception *x = &a->granting.x;

	x->environment = q->environment;
	x->owner = q->user;
	x->reason = q->reason;
	x->request = q->id;
	return grant(conn, r, x);
}

int request_answer_write(struct db_conn *conn, struct request *r)
{
	const struct answering *a = r->data;
	char target[UUID_TEXT_MAX + 16], id[UUID_TEXT_MAX];
	struct db_request q;
	int rc = db_request_get(conn, &r->id, &r->arena, &q, &r->err);

	if (rc == ERR_NOTFOUND)
		return request_refuse(r, 404, rc, "no request has this id");
	if (rc == 0)
		rc = db_request_answer(conn, &r->id,
				       a->approve.value ? DB_REQUEST_APPROVED : DB_REQUEST_DENIED,
				       or_empty(a->message), r->who, r->now_ms, &r->err);
	if (rc == 0 && a->approve.value)
		rc = approve(conn, r, &q);
	if (rc < 0)
		return rc;
	uuid_format(&r->id, id);
	(void)snprintf(target, sizeof(target), "request:%s", id);
	rc = request_audit(conn, r, a->approve.value ? "request.approve" : "request.deny", target,
			   or_empty(a->message));
	if (rc == 0)
		rc = db_request_get(conn, &r->id, &r->arena, &q, &r->err);
	if (rc != 0)
		return rc;
	request_open(r, "request");
	json_key(&r->json, "request");
	write_request(&r->json, &q);
	request_close(r);
	return 0;
}
