#include "server/api/answer.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/crypto.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "server/api/request.h"
#include "server/api/route.h"

#define ETAG_MAX 40
#define RETRY_S 2 /* when busy */

/* The status an error stands for when its step named none. */
static unsigned status_of(int code)
{
	static const struct {
		int code;
		unsigned status;
	} table[] = {
		{ERR_INVALID, MHD_HTTP_BAD_REQUEST},
		{ERR_LIMIT, MHD_HTTP_BAD_REQUEST},
		{ERR_PERM, MHD_HTTP_FORBIDDEN},
		{ERR_NOTFOUND, MHD_HTTP_NOT_FOUND},
		{ERR_EXISTS, MHD_HTTP_CONFLICT},
		{ERR_CONFLICT, MHD_HTTP_CONFLICT},
		{ERR_BUSY, MHD_HTTP_SERVICE_UNAVAILABLE},
		{ERR_CANCELED, MHD_HTTP_SERVICE_UNAVAILABLE},
		{ERR_FULL, MHD_HTTP_INSUFFICIENT_STORAGE},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].code == code)
			return table[i].status;
	return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* What went wrong inside is for the log, not for clients. */
static void write_problem(struct request *r, int rc, unsigned status)
{
	const char *detail = r->err.code < 0 ? r->err.text : err_text(rc);

	if (status == MHD_HTTP_INTERNAL_SERVER_ERROR) {
		log_error("api", "a request failed",
			  LOG_STR("path", r->route ? r->route->path : ""),
			  LOG_STR("error", detail));
		detail = "internal error; the server's log says more";
	}
	buf_clear(&r->out);
	json_writer_init(&r->json, &r->out);
	json_begin_object(&r->json);
	json_kv_str(&r->json, "type", "about:blank");
	json_kv_str(&r->json, "title", MHD_get_reason_phrase_for(status));
	json_kv_int(&r->json, "status", status);
	json_kv_str(&r->json, "detail", detail);
	json_end_object(&r->json);
}

static struct MHD_Response *response_of(struct buf *out)
{
	struct MHD_Response *response;
	size_t n;
	char *data = buf_take(out, &n);

	if (!data)
		return NULL;
	response = MHD_create_response_from_buffer_with_free_callback(n, data, mem_free);
	if (!response)
		mem_free(data);
	return response;
}

static int add(struct MHD_Response *response, const char *name, const char *value)
{
	return MHD_add_response_header(response, name, value) == MHD_YES ? 0 : ERR_NOMEM;
}

/* Answers are data for programs: no browser is to guess, frame, store or run anything of them. */
static int add_common(struct MHD_Response *response)
{
	static const char *const headers[][2] = {
		{"Strict-Transport-Security", "max-age=31536000"},
		{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Cache-Control", "private, no-cache"},
	};
	int rc = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(headers) && rc == 0; i++)
		rc = add(response, headers[i][0], headers[i][1]);
	return rc;
}

static int add_problem(struct MHD_Response *response, struct request *r, unsigned status,
		       const struct answer_extra *extra)
{
	char text[16];
	int rc = add(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/problem+json");

	if (rc == 0 && status == MHD_HTTP_UNAUTHORIZED)
		rc = add(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"envwarden\"");
	if (rc == 0 && status == MHD_HTTP_METHOD_NOT_ALLOWED)
		rc = add(response, MHD_HTTP_HEADER_ALLOW, extra->allow);
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		r->retry_after_s = RETRY_S;
	if (rc == 0 && r->retry_after_s > 0) {
		(void)snprintf(text, sizeof(text), "%u", r->retry_after_s);
		rc = add(response, MHD_HTTP_HEADER_RETRY_AFTER, text);
	}
	return rc;
}

static void etag_of(const struct buf *out, char etag[ETAG_MAX])
{
	unsigned char hash[SHA256_SIZE];
	size_t i;

	sha256(out->data, out->len, hash);
	etag[0] = '"';
	for (i = 0; i < 16; i++)
		(void)snprintf(etag + 1 + 2 * i, 3, "%02x", hash[i]);
	memcpy(etag + 33, "\"", 2);
}

static struct MHD_Response *finish(struct MHD_Response *response, int rc)
{
	if (!response)
		return NULL;
	if (rc == 0)
		rc = add_common(response);
	if (rc == 0)
		return response;
	MHD_destroy_response(response);
	return NULL;
}

static struct MHD_Response *make_problem(struct request *r, int rc,
					 const struct answer_extra *extra, unsigned *status)
{
	struct MHD_Response *response;

	*status = r->status ? r->status : status_of(rc);
	write_problem(r, rc, *status);
	response = response_of(&r->out);
	return finish(response, response ? add_problem(response, r, *status, extra) : ERR_NOMEM);
}

struct MHD_Response *answer_make(struct request *r, int rc, const struct answer_extra *extra,
				 unsigned *status)
{
	struct MHD_Response *response;
	char etag[ETAG_MAX] = "";

	if (rc == 0 && !r->problem)
		rc = buf_rc(&r->out);
	if (rc < 0 || r->problem)
		return make_problem(r, rc, extra, status);
	*status = r->status ? r->status : r->route->status;
	if (strcmp(r->route->method, "GET") == 0) {
		etag_of(&r->out, etag);
		if (extra->if_none_match && strstr(extra->if_none_match, etag)) {
			*status = MHD_HTTP_NOT_MODIFIED;
			buf_clear(&r->out);
		}
	}
	response = response_of(&r->out);
	rc = response ? add(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json") : 0;
	if (rc == 0 && response && etag[0])
		rc = add(response, MHD_HTTP_HEADER_ETAG, etag);
	return finish(response, rc);
}
