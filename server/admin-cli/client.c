#include "server/admin-cli/client.h"

#include <string.h>

#include <curl/curl.h>

#include "lib/base/crypto.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "server/admin-cli/refusal.h"

#define PAGE 500
#define CONNECT_S 10L
#define TOTAL_S 120L

struct client {
	CURL *curl;
	struct buf answer;
	char error[CURL_ERROR_SIZE];
};

static size_t take(char *data, size_t size, size_t n, void *ctx)
{
	struct buf *answer = ctx;

	buf_add(answer, data, size * n);
	return buf_rc(answer) == 0 ? size * n : 0;
}

static void set_up(struct client *c, const struct config *config)
{
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, TOTAL_S);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &c->answer);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "envwarden-admin/" ENVWARDEN_VERSION);
	if (config->ca[0])
		curl_easy_setopt(c->curl, CURLOPT_CAINFO, config->ca);
}

enum admin_exit client_new(struct admin *a, struct client **out)
{
	struct client *c = mem_calloc(1, sizeof(*c));

	if (!c)
		return admin_fail(a, ADMIN_FAILED, "out of memory");
	buf_init(&c->answer, CLIENT_ANSWER_MAX);
	c->curl = curl_easy_init();
	if (!c->curl) {
		client_free(c);
		return admin_fail(a, ADMIN_FAILED, "out of memory");
	}
	set_up(c, &a->config);
	*out = c;
	return ADMIN_OK;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	if (client->answer.data)
		crypto_wipe(client->answer.data, client->answer.cap);
	buf_deinit(&client->answer);
	mem_free(client);
}

/* --- what went wrong --- */

static enum admin_exit transport_failed(struct admin *a, CURLcode code)
{
	const char *server = a->config.server;

	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return admin_fail(a, ADMIN_FAILED,
				  "%s does not prove to be the server: %s; is --ca the right one?",
				  server, a->client->error);
	case CURLE_SSL_CACERT_BADFILE:
		return admin_fail(a, ADMIN_FAILED, "%s: no file of certificates (--ca)",
				  a->config.ca);
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return admin_fail(a, ADMIN_USAGE, "%s: not an address like https://host:port",
				  server);
	case CURLE_OUT_OF_MEMORY:
		return admin_fail(a, ADMIN_FAILED, "out of memory");
	case CURLE_WRITE_ERROR:
		return admin_fail(a, ADMIN_FAILED, "the answer is too large");
	default:
		return admin_fail(a, ADMIN_UNREACHABLE, "%s is not reachable: %s", server,
				  a->client->error[0] ? a->client->error
						      : curl_easy_strerror(code));
	}
}

/* About what was typed: in its words, and a wrong use of the command. */
static enum admin_exit refused_detail(struct admin *a, long status, const char *detail)
{
	enum admin_exit result = ADMIN_FAILED;
	struct buf text;

	buf_init(&text, CLIENT_ANSWER_MAX);
	if (refusal_text(&a->options, detail, &text) && status == 400)
		result = ADMIN_USAGE;
	(void)admin_fail(a, result, "%s", buf_cstr(&text));
	buf_deinit(&text);
	return result;
}

static enum admin_exit refused(struct admin *a, long status, const json_t *answer)
{
	const char *detail = json_string_value(json_object_get(answer, "detail"));

	if (status == 401 && a->config.token[0])
		return admin_fail(a, ADMIN_FORBIDDEN,
				  "%s; log in again: envwarden-admin login --user NAME",
				  detail ? detail : "the token was refused");
	if (status == 401)
		return admin_fail(a, ADMIN_FORBIDDEN, "%s", detail ? detail : "refused");
	if (status == 403)
		return admin_fail(a, ADMIN_FORBIDDEN, "not permitted: %s", detail ? detail : "");
	if (detail)
		return refused_detail(a, status, detail);
	return admin_fail(a, ADMIN_FAILED, "the server answers with status %ld", status);
}

/* --- one call --- */

static struct curl_slist *headers_of(const struct admin *a)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
	struct curl_slist *more;
	struct buf line;

	if (!headers)
		return NULL;
	buf_init(&line, 256 + CONFIG_TOKEN_MAX);
	buf_addf(&line, "Authorization: Bearer %s", a->config.token);
	more = curl_slist_append(headers, "Content-Type: application/json");
	if (more && a->config.token[0])
		more = curl_slist_append(headers, buf_cstr(&line));
	if (line.data)
		crypto_wipe(line.data, line.cap);
	buf_deinit(&line);
	if (more)
		return headers;
	curl_slist_free_all(headers);
	return NULL;
}

