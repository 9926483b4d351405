/* What lifts rules: exceptions, members' requests for them, unlock codes. */
#include <string.h>

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/since.h"
#include "lib/base/uuid.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"
#include "server/admin-cli/env_ref.h"
#include "server/admin-cli/output.h"

#define MINUTE_MS 60000

/* Sets a member from an option, when that was given. */
static enum admin_exit set_option(struct admin *a, json_t *body, const char *key,
				  enum option option)
{
	const char *text = a->options.values[option];

	if (!text || json_object_set_new(body, key, json_string(text)) == 0)
		return ADMIN_OK;
	return admin_fail(a, ADMIN_USAGE, "%s: not UTF-8", option_name(option));
}

static enum admin_exit set_expires(struct admin *a, json_t *body)
{
	const char *given = a->options.values[OPT_EXPIRES];
	char text[CLOCK_TEXT_MAX];
	struct err err = ERR_INIT;
	int64_t ms;

	if (!given)
		return admin_fail(a, ADMIN_USAGE, "--expires: an exception must end");
	if (until_parse(given, admin_now_ms(), &ms, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "--expires: %s", err.text);
	clock_format(ms, text);
	return json_object_set_new(body, "expires", json_string(text)) == 0
		       ? ADMIN_OK
		       : admin_fail(a, ADMIN_FAILED, "out of memory");
}

/* A call whose path has an id in it. */
static enum admin_exit call_on(struct admin *a, const char *format, const char *id,
			       const json_t *body, json_t **out)
{
	const char *hole = strstr(format, "{id}");
	enum admin_exit result;
	struct buf path;

	buf_init(&path, 1024);
	buf_add(&path, format, (size_t)(hole - format));
	buf_adds(&path, id);
	buf_adds(&path, hole + strlen("{id}"));
	result = buf_rc(&path) < 0 ? admin_fail(a, ADMIN_USAGE, "no id is that long")
				   : client_call(a, "POST", buf_cstr(&path), body, out);
	buf_deinit(&path);
	return result;
}

/* list: the command that shows them. */
static enum admin_exit check_id(struct admin *a, const char *text, const char *list)
{
	struct uuid id;

	return uuid_parse(text, &id) == 0
		       ? ADMIN_OK
		       : admin_fail(a, ADMIN_USAGE, "\"%s\" is no id; see: envwarden-admin %s",
				    text, list);
}

/* A list for people; an empty one is said to be empty. */
static enum admin_exit print_list(struct admin *a, const struct column *columns, size_t n,
				  const json_t *list, const char *nothing)
{
	if (json_array_size(list) == 0) {
		admin_say(a, "%s", nothing);
		return ADMIN_OK;
	}
	return output_table(a, columns, n, list);
}

/* --- exceptions --- */

enum admin_exit cmd_exception_grant(struct admin *a, const char *const *words, size_t n)
{
	json_t *body = json_object(), *env = NULL, *answer = NULL;
	enum admin_exit result = env_resolve(a, words[0], false, &env);
	char room[OUTPUT_ROOM], r2[OUTPUT_ROOM];

	(void)n;
	if (result == ADMIN_OK &&
	    json_object_set(body, "environment", json_object_get(env, "id")) < 0)
		result = admin_fail(a, ADMIN_FAILED, "out of memory");
	if (result == ADMIN_OK && !a->options.values[OPT_REASON])
		result = admin_fail(a, ADMIN_USAGE, "--reason: why is it granted?");
	if (result == ADMIN_OK)
		result = set_expires(a, body);
	if (result == ADMIN_OK)
		result = set_option(a, body, "rule", OPT_RULE);
	if (result == ADMIN_OK)
		result = set_option(a, body, "reason", OPT_REASON);
	if (result == ADMIN_OK)
		result = set_option(a, body, "ticket", OPT_TICKET);
	if (result == ADMIN_OK)
		result = set_option(a, body, "package", OPT_PACKAGE);
	if (result == ADMIN_OK)
		result = client_call(a, "POST", "/exceptions", body, &answer);
	if (result == ADMIN_OK && a->options.values[OPT_JSON])
		result = output_json(a, answer);
	else if (result == ADMIN_OK)
		admin_print(a, "granted until %s, id %s",
			    output_text(answer, "exception.expires", room),
			    output_text(answer, "exception.id", r2));
	json_decref(answer);
	json_decref(env);
	json_decref(body);
	return result;
}

enum admin_exit cmd_exception_list(struct admin *a, const char *const *words, size_t n)
{
	static const struct column columns[] = {
		{"ID", "id"},	    {"RULE", "rule"}, {"PREFIX", "prefix"}, {"EXPIRES", "@expires"},
		{"HOLDS", "holds"}, {"BY", "by"},     {"TICKET", "ticket"}, {"REASON", "reason"},
	};
	enum admin_exit result;
	struct buf path;
	json_t *list = NULL;

