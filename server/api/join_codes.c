#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "proto/join_code.h"
#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_org.h"

#define USES_MAX 1000000
#define HOURS_MAX (366 * 24)
#define HOUR_MS INT64_C(3600000)

struct join_request {
	const char *title;
	int64_t uses;
	int64_t hours; /* until it expires */
	struct texts labels;
	struct maybe_bool ephemeral;
};

int join_code_begin(struct request *r)
{
	static const struct field fields[] = {
		{"title", FIELD_TEXT, false, DB_TEXT_MAX, offsetof(struct join_request, title)},
		{"uses", FIELD_INT, false, USES_MAX, offsetof(struct join_request, uses)},
		{"hours", FIELD_INT, false, HOURS_MAX, offsetof(struct join_request, hours)},
		{"labels", FIELD_TEXTS, false, DB_LABELS_MAX,
		 offsetof(struct join_request, labels)},
		{"ephemeral", FIELD_BOOL, false, 0, offsetof(struct join_request, ephemeral)},
	};
	struct join_request *j = arena_calloc(&r->arena, 1, sizeof(*j));

	if (!j)
		return err_nomem(&r->err);
	*j = (struct join_request){.title = "", .uses = 1, .hours = 7 * 24};
	r->data = j;
	if (r->config->n_agent_addresses == 0)
		return request_refuse(r, 409, ERR_CONFLICT,
				      "this server was told no address that agents could dial");
	return request_fields(r, fields, ARRAY_SIZE(fields), j);
}

/* The text that people carry, and the secret's hash for the store. */
static int make_code(struct db_conn *conn, struct request *r, struct buf *text,
		     unsigned char hash[SHA256_SIZE])
{
	const struct api_config *config = r->config;
	struct join_code code = {.n_addresses = config->n_agent_addresses};
	struct db_org org;
	size_t i;
	int rc = db_org_get(conn, &r->arena, &org, &r->err);

	if (rc < 0)
		return rc;
	code.organisation = org.id;
	(void)snprintf(code.name, sizeof(code.name), "%s", org.name);
	for (i = 0; i < code.n_addresses && i < JOIN_CODE_ADDRESSES_MAX; i++)
		(void)snprintf(code.addresses[i], sizeof(code.addresses[i]), "%s",
			       config->agent_addresses[i]);
	memcpy(code.root_hash, config->root_hash, SHA256_SIZE);
	crypto_random(code.secret, sizeof(code.secret));
	sha256(code.secret, sizeof(code.secret), hash);
	rc = join_code_format(&code, text, &r->err);
	crypto_wipe(&code, sizeof(code));
	return rc;
}

static void answer(struct request *r, const struct db_join_code *code, int64_t id, const char *text)
{
	request_open(r, "join_code");
	json_kv_int(&r->json, "id", id);
	json_kv_str(&r->json, "code", text);
	json_kv_str_opt(&r->json, "title", code->title);
	json_kv_int(&r->json, "uses", code->uses);
	json_kv_time_opt(&r->json, "expires", code->expires_ms);
	document_texts(&r->json, "labels", code->labels.items, code->labels.n);
	json_kv_bool(&r->json, "ephemeral", code->ephemeral);
	request_close(r);
}

static int store_code(struct db_conn *conn, struct request *r,
		      const unsigned char hash[SHA256_SIZE], const char *text)
{
	const struct join_request *j = r->data;
	struct db_join_code code = {
		.title = j->title,
		.labels = {.items = j->labels.items, .n = j->labels.n},
		.uses = j->uses,
		.expires_ms = r->now_ms + j->hours * HOUR_MS,
		.ephemeral = j->ephemeral.value,
		.created_by = r->who,
		.created_ms = r->now_ms,
	};
	char target[48];
	int64_t id;
	int rc = db_join_create(conn, hash, &code, &id, &r->err);

	if (rc < 0)
		return rc;
	(void)snprintf(target, sizeof(target), "join_code:%lld", (long long)id);
	rc = request_audit(conn, r, "join_code.create", target, j->title);
	if (rc == 0)
		answer(r, &code, id, text);
	return rc;
}

int join_code_write(struct db_conn *conn, struct request *r)
{
	unsigned char hash[SHA256_SIZE];
	struct buf text;
	int rc;

	buf_init(&text, 8192);
	rc = make_code(conn, r, &text, hash);
	if (rc == 0)
		rc = store_code(conn, r, hash, buf_cstr(&text));
	if (text.data)
		crypto_wipe(text.data, text.cap);
	buf_deinit(&text);
	return rc;
}
