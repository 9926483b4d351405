#include "server/admin-cli/env_ref.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/uuid.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/output.h"

#define MATCHES_SHOWN 20

struct search {
	const char *text;
	json_t *found;
};

static bool has_id(const json_t *list, const char *id)
{
	char room[OUTPUT_ROOM];
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		if (strcmp(output_text(json_array_get(list, i), "id", room), id) == 0)
			return true;
	return false;
}

/* One prefix shared by several machines has one id and is one environment. */
static enum admin_exit compare(void *ctx, json_t *env)
{
	struct search *s = ctx;
	char room[OUTPUT_ROOM];

	if (strcmp(output_text(env, "prefix", room), s->text) != 0 &&
	    strcmp(output_text(env, "name", room), s->text) != 0)
		return ADMIN_OK;
	if (has_id(s->found, output_text(env, "id", room)))
		return ADMIN_OK;
	return json_array_append(s->found, env) == 0 ? ADMIN_OK : ADMIN_FAILED;
}

static enum admin_exit search(struct admin *a, struct search *s, const char *shown)
{
	struct buf path;
	enum admin_exit result;

	buf_init(&path, CLIENT_PATH_MAX);
	buf_adds(&path, "/environments");
	client_query(&path, "q", s->text);
	client_query(&path, "shown", shown);
	result = buf_rc(&path) < 0 ? admin_fail(a, ADMIN_USAGE, "too long a name")
				   : client_pages(a, &path, "environments", UINT64_MAX, compare, s);
	buf_deinit(&path);
	return result;
}

static enum admin_exit ambiguous(struct admin *a, const struct search *s)
{
	size_t n = json_array_size(s->found);
	char room[OUTPUT_ROOM];
	size_t i;

	(void)admin_fail(a, ADMIN_FAILED,
			 "%zu environments are called \"%s\"; give the id of one:", n, s->text);
	for (i = 0; i < n && i < MATCHES_SHOWN; i++) {
		const json_t *env = json_array_get(s->found, i);

		admin_say(a, "  %s  %s:%s", output_text(env, "id", room),
			  output_text(env, "machine.hostname", room),
			  output_text(env, "prefix", room));
	}
	if (n > MATCHES_SHOWN)
		admin_say(a, "  and %zu more", n - MATCHES_SHOWN);
	return ADMIN_FAILED;
}

static enum admin_exit by_id(struct admin *a, const char *id, json_t **out)
{
	enum admin_exit result;
	json_t *answer;
	struct buf path;

	buf_init(&path, 256);
	buf_addf(&path, "/environments/%s", id);
	result = client_call(a, "GET", buf_cstr(&path), NULL, &answer);
	buf_deinit(&path);
	if (result != ADMIN_OK)
		return result;
	*out = json_incref(json_object_get(answer, "environment"));
	json_decref(answer);
	return ADMIN_OK;
}

enum admin_exit env_resolve(struct admin *a, const char *text, bool any, json_t **out)
{
	struct search s = {.text = text};
	enum admin_exit result;
	struct uuid id;

	if (uuid_parse(text, &id) == 0)
		return by_id(a, text, out);
	s.found = json_array();
	if (!s.found)
		return admin_fail(a, ADMIN_FAILED, "out of memory");
	result = search(a, &s, "live");
	if (result == ADMIN_OK && any && json_array_size(s.found) == 0)
		result = search(a, &s, "all");
	if (result == ADMIN_OK && json_array_size(s.found) == 0)
		result = admin_fail(a, ADMIN_FAILED,
				    "no environment is called \"%s\"; see: envwarden-admin env "
				    "list",
				    text);
	else if (result == ADMIN_OK && json_array_size(s.found) > 1)
		result = ambiguous(a, &s);
	if (result == ADMIN_OK)
		*out = json_incref(json_array_get(s.found, 0));
	json_decref(s.found);
	return result;
}
