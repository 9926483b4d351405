#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/text.h"
#include "server/api/login_rate.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/api/token.h"
#include "server/db/db_admin.h"
#include "server/pki/password.h"

#define LOGIN_DAYS 30 /* a login's token, when not said */
#define LOGIN_DAYS_MAX 366
#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* What a login keeps between its steps. */
struct login {
	const char *user;
	char *password; /* wiped after use */
	int64_t days;
	struct db_user known; /* password NULL: no such user */
	bool right;
};

int login_begin(struct request *r)
{
	static const struct field fields[] = {
		{"user", FIELD_TEXT, true, DB_TEXT_MAX, offsetof(struct login, user)},
		{"password", FIELD_TEXT, true, PASSWORD_MAX, offsetof(struct login, password)},
		{"days", FIELD_INT, false, LOGIN_DAYS_MAX, offsetof(struct login, days)},
	};
	struct login *login = arena_calloc(&r->arena, 1, sizeof(*login));
	int64_t wait_ms;
	int rc;

	if (!login)
		return err_nomem(&r->err);
	login->days = LOGIN_DAYS;
	rc = request_fields(r, fields, ARRAY_SIZE(fields), login);
	if (rc < 0)
		return rc;
	r->data = login;
	wait_ms = login_rate_take(r->login_rate, login->user, r->peer, r->mono_ms);
	if (wait_ms > 0) {
		r->retry_after_s = (unsigned)(wait_ms / 1000 + 1);
		return request_refuse(r, 429, ERR_BUSY, "too many logins; wait %u s",
				      r->retry_after_s);
	}
	return 0;
}

int login_read(struct db_conn *conn, struct request *r)
{
	struct login *login = r->data;
	int rc = db_user_get(conn, login->user, &r->arena, &login->known, &r->err);

	/* The password is checked against nothing then, which takes as long. */
	return rc == ERR_NOTFOUND || rc == ERR_INVALID ? 0 : rc;
}

int login_compute(struct request *r)
{
	struct login *login = r->data;

	login->right = password_verify(login->known.password, login->password, NULL);
	crypto_wipe(login->password, strlen(login->password));
	return 0;
}

static int token_write(struct db_conn *conn, struct request *r, const struct login *login)
{
	struct db_token token = {
		.kind = DB_TOKEN_SESSION,
		.name = login->known.name,
		.role = login->known.role,
		.created_by = login->known.name,
		.created_ms = r->now_ms,
		.expires_ms = r->now_ms + login->days * DAY_MS,
	};
	unsigned char hash[SHA256_SIZE];
	char text[TOKEN_TEXT_MAX];
	int64_t id;
	int rc;

	token_make(text, hash);
	rc = db_token_create(conn, hash, &token, &id, &r->err);
	if (rc == 0) {
		request_open(r, "token");
		json_kv_str(&r->json, "token", text);
		json_kv_str(&r->json, "user", token.name);
		json_kv_str(&r->json, "role", db_role_name(token.role));
		json_kv_time_opt(&r->json, "expires", token.expires_ms);
		request_close(r);
	}
	crypto_wipe(text, sizeof(text));
	return rc;
}

int login_write(struct db_conn *conn, struct request *r)
{
	struct login *login = r->data;
	int rc;

	r->who = login->user;
	rc = request_audit(conn, r, login->right ? "login" : "login.failed", r->peer, "");
	if (rc < 0)
		return rc;
	if (login->right)
		return token_write(conn, r, login);
	/* The audit line is to stay, so the step itself succeeds. */
	r->problem = true;
	(void)request_refuse(r, 401, ERR_PERM, "wrong user or password");
	return 0;
}

int logout_write(struct db_conn *conn, struct request *r)
{
	int rc = db_token_revoke(conn, r->token.id, &r->err);

	return rc < 0 ? rc : request_audit(conn, r, "logout", "", "");
}
