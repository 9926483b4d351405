#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/conda/match_spec.h"
#include "lib/policy/decision.h"
#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_env.h"
#include "server/db/db_status.h"

#define STATUSES_MAX 1000 /* environments of one request */
#define WORD_MAX 32

struct statuses {
	const char *status;
	const char *message;
	const char *until;
	struct texts environments;
	struct texts packages; /* specs, with until "fixed" */
	struct uuid *ids;
	struct status_entry entry; /* what each of them gets */
};

#define STATUS_FIELDS                                                                              \
	{"status", FIELD_TEXT, true, WORD_MAX, offsetof(struct statuses, status)},                 \
		{"message", FIELD_TEXT, false, DECISION_MESSAGE_MAX,                               \
		 offsetof(struct statuses, message)},                                              \
		{"until", FIELD_TEXT, false, WORD_MAX, offsetof(struct statuses, until)},          \
	{                                                                                          \
		"packages", FIELD_TEXTS, false, STATUS_SPECS_MAX,                                  \
			offsetof(struct statuses, packages)                                        \
	}

/* What must be gone for it to end; none given: what breaks rules now (set_one). */
static int take_specs(struct request *r, struct statuses *s)
{
	for (size_t i = 0; i < s->packages.n; i++) {
		const char *text = s->packages.items[i];
		struct match_spec spec;
		struct err why = ERR_INIT;

		if (strlen(text) > STATUS_SPEC_MAX || strchr(text, '\n') ||
		    match_spec_parse(text, strlen(text), &r->arena, &spec, &why) < 0)
			return err_set(&r->err, ERR_INVALID, "packages: \"%.100s\" is no spec: %s",
				       text, why.text);
	}
	s->entry.fixed_specs = s->packages.items;
	s->entry.n_fixed_specs = s->packages.n;
	return 0;
}

static int take_status(struct request *r, struct statuses *s)
{
	struct status_entry *e = &s->entry;

	e->message = s->message ? s->message : "";
	if (action_parse_status(s->status, &e->action) < 0)
		return err_set(&r->err, ERR_INVALID, "status: neither ok, warn nor block");
	if (e->action == ACTION_ALLOW && (s->message || s->until || s->packages.n > 0))
		return err_set(&r->err, ERR_INVALID,
			       "status ok removes what was set: it has no message and no until");
	if (s->packages.n > 0 && (!s->until || strcmp(s->until, "fixed") != 0))
		return err_set(&r->err, ERR_INVALID, "packages: only with until \"fixed\"");
	if (!s->until)
		return 0;
	e->until_fixed = strcmp(s->until, "fixed") == 0;
	if (e->until_fixed)
		return take_specs(r, s);
	if (clock_parse(s->until, &e->until_ms) < 0)
		return err_set(&r->err, ERR_INVALID,
			       "until: neither \"fixed\" nor a time like 2026-11-22T17:17:42Z");
	if (e->until_ms <= r->now_ms)
		return err_set(&r->err, ERR_INVALID, "until: this time is past; name one to come");
	return 0;
}

static int statuses_new(struct request *r, const struct field *fields, size_t n,
			struct statuses **out)
{
	struct statuses *s = arena_calloc(&r->arena, 1, sizeof(*s));
	int rc;

	if (!s)
		return err_nomem(&r->err);
	rc = request_fields(r, fields, n, s);
	if (rc == 0)
		rc = take_status(r, s);
	if (rc < 0)
		return rc;
	r->data = s;
	*out = s;
	return 0;
}

int status_begin(struct request *r)
{
	static const struct field fields[] = {STATUS_FIELDS};
	struct statuses *s;
	int rc = statuses_new(r, fields, ARRAY_SIZE(fields), &s);

	if (rc == 0)
		s->ids = &r->id;
	return rc;
}

int statuses_begin(struct request *r)
{
	static const struct field fields[] = {
		{"environments", FIELD_TEXTS, true, STATUSES_MAX,
		 offsetof(struct statuses, environments)},
		STATUS_FIELDS,
	};
	struct statuses *s;
	size_t i;
	int rc = statuses_new(r, fields, ARRAY_SIZE(fields), &s);

	if (rc < 0)
		return rc;
	s->ids = arena_calloc(&r->arena, s->environments.n + 1, sizeof(*s->ids));
	if (!s->ids)
		return err_nomem(&r->err);
	for (i = 0; i < s->environments.n; i++)
		if (uuid_parse(s->environments.items[i], &s->ids[i]) < 0)
			return err_set(&r->err, ERR_INVALID,
				       "environments: number %zu is not an id", i + 1);
	return 0;
}

