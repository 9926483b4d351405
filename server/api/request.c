#include "server/api/request.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"

int request_refuse(struct request *r, unsigned status, int code, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->status = status;
	return err_set(&r->err, code, "%s", text);
}

/* --- the query --- */

const char *request_query(const struct request *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->n_query; i++)
		if (strcmp(r->query[i].name, name) == 0)
			return r->query[i].value;
	return NULL;
}

int request_limit(struct request *r, size_t *out)
{
	const char *text = request_query(r, "limit");
	unsigned long long v;

	if (!text) {
		*out = REQUEST_LIMIT_DEFAULT;
		return 0;
	}
	if (text_to_u64(text, strlen(text), &v) < 0 || v == 0 || v > DB_PAGE_MAX)
		return err_set(&r->err, ERR_INVALID, "limit: a number from 1 to %d, please",
			       DB_PAGE_MAX);
	*out = (size_t)v;
	return 0;
}

int request_query_time(struct request *r, const char *name, int64_t *ms)
{
	const char *text = request_query(r, name);

	if (!text)
		return 0;
	if (clock_parse(text, ms) < 0)
		return err_set(&r->err, ERR_INVALID, "%s: not a time like 2026-11-22T17:17:42Z",
			       name);
	return 0;
}

int request_query_id(struct request *r, const char *name, const struct uuid **out)
{
	const char *text = request_query(r, name);
	struct uuid *id;

	*out = NULL;
	if (!text)
		return 0;
	id = arena_alloc(&r->arena, sizeof(*id));
	if (!id)
		return err_nomem(&r->err);
	if (uuid_parse(text, id) < 0)
		return err_set(&r->err, ERR_INVALID, "%s: not an id", name);
	*out = id;
	return 0;
}

/* "<num>.<id>.<text in hex>": opaque to clients, stable within a version. */
static int cursor_parse(struct request *r, const char *text, struct db_cursor *out)
{
	const char *dot = strchr(text, '.');
	const char *hex = dot ? strchr(dot + 1, '.') : NULL;
	size_t digits = hex ? strlen(hex + 1) : 0;
	long long num;
	long long id;
	char *name;

	if (!hex || text_to_i64(text, (size_t)(dot - text), &num) < 0 ||
	    text_to_i64(dot + 1, (size_t)(hex - dot - 1), &id) < 0)
		return ERR_INVALID;
	name = arena_calloc(&r->arena, 1, digits / 2 + 1);
	if (!name)
		return ERR_NOMEM;
	if (text_from_hex(hex + 1, digits, (unsigned char *)name, digits / 2) < 0 ||
	    strlen(name) != digits / 2 || !text_is_utf8(name, digits / 2))
		return ERR_INVALID;
	*out = (struct db_cursor){.set = true, .num = num, .text = name, .id = id};
	return 0;
}

int request_after(struct request *r, struct db_cursor *out)
{
	const char *text = request_query(r, "after");
	int rc;

	*out = (struct db_cursor){0};
	if (!text)
		return 0;
	rc = cursor_parse(r, text, out);
	if (rc < 0)
		return err_set(&r->err, rc, "after: not a \"next\" of an earlier answer");
	return 0;
}

void request_next(struct request *r, const struct db_cursor *last)
{
	struct buf text;

	buf_init(&text, 4 * DB_TEXT_MAX + 4 * 4096);
	buf_addf(&text, "%" PRId64 ".%" PRId64 ".", last->num, last->id);
	if (last->text)
		buf_add_hex(&text, last->text, strlen(last->text));
	json_kv_str(&r->json, "next", buf_cstr(&text));
	if (buf_rc(&text) < 0)
		r->out.rc = buf_rc(&text);
	buf_deinit(&text);
}

/* --- writing --- */

int request_audit(struct db_conn *conn, struct request *r, const char *what, const char *target,
		  const char *detail)
{
	struct db_audit entry = {
		.at_ms = r->now_ms,
		.who = r->who,
		.what = what,
		.target = target,
		.detail = detail,
	};

	return db_audit_append(conn, &entry, &r->err);
}

bool request_connected(const struct request *r, const struct uuid *machine)
{
	return r->config->connected && r->config->connected(r->config->ctx, machine);
}

void request_open(struct request *r, const char *schema)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "envwarden.%s/1", schema);
	json_begin_object(&r->json);
	json_kv_str(&r->json, "schema", text);
}

void request_close(struct request *r)
{
	json_end_object(&r->json);
}
