/* Break-glass: codes that an admin reads to a member. */
#include <stdio.h>
#include <string.h>

#include "lib/base/crypto.h"
#include "proto/limits.h"
#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_env.h"
#include "server/db/db_unlock.h"

#define MINUTES_MAX (7 * 24 * 60)
#define MINUTE_MS INT64_C(60000)

struct unlocking {
	int64_t minutes;
	struct maybe_bool and_status;
	const char *reason;
};

int unlock_begin(struct request *r)
{
	static const struct field fields[] = {
		{"minutes", FIELD_INT, false, INT32_MAX, offsetof(struct unlocking, minutes)},
		{"and_status", FIELD_BOOL, false, 0, offsetof(struct unlocking, and_status)},
		{"reason", FIELD_TEXT, true, LIMIT_TEXT, offsetof(struct unlocking, reason)},
	};
	struct unlocking *u = arena_calloc(&r->arena, 1, sizeof(*u));
	int rc;

	if (!u)
		return err_nomem(&r->err);
	u->minutes = 120;
	r->data = u;
	rc = request_fields(r, fields, ARRAY_SIZE(fields), u);
	if (rc == 0 && u->reason[strspn(u->reason, " \t\r\n")] == '\0')
		rc = err_set(&r->err, ERR_INVALID, "reason: say why it is unlocked");
	if (rc == 0 && u->minutes > MINUTES_MAX)
		rc = err_set(&r->err, ERR_INVALID,
			     "minutes: a code counts for 7 days (%d minutes) at most", MINUTES_MAX);
	return rc;
}

static int audit(struct db_conn *conn, struct request *r, const char *what,
		 const struct db_unlock *u, const struct db_env *env, int64_t revoked)
{
	char target[UUID_TEXT_MAX + 16], id[UUID_TEXT_MAX];
	struct json_writer w;
	struct buf detail;
	int rc;

	uuid_format(&env->id, id);
	(void)snprintf(target, sizeof(target), "environment:%s", id);
	buf_init(&detail, DB_AUDIT_DETAIL_MAX);
	json_writer_init(&w, &detail);
	json_begin_object(&w);
	if (u) {
		document_id(&w, "machine", &u->machine);
		json_kv_int(&w, "serial", u->serial);
		json_kv_time_opt(&w, "expires", u->expires_ms);
		json_kv_bool(&w, "and_status", u->lifts_status);
		json_kv_str(&w, "reason", u->reason);
	} else {
		json_kv_int(&w, "revoked", revoked);
	}
	json_kv_str(&w, "prefix", env->path);
	json_end_object(&w);
	rc = buf_rc(&detail);
	if (rc == 0)
		rc = request_audit(conn, r, what, target, buf_cstr(&detail));
	buf_deinit(&detail);
	return rc;
}

static int env_get(struct db_conn *conn, struct request *r, const struct uuid *machine,
		   struct db_env *out)
{
	int rc = db_env_get(conn, &r->id, machine, r->now_ms, &r->arena, out, &r->err);

	return rc == ERR_NOTFOUND ? request_refuse(r, 404, rc, "no such environment") : rc;
}

static void answer(struct request *r, const struct db_unlock *u, const char *code)
{
	request_open(r, "unlock");
	json_kv_str(&r->json, "code", code);
	document_id(&r->json, "environment", &u->environment);
	document_id(&r->json, "machine", &u->machine);
	json_kv_int(&r->json, "serial", u->serial);
	json_kv_time_opt(&r->json, "expires", u->expires_ms);
	json_kv_bool(&r->json, "and_status", u->lifts_status);
	request_close(r);
}

int unlock_write(struct db_conn *conn, struct request *r)
{
	const struct unlocking *asked = r->data;
	unsigned char key[UNLOCK_KEY_SIZE];
	char code[UNLOCK_CODE_MAX];
	const struct uuid *machine;
	struct db_unlock u;
	struct db_env env;
	int rc = request_query_id(r, "machine", &machine);

	if (rc == 0)
		rc = env_get(conn, r, machine, &env);
	if (rc != 0)
		return rc;
	u = (struct db_unlock){.machine = env.machine,
			       .environment = env.id,
			       .expires_ms = (r->now_ms / MINUTE_MS + asked->minutes) * MINUTE_MS,
			       .lifts_status = asked->and_status.value,
			       .reason = asked->reason,
			       .issued_by = r->who,
			       .issued_ms = r->now_ms};
	rc = db_unlock_issue(conn, &u, key, &r->err);
	if (rc == 0)
		rc = unlock_format(&(struct unlock){.environment = u.environment,
						    .expires_ms = u.expires_ms,
						    .serial = u.serial,
						    .lifts_status = u.lifts_status},
				   key, code, &r->err);
	crypto_wipe(key, sizeof(key));
	if (rc == 0)
		rc = audit(conn, r, "unlock.issue", &u, &env, 0);
	if (rc == 0)
		answer(r, &u, code);
	crypto_wipe(code, sizeof(code));
	return rc;
}

int unlock_revoke_write(struct db_conn *conn, struct request *r)
{
	struct db_env env;
	int64_t n = 0;
	int rc = env_get(conn, r, NULL, &env);

	if (rc == 0)
		rc = db_unlock_revoke(conn, &r->id, r->who, r->now_ms, &n, &r->err);
	if (rc == 0)
		rc = audit(conn, r, "unlock.revoke", NULL, &env, n);
	if (rc < 0)
		return rc;
	request_open(r, "unlock_revoked");
	json_kv_int(&r->json, "revoked", n);
	request_close(r);
	return 0;
}
