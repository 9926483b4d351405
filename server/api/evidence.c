/* What rules and statuses have done: counted by rule, and the environments of one. */
#include <string.h>

#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/api/rules.h"
#include "server/db/db_decision.h"

static void counters(struct json_writer *w, const struct db_counters *c)
{
	json_kv_int(w, "warnings", c->warnings);
	json_kv_int(w, "refusals", c->refusals);
	json_kv_int(w, "runs_after_block", c->runs_after_block);
}

int evidence_read(struct db_conn *conn, struct request *r)
{
	struct db_rule_evidence *list;
	size_t n;
	int rc = db_evidence_rules(conn, &r->arena, &list, &n, &r->err);

	if (rc < 0)
		return rc;
	request_open(r, "evidence");
	json_key(&r->json, "rules");
	json_begin_array(&r->json);
	for (size_t i = 0; i < n; i++) {
		const struct db_rule_evidence *e = &list[i];

		json_begin_object(&r->json);
		json_kv_str(&r->json, "kind", e->kind);
		json_kv_str(&r->json, "rule", e->rule);
		json_kv_bool(&r->json, "monitored", e->monitored);
		json_kv_int(&r->json, "environments", e->environments);
		json_kv_int(&r->json, "blocked", e->blocked);
		json_kv_int(&r->json, "users", e->users);
		json_kv_int(&r->json, "lifted", e->lifted);
		counters(&r->json, &e->counters);
		json_kv_time_opt(&r->json, "first", e->first_ms);
		json_end_object(&r->json);
	}
	json_end_array(&r->json);
	request_close(r);
	return 0;
}

static void write_environment(struct json_writer *w, const struct db_env_evidence *e)
{
	json_begin_object(w);
	document_id(w, "environment", &e->environment);
	json_kv_str_opt(w, "prefix", e->prefix);
	json_kv_str_opt(w, "user", e->user);
	document_id(w, "machine", &e->machine);
	json_kv_str(w, "hostname", e->hostname);
	json_kv_str(w, "action", action_name(e->reason.action));
	json_kv_bool(w, "monitored", e->reason.monitored);
	json_kv_str_opt(w, "package", e->reason.package);
	json_kv_int(w, "packages", e->reason.packages);
	json_kv_time_opt(w, "since", e->reason.since_ms);
	json_kv_time_opt(w, "lifted", e->reason.lifted_ms);
	counters(w, &e->reason.counters);
	json_end_object(w);
}

int evidence_environments_read(struct db_conn *conn, struct request *r)
{
	const char *rule = request_query(r, "rule");
	const char *kind = request_query(r, "kind");
	struct db_env_evidence *list = NULL;
	struct db_cursor after, next;
	size_t limit, n = 0;
	int rc = request_limit(r, &limit);

	if (rc == 0)
		rc = request_after(r, &after);
	if (rc == 0)
		rc = db_evidence_environments(conn, kind ? kind : "rule", rule ? rule : "", &after,
					      limit, &r->arena, &list, &n, &r->err);
	/* Nothing yet, or nothing ever. */
	if (rc == 0 && n == 0 && !after.set && rule && (!kind || strcmp(kind, "rule") == 0))
		rc = rules_expect(conn, r, rule, 404);
	if (rc != 0)
		return rc;
	request_open(r, "evidence_environments");
	json_key(&r->json, "environments");
	json_begin_array(&r->json);
	for (size_t i = 0; i < n; i++)
		write_environment(&r->json, &list[i]);
	json_end_array(&r->json);
	if (n == limit) {
		next = (struct db_cursor){.set = true,
					  .num = (after.set ? after.num : 0) + (int64_t)n};
		request_next(r, &next);
	}
	request_close(r);
	return 0;
}