	(void)words;
	(void)n;
	buf_init(&path, CLIENT_PATH_MAX / 2);
	buf_adds(&path, "/exceptions");
	client_query(&path, "rule", a->options.values[OPT_RULE]);
	client_query(&path, "shown", a->options.values[OPT_ALL] ? "all" : NULL);
	result = client_list(a, &path, "exceptions", UINT64_MAX, &list);
	buf_deinit(&path);
	if (result != ADMIN_OK)
		return result;
	result = a->options.values[OPT_JSON]
			 ? output_list(a, "exceptions", "exceptions", list)
			 : print_list(a, columns, ARRAY_SIZE(columns), list,
				      a->options.values[OPT_ALL]
					      ? "No such exception was granted."
					      : "No such exception holds (--all: those that ended, "
						"too).");
	json_decref(list);
	return result;
}

enum admin_exit cmd_exception_revoke(struct admin *a, const char *const *words, size_t n)
{
	enum admin_exit result = check_id(a, words[0], "exception list");

	(void)n;
	if (result == ADMIN_OK)
		result = call_on(a, "/exceptions/{id}/revoke", words[0], NULL, NULL);
	if (result == ADMIN_OK)
		admin_print(a, "revoked; its machines hear of it now, or when they next connect");
	return result;
}

/* --- requests --- */

enum admin_exit cmd_request_list(struct admin *a, const char *const *words, size_t n)
{
	static const struct column columns[] = {
		{"ID", "id"},	      {"STATE", "state"},
		{"USER", "user"},     {"MACHINE", "hostname"},
		{"PREFIX", "prefix"}, {"CASE", "case"},
		{"AT", "@received"},  {"REASON", "reason"},
	};
	enum admin_exit result;
	struct buf path;
	json_t *list = NULL;

	(void)words;
	(void)n;
	buf_init(&path, CLIENT_PATH_MAX / 2);
	buf_adds(&path, "/requests");
	client_query(&path, "state", a->options.values[OPT_ALL] ? NULL : "open");
	result = client_list(a, &path, "requests", UINT64_MAX, &list);
	buf_deinit(&path);
	if (result != ADMIN_OK)
		return result;
	result = a->options.values[OPT_JSON]
			 ? output_list(a, "requests", "requests", list)
			 : print_list(a, columns, ARRAY_SIZE(columns), list,
				      a->options.values[OPT_ALL]
					      ? "Nobody has asked for an exception yet."
					      : "No request is open (--all: those answered, too).");
	json_decref(list);
	return result;
}

static enum admin_exit answer_request(struct admin *a, const char *id, bool approve)
{
	json_t *body = json_pack("{s:b}", "approve", approve);
	json_t *answer = NULL;
	enum admin_exit result = check_id(a, id, "request list");