static CURLcode perform(struct admin *a, const char *method, const char *path, const char *body)
{
	struct curl_slist *headers = headers_of(a);
	CURL *curl = a->client->curl;
	struct buf url;
	CURLcode rc = CURLE_OUT_OF_MEMORY;

	buf_init(&url, CLIENT_PATH_MAX + CONFIG_SERVER_MAX);
	buf_addf(&url, "%s/api/v1%s", a->config.server, path);
	buf_clear(&a->client->answer);
	a->client->error[0] = '\0';
	if (headers && buf_rc(&url) == 0) {
		curl_easy_setopt(curl, CURLOPT_URL, buf_cstr(&url));
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
		if (body)
			curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
		rc = curl_easy_perform(curl);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
	}
	buf_deinit(&url);
	curl_slist_free_all(headers);
	return rc;
}

static enum admin_exit judge(struct admin *a, json_t *answer, json_t **out)
{
	struct client *c = a->client;
	long status = 0;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299)
		return refused(a, status, answer);
	if (c->answer.len > 0 && !json_is_object(answer))
		return admin_fail(a, ADMIN_FAILED, "%s does not answer as an envwarden server",
				  a->config.server);
	if (out)
		*out = json_incref(answer);
	return ADMIN_OK;
}

enum admin_exit client_call(struct admin *a, const char *method, const char *path,
			    const json_t *body, json_t **out)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	enum admin_exit result;
	json_t *answer = NULL;
	CURLcode rc = CURLE_OUT_OF_MEMORY;

	if (!a->config.server[0])
		return admin_fail(a, ADMIN_USAGE, "which server? --server https://host:port");
	if (text || !body)
		rc = perform(a, method, path, text);
	if (text) {
		crypto_wipe(text, strlen(text));
		free(text); /* house-ok: given by the library */
	}
	if (rc != CURLE_OK)
		return transport_failed(a, rc);
	answer = json_loadb(a->client->answer.data ? a->client->answer.data : "",
			    a->client->answer.len, 0, NULL);
	result = judge(a, answer, out);
	json_decref(answer);
	return result;
}

/* --- lists --- */

void client_query(struct buf *path, const char *name, const char *value)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	if (!value)
		return;
	buf_addc(path, path->len > 0 && memchr(path->data, '?', path->len) ? '&' : '?');
	buf_addf(path, "%s=", name);
	for (; *value; value++) {
		if (strchr(plain, *value))
			buf_addc(path, *value);
		else
			buf_addf(path, "%%%02X", (unsigned char)*value);
	}
}

/* One page; *next is its "next" or NULL (mem_free). */
static enum admin_exit one_page(struct admin *a, const struct buf *path, const char *key,
				uint64_t *left, char **next, client_each_cb each, void *ctx)
{
	enum admin_exit result = ADMIN_OK;
	struct buf url;
	json_t *answer = NULL;
	json_t *list;
	size_t i;

	buf_init(&url, CLIENT_PATH_MAX);
	buf_add(&url, path->data, path->len);
	buf_addf(&url, "%slimit=%d", memchr(path->data, '?', path->len) ? "&" : "?",
		 *left < PAGE ? (int)*left : PAGE);
	client_query(&url, "after", *next);
	mem_free(*next);
	*next = NULL;
	if (buf_rc(&url) < 0)
		result = admin_fail(a, ADMIN_FAILED, "%s", err_text(buf_rc(&url)));
	if (result == ADMIN_OK)
		result = client_call(a, "GET", buf_cstr(&url), NULL, &answer);
	buf_deinit(&url);
	if (result != ADMIN_OK)
		return result;
	list = json_object_get(answer, key);
	for (i = 0; i < json_array_size(list) && result == ADMIN_OK && *left > 0; i++) {
		result = each(ctx, json_array_get(list, i));
		--*left;
	}
	if (json_is_string(json_object_get(answer, "next")) && json_array_size(list) > 0)
		*next = mem_strdup(json_string_value(json_object_get(answer, "next")));
	json_decref(answer);
	return result;
}

enum admin_exit client_pages(struct admin *a, const struct buf *path, const char *key,
			     uint64_t limit, client_each_cb each, void *ctx)
{
	enum admin_exit result;
	char *next = NULL;

	do {
		result = one_page(a, path, key, &limit, &next, each, ctx);
	} while (result == ADMIN_OK && next && limit > 0);
	mem_free(next);
	return result;
}

static enum admin_exit append(void *ctx, json_t *item)
{
	return json_array_append(ctx, item) == 0 ? ADMIN_OK : ADMIN_FAILED;
}

enum admin_exit client_list(struct admin *a, const struct buf *path, const char *key,
			    uint64_t limit, json_t **out)
{
	json_t *list = json_array();
	enum admin_exit result = list ? client_pages(a, path, key, limit, append, list)
				      : admin_fail(a, ADMIN_FAILED, "out of memory");

	if (result == ADMIN_OK)
		*out = list;
	else
		json_decref(list);
	return result;
}