/* Says what was set on which path: the environment may be gone when somebody asks. */
static int audit(struct db_conn *conn, struct request *r, const struct statuses *s,
		 const struct uuid *id, const struct db_env *env)
{
	char target[UUID_TEXT_MAX + 16];
	char text[UUID_TEXT_MAX];
	struct json_writer w;
	struct buf detail;
	int rc;

	uuid_format(id, text);
	(void)snprintf(target, sizeof(target), "environment:%s", text);
	buf_init(&detail, DB_AUDIT_DETAIL_MAX);
	json_writer_init(&w, &detail);
	json_begin_object(&w);
	json_kv_str(&w, "status", action_status_name(s->entry.action));
	json_kv_str_opt(&w, "message", s->entry.message);
	json_kv_str_opt(&w, "until", s->until);
	json_kv_str(&w, "prefix", env->path);
	json_end_object(&w);
	rc = buf_rc(&detail);
	if (rc == 0)
		rc = request_audit(conn, r, "status.set", target, buf_cstr(&detail));
	buf_deinit(&detail);
	return rc;
}

/* *env is the environment as it is afterwards. */
/* The packages for which rules warn or block now: what the machine reported. */
static int take_cause(struct db_conn *conn, struct request *r, struct status_entry *entry)
{
	struct db_decision decision;
	struct db_env env;
	const char **specs = arena_calloc(&r->arena, STATUS_SPECS_MAX, sizeof(*specs));
	int rc = specs ? db_env_get(conn, &entry->environment, NULL, r->now_ms, &r->arena, &env,
				    &r->err)
		       : err_nomem(&r->err);

	if (rc == ERR_NOTFOUND)
		return 0; /* told by who sets it */
	if (rc == 0)
		rc = db_decision_get(conn, &env.machine, &env.id, &r->arena, &decision, &r->err);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	for (size_t i = 0; rc == 0 && i < decision.n_reasons; i++) {
		const struct db_reason *reason = &decision.reasons[i];

		/* "openssl 1.0.2u" is a spec. */
		if (!reason->monitored && *reason->package &&
		    entry->n_fixed_specs < STATUS_SPECS_MAX)
			specs[entry->n_fixed_specs++] = reason->package;
	}
	entry->fixed_specs = specs;
	if (entry->n_fixed_specs > 0)
		return 0;
	return err_set(&r->err, ERR_INVALID,
		       "until fixed: no rule names a package of %s; say which must go (packages)",
		       env.path);
}

static int set_one(struct db_conn *conn, struct request *r, const struct statuses *s,
		   const struct uuid *id, struct db_env *env)
{
	struct status_entry entry = s->entry;
	char text[UUID_TEXT_MAX];
	int rc;

	entry.environment = *id;
	rc = entry.until_fixed && entry.n_fixed_specs == 0 ? take_cause(conn, r, &entry) : 0;
	if (rc < 0)
		return rc;
	rc = db_status_set(conn, &entry, r->who, r->now_ms, &r->err);
	if (rc == ERR_NOTFOUND) {
		uuid_format(id, text);
		return request_refuse(r, 404, rc, "no environment has the id %s", text);
	}
	if (rc == 0)
		rc = db_env_get(conn, id, NULL, r->now_ms, &r->arena, env, &r->err);
	return rc < 0 ? rc : audit(conn, r, s, id, env);
}

int status_write(struct db_conn *conn, struct request *r)
{
	const struct statuses *s = r->data;
	struct db_env env = {0};
	int rc = set_one(conn, r, s, s->ids, &env);

	if (rc < 0)
		return rc;
	request_open(r, "environment");
	json_key(&r->json, "environment");
	rc = environment_write(conn, r, &env);
	if (rc < 0)
		return rc;
	request_close(r);
	return 0;
}

/* All or none of them. */
int statuses_write(struct db_conn *conn, struct request *r)
{
	const struct statuses *s = r->data;
	size_t n = s->environments.n;
	struct db_env env = {0};
	size_t i;
	int rc;

	request_open(r, "list");
	json_key(&r->json, "environments");
	json_begin_array(&r->json);
	for (i = 0; i < n; i++) {
		rc = set_one(conn, r, s, &s->ids[i], &env);
		if (rc < 0)
			return rc;
		rc = environment_write(conn, r, &env);
		if (rc < 0)
			return rc;
	}
	json_end_array(&r->json);
	request_close(r);
	return 0;
}
