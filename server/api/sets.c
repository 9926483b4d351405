/* Signed state as files: for machines that reach no server. */
#include <stdio.h>
#include <string.h>

#include <sodium/utils.h>

#include "lib/base/mem.h"
#include "proto/limits.h"
#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_admin.h"

#define HOURS_MAX (366 * 24)
#define HOUR_MS INT64_C(3600000)

struct exporting {
	int64_t hours; /* 0 = not said */
};

int export_begin(struct request *r)
{
	static const struct field fields[] = {
		{"hours", FIELD_INT, false, INT32_MAX, offsetof(struct exporting, hours)},
	};
	struct exporting *x = arena_calloc(&r->arena, 1, sizeof(*x));
	int rc;

	if (!x)
		return err_nomem(&r->err);
	r->data = x;
	rc = request_fields(r, fields, ARRAY_SIZE(fields), x);
	if (rc == 0 && x->hours > HOURS_MAX)
		rc = err_set(&r->err, ERR_INVALID, "hours: 366 days (%d hours) at most", HOURS_MAX);
	return rc;
}

int request_base64(struct request *r, const char *key, const void *data, size_t n)
{
	size_t cap = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
	char *text = mem_alloc(cap);

	if (!text)
		return err_nomem(&r->err);
	(void)sodium_bin2base64(text, cap, data, n, sodium_base64_VARIANT_ORIGINAL);
	json_kv_str(&r->json, key, text);
	mem_free(text);
	return 0;
}

static int audit(struct db_conn *conn, struct request *r, const struct api_set *set)
{
	char target[UUID_TEXT_MAX + 16], id[UUID_TEXT_MAX];
	struct json_writer w;
	struct buf detail;
	int rc;

	uuid_format(&set->machine, id);
	(void)snprintf(target, sizeof(target), "machine:%s", id);
	buf_init(&detail, DB_AUDIT_DETAIL_MAX);
	json_writer_init(&w, &detail);
	json_begin_object(&w);
	json_kv_time_opt(&w, "expires", r->now_ms + set->valid_ms);
	json_end_object(&w);
	rc = buf_rc(&detail);
	if (rc == 0)
		rc = request_audit(conn, r, "machine.export", target, buf_cstr(&detail));
	buf_deinit(&detail);
	return rc;
}

static int answer(struct request *r, const struct api_set *set)
{
	int rc;

	request_open(r, "set");
	document_id(&r->json, "machine", &set->machine);
	json_kv_int(&r->json, "policy_version", (int64_t)set->policy_version);
	json_kv_int(&r->json, "status_version", (int64_t)set->status_version);
	json_kv_time_opt(&r->json, "created", r->now_ms);
	json_kv_time_opt(&r->json, "expires", r->now_ms + set->valid_ms);
	rc = request_base64(r, "data", set->file->data, set->file->len);
	request_close(r);
	return rc;
}

int export_write(struct db_conn *conn, struct request *r)
{
	const struct exporting *x = r->data;
	struct buf file;
	struct api_set set = {.machine = r->id,
			      .now_ms = r->now_ms,
			      .valid_ms = x->hours * HOUR_MS,
			      .file = &file};
	int rc;

	buf_init(&file, LIMIT_BUNDLE);
	rc = r->config->export_set && r->config->signer
		     ? r->config->export_set(conn, r->config->signer, &set, &r->err)
		     : err_set(&r->err, ERR_UNSUPPORTED, "this server signs nothing");
	if (rc == ERR_NOTFOUND)
		rc = request_refuse(r, 404, rc, "no such machine");
	else if (rc == ERR_PERM)
		rc = request_refuse(r, 409, rc, "a file is for active machines only");
	if (rc == 0)
		rc = audit(conn, r, &set);
	if (rc == 0)
		rc = answer(r, &set);
	buf_deinit(&file);
	return rc;
}