	if (result == ADMIN_OK && !body)
		result = admin_fail(a, ADMIN_FAILED, "out of memory");
	if (result == ADMIN_OK && approve)
		result = set_expires(a, body);
	if (result == ADMIN_OK)
		result = set_option(a, body, "message", OPT_MESSAGE);
	if (result == ADMIN_OK && approve)
		result = set_option(a, body, "rule", OPT_RULE);
	if (result == ADMIN_OK && approve)
		result = set_option(a, body, "ticket", OPT_TICKET);
	if (result == ADMIN_OK)
		result = call_on(a, "/requests/{id}/answer", id, body, &answer);
	if (result == ADMIN_OK && a->options.values[OPT_JSON])
		result = output_json(a, answer);
	else if (result == ADMIN_OK)
		admin_print(a, "%s; the member is told", approve ? "approved" : "denied");
	json_decref(answer);
	json_decref(body);
	return result;
}

enum admin_exit cmd_request_approve(struct admin *a, const char *const *words, size_t n)
{
	(void)n;
	return answer_request(a, words[0], true);
}

enum admin_exit cmd_request_deny(struct admin *a, const char *const *words, size_t n)
{
	(void)n;
	return answer_request(a, words[0], false);
}

/* --- unlock codes --- */

/* How long a code counts, in minutes. */
static enum admin_exit set_minutes(struct admin *a, json_t *body)
{
	const char *text = a->options.values[OPT_FOR];
	int64_t now_ms = admin_now_ms(), ms;
	struct err err = ERR_INIT;

	if (!text)
		return ADMIN_OK;
	if (until_parse(text, now_ms, &ms, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "--for: %s", err.text);
	return json_object_set_new(body, "minutes",
				   json_integer((ms - now_ms + MINUTE_MS - 1) / MINUTE_MS)) == 0
		       ? ADMIN_OK
		       : admin_fail(a, ADMIN_FAILED, "out of memory");
}

static void print_code(struct admin *a, const json_t *env, const json_t *answer)
{
	char r1[OUTPUT_ROOM], r2[OUTPUT_ROOM];

	admin_print(a, "%s", output_text(answer, "code", r1));
	admin_say(a, "Counts until %s; shown only here. The member types: envwarden unlock ENV",
		  output_text(answer, "expires", r2));
	if (!a->options.values[OPT_AND_STATUS] &&
	    strcmp(output_text(env, "status", r1), "block") == 0)
		admin_say(a, "It is blocked by a status of its own, which this code does not lift: "
			     "make one with --and-status");
}

enum admin_exit cmd_unlock(struct admin *a, const char *const *words, size_t n)
{
	json_t *body = json_pack("{s:b}", "and_status", a->options.values[OPT_AND_STATUS] != NULL);
	json_t *env = NULL, *answer = NULL;
	enum admin_exit result = env_resolve(a, words[0], false, &env);
	char room[OUTPUT_ROOM];

	(void)n;
	if (result == ADMIN_OK && !a->options.values[OPT_REASON])
		result = admin_fail(a, ADMIN_USAGE, "--reason: why is it unlocked?");
	if (result == ADMIN_OK)
		result = set_minutes(a, body);
	if (result == ADMIN_OK)
		result = set_option(a, body, "reason", OPT_REASON);
	if (result == ADMIN_OK)
		result = call_on(a, "/environments/{id}/unlock", output_text(env, "id", room), body,
				 &answer);
	if (result == ADMIN_OK && a->options.values[OPT_JSON])
		result = output_json(a, answer);
	else if (result == ADMIN_OK)
		print_code(a, env, answer);
	json_decref(answer);
	json_decref(env);
	json_decref(body);
	return result;
}

enum admin_exit cmd_unlock_revoke(struct admin *a, const char *const *words, size_t n)
{
	json_t *env = NULL, *answer = NULL;
	enum admin_exit result = env_resolve(a, words[0], false, &env);
	char room[OUTPUT_ROOM];

	(void)n;
	if (result == ADMIN_OK)
		result = call_on(a, "/environments/{id}/unlock/revoke",
				 output_text(env, "id", room), NULL, &answer);
	if (result == ADMIN_OK)
		admin_print(a, "%s code%s revoked", output_text(answer, "revoked", room),
			    json_integer_value(json_object_get(answer, "revoked")) == 1 ? "" : "s");
	json_decref(answer);
	json_decref(env);
	return result;
}
