#include <string.h>

#include "proto/limits.h"
#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_org.h"

struct organisation_patch {
	struct maybe_bool logging;
	const char *contact;
	const char *when_agent_down;
};

static void answer(struct request *r, const struct db_org *org)
{
	request_open(r, "organisation");
	document_id(&r->json, "id", &org->id);
	json_kv_str(&r->json, "name", org->name);
	json_kv_bool(&r->json, "logging", org->logging);
	json_kv_str(&r->json, "contact", org->contact);
	json_kv_str(&r->json, "when_agent_down", org->when_agent_down);
	json_kv_time_opt(&r->json, "created", org->created_ms);
	request_close(r);
}

int organisation_read(struct db_conn *conn, struct request *r)
{
	struct db_org org;
	int rc = db_org_get(conn, &r->arena, &org, &r->err);

	if (rc == 0)
		answer(r, &org);
	return rc;
}

int organisation_patch_begin(struct request *r)
{
	static const struct field fields[] = {
		{"logging", FIELD_BOOL, false, 0, offsetof(struct organisation_patch, logging)},
		{"contact", FIELD_TEXT, false, LIMIT_CONTACT,
		 offsetof(struct organisation_patch, contact)},
		{"when_agent_down", FIELD_TEXT, false, LIMIT_WORD,
		 offsetof(struct organisation_patch, when_agent_down)},
	};
	struct organisation_patch *patch = arena_calloc(&r->arena, 1, sizeof(*patch));

	if (!patch)
		return err_nomem(&r->err);
	r->data = patch;
	return request_fields(r, fields, ARRAY_SIZE(fields), patch);
}

/* What was changed, for the audit log. */
static int audit(struct db_conn *conn, struct request *r, const struct organisation_patch *patch)
{
	struct json_writer w;
	struct buf text;
	int rc;

	buf_init(&text, DB_AUDIT_DETAIL_MAX);
	json_writer_init(&w, &text);
	json_begin_object(&w);
	if (patch->logging.set)
		json_kv_bool(&w, "logging", patch->logging.value);
	if (patch->contact)
		json_kv_str(&w, "contact", patch->contact);
	if (patch->when_agent_down)
		json_kv_str(&w, "when_agent_down", patch->when_agent_down);
	json_end_object(&w);
	rc = buf_rc(&text);
	if (rc == 0)
		rc = request_audit(conn, r, "organisation.set", "organisation", buf_cstr(&text));
	buf_deinit(&text);
	return rc;
}

int organisation_patch_write(struct db_conn *conn, struct request *r)
{
	const struct organisation_patch *patch = r->data;
	struct db_org org;
	int rc = db_org_get(conn, &r->arena, &org, &r->err);

	if (rc < 0)
		return rc;
	if (patch->logging.set)
		org.logging = patch->logging.value;
	if (patch->contact)
		org.contact = patch->contact;
	if (patch->when_agent_down)
		org.when_agent_down = patch->when_agent_down;
	rc = db_org_set(conn, &org, r->now_ms, &r->err);
	if (rc == 0)
		rc = audit(conn, r, patch);
	if (rc == 0)
		answer(r, &org);
	return rc;
}
