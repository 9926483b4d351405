#include <string.h>

#include <jansson.h>
#include <uv.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/since.h"
#include "platform/clock.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"
#include "server/admin-cli/env_ref.h"
#include "server/admin-cli/output.h"
#include "server/admin-cli/ran.h"

/* Machines tell nothing of what was never anything else. */
#define DECISION "decision.action|allow"
#define DELIVERY_MS 2000
#define DELIVERY_POLL_MS 30

static const char *machine_of(const json_t *env)
{
	return json_string_value(json_object_get(json_object_get(env, "machine"), "id"));
}

enum admin_exit cmd_env_list(struct admin *a, const char *const *words, size_t n)
{
	static const struct column columns[] = {
		{"NAME", "name"},
		{"STATUS", "status"},
		{"DECISION", DECISION},
		{"USER", "user"},
		{"MACHINE", "machine.hostname"},
		{"PLATFORM", "platform"},
		{"PACKAGES", "packages"},
		{"CHANGED", "@last_change"},
		{"PREFIX", "prefix"},
	};
	const char *const *v = a->options.values;
	struct err err = ERR_INIT;
	enum admin_exit result;
	struct buf path;
	uint64_t limit;
	json_t *list = NULL;

	(void)words;
	(void)n;
	if (options_number(&a->options, OPT_LIMIT, UINT64_MAX, &limit, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "%s", err.text);
	buf_init(&path, CLIENT_PATH_MAX / 2);
	buf_adds(&path, "/environments");
	client_query(&path, "q", v[OPT_QUERY]);
	client_query(&path, "machine", v[OPT_MACHINE]);
	client_query(&path, "user", v[OPT_USER]);
	client_query(&path, "platform", v[OPT_PLATFORM]);
	client_query(&path, "status", v[OPT_STATUS]);
	result = buf_rc(&path) < 0 ? admin_fail(a, ADMIN_USAGE, "too long a search")
				   : client_list(a, &path, "environments", limit, &list);
	buf_deinit(&path);
	if (result != ADMIN_OK)
		return result;
	result = v[OPT_JSON] ? output_list(a, "list", "environments", list)
			     : output_table(a, columns, ARRAY_SIZE(columns), list);
	json_decref(list);
	return result;
}

/* --- show --- */

static void print_facts(struct admin *a, const json_t *env)
{
	static const struct column facts[] = {
		{"Name", "name"},
		{"Id", "id"},
		{"Prefix", "prefix"},
		{"Machine", "machine.hostname"},
		{"User", "user"},
		{"Platform", "platform"},
		{"Tool", "tool"},
		{"Created", "@created"},
		{"Changed", "@last_change"},
		{"Used", "@last_used"},
		{"Status", "status"},
		{"Message", "status_set.message"},
		{"Until", "status_set.until"},
		{"Set by", "status_set.by"},
		{"Delivered", "status_delivered"},
		{"Decision", DECISION},
		{"Case", "decision.case"},
		{"Refusals", "decision.refusals"},
		{"Deferred", "@decision.deferred_until"},
		{"Code used", "decision.unlocked"},
		{"Deleted", "deleted"},
		{"Archived", "archived"},
		{"Excluded", "excluded"},
	};
	char room[OUTPUT_ROOM];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(facts); i++) {
		const char *text = output_text(env, facts[i].cell, room);

		if (*text)
			admin_print(a, "%-9s %s", facts[i].title, text);
	}
}

/* What rules say of it, or would say. */
static void print_reasons(struct admin *a, const json_t *env, const char *key, const char *mood)
{
	const json_t *list = json_object_get(json_object_get(env, "decision"), key);
	char r1[OUTPUT_ROOM], r2[OUTPUT_ROOM], r3[OUTPUT_ROOM], r4[OUTPUT_ROOM];
	const json_t *reason;
	size_t i;

	json_array_foreach(list, i, reason)
		admin_print(a, "%-9s %s%s by %s %s  %s", i == 0 ? "Why" : "", mood,
			    output_text(reason, "action", r1), output_text(reason, "kind", r2),
			    output_text(reason, "rule", r3), output_text(reason, "package", r4));
}

/* What its machine could not read in it. */
static void print_degraded(struct admin *a, const json_t *env)
{
	const json_t *text;
	size_t i;

	json_array_foreach(json_object_get(env, "degraded"), i, text)
		admin_print(a, "%-9s %s", i == 0 ? "Degraded" : "", json_string_value(text));
}

static enum admin_exit print_env(struct admin *a, json_t *env, json_t *packages, json_t *ran)
{
	static const struct column columns[] = {
		{"PACKAGE", "name"}, {"VERSION", "version"}, {"BUILD", "build"},
		{"FROM", "manager"}, {"CHANNEL", "channel"}, {"REQUESTED", "requested"},
	};
	enum admin_exit result;
	json_t *document;

	if (a->options.values[OPT_JSON]) {
		document =
			json_pack("{s:s, s:O, s:O, s:O}", "schema", "envwarden.show/1",
				  "environment", env, "ran_after_block", ran, "packages", packages);
		result = output_json(a, document);
		json_decref(document);
		return result;
	}
	print_facts(a, env);
	print_degraded(a, env);
	print_reasons(a, env, "reasons", "");
	print_reasons(a, env, "monitored", "would ");
	ran_print(a, ran);
	if (json_array_size(packages) == 0)
		return ADMIN_OK;
	admin_print(a, "%s", "");
	return output_table(a, columns, ARRAY_SIZE(columns), packages);
}

enum admin_exit cmd_env_show(struct admin *a, const char *const *words, size_t n)
{
	enum admin_exit result;
	json_t *answer = NULL;
	json_t *env = NULL;
	json_t *ran = NULL;
	char room[OUTPUT_ROOM];
	struct buf path;

	(void)n;
	result = env_resolve(a, words[0], true, &env);
	if (result != ADMIN_OK)
		return result;
	buf_init(&path, 1024);
	buf_addf(&path, "/environments/%s/packages", output_text(env, "id", room));
	client_query(&path, "machine", machine_of(env));
	result = client_call(a, "GET", buf_cstr(&path), NULL, &answer);
	buf_deinit(&path);
	if (result == ADMIN_OK)
		result = ran_get(a, env, &ran);
	if (result == ADMIN_OK)
		result = print_env(a, env, json_object_get(answer, "packages"), ran);
	json_decref(ran);
	json_decref(answer);
	json_decref(env);
	return result;
}

/* --- set-status --- */

static enum admin_exit resolve_ids(struct admin *a, const char *const *words, size_t n, json_t *ids)
{
	enum admin_exit result = ADMIN_OK;
	json_t *env;
	size_t i;

	for (i = 0; i < n && result == ADMIN_OK; i++) {
		result = env_resolve(a, words[i], false, &env);
		if (result != ADMIN_OK)
			break;
		if (json_array_append(ids, json_object_get(env, "id")) < 0)
			result = admin_fail(a, ADMIN_FAILED, "out of memory");
		json_decref(env);
	}
	return result;
}

static enum admin_exit add_until(struct admin *a, json_t *body)
{
	const char *until = a->options.values[OPT_UNTIL];
	char text[CLOCK_TEXT_MAX];
	struct err err = ERR_INIT;
	int64_t ms;

	if (!until)
		return ADMIN_OK;
	if (strcmp(until, "fixed") != 0) {
		if (until_parse(until, admin_now_ms(), &ms, &err) < 0)
			return admin_fail(a, ADMIN_USAGE, "--until: %s", err.text);
		clock_format(ms, text);
		until = text;
	}
	return json_object_set_new(body, "until", json_string(until)) == 0
		       ? ADMIN_OK
		       : admin_fail(a, ADMIN_FAILED, "out of memory");
}

/* "openssl <3; pyyaml": specs have commas of their own. */
static enum admin_exit add_packages(struct admin *a, json_t *body)
{
	const char *text = a->options.values[OPT_PACKAGE];
	json_t *list;

	if (!text)
		return ADMIN_OK;
	list = json_array();
	while (list && *text) {
		size_t skip = strspn(text, "; ");
		size_t n = strcspn(text + skip, ";");

		if (n > 0 && json_array_append_new(list, json_stringn(text + skip, n)) < 0) {
			json_decref(list);
			return admin_fail(a, ADMIN_USAGE, "--package: not UTF-8");
		}
		text += skip + n;
	}
	return json_object_set_new(body, "packages", list) == 0
		       ? ADMIN_OK
		       : admin_fail(a, ADMIN_FAILED, "out of memory");
}

/* What the machine of an environment still lacks, it is about to get. */
static bool is_awaited(const json_t *env)
{
	return json_is_true(json_object_get(env, "connected")) &&
	       !json_is_true(json_object_get(env, "status_delivered"));
}

/* Bundles are a machine's: what has come to it for one environment has come for all. */
static void note_others(json_t *list, size_t i)
{
	const json_t *known = json_array_get(list, i);
	const char *machine = machine_of(known);
	json_t *env;

	for (i++; machine && i < json_array_size(list); i++) {
		env = json_array_get(list, i);
		if (!machine_of(env) || strcmp(machine_of(env), machine) != 0)
			continue;
		(void)json_object_set(env, "connected", json_object_get(known, "connected"));
		(void)json_object_set(env, "status_delivered",
				      json_object_get(known, "status_delivered"));
	}
}

static enum admin_exit ask_again(struct admin *a, json_t *list, size_t i)
{
	const json_t *env = json_array_get(list, i);
	char room[OUTPUT_ROOM];
	enum admin_exit result;
	json_t *answer = NULL;
	struct buf path;

	buf_init(&path, 1024);
	buf_addf(&path, "/environments/%s", output_text(env, "id", room));
	client_query(&path, "machine", machine_of(env));
	result = client_call(a, "GET", buf_cstr(&path), NULL, &answer);
	buf_deinit(&path);
	if (result == ADMIN_OK &&
	    json_array_set(list, i, json_object_get(answer, "environment")) == 0)
		note_others(list, i);
	json_decref(answer);
	return result;
}

/*
 * Until every connected machine acts on its new status, so that what is run next there meets it.
 * The statuses are set, whatever comes of this.
 */
static void await_delivery(struct admin *a, json_t *list)
{
	const struct clock *clock = clock_system();
	int64_t end_ms = clock->mono_ms(clock) + DELIVERY_MS;
	size_t awaited;
	size_t i;

	do {
		awaited = 0;
		for (i = 0; i < json_array_size(list); i++) {
			if (!is_awaited(json_array_get(list, i)))
				continue;
			if (clock->mono_ms(clock) >= end_ms || ask_again(a, list, i) != ADMIN_OK)
				return;
			awaited += is_awaited(json_array_get(list, i));
		}
		if (awaited > 0)
			uv_sleep(DELIVERY_POLL_MS);
	} while (awaited > 0);
}

static const char *delivery_text(const json_t *env)
{
	if (json_is_true(json_object_get(env, "status_delivered")))
		return " (delivered)";
	if (is_awaited(env))
		return "; its machine has not confirmed it yet";
	return "; its machine is not connected and hears of it when it next connects";
}

/* Removing a status lifts no rule. */
static void print_still(struct admin *a, const json_t *env)
{
	const json_t *list = json_object_get(json_object_get(env, "decision"), "reasons");
	char r1[OUTPUT_ROOM], r2[OUTPUT_ROOM];
	const json_t *reason;
	size_t i;

	json_array_foreach(list, i, reason)
	{
		if (strcmp(output_text(reason, "kind", r1), "rule") == 0)
			admin_print(a, "  still %s by rule \"%s\": grant an exception?",
				    strcmp(output_text(reason, "action", r1), "block") == 0
					    ? "blocked"
					    : "warned of",
				    output_text(reason, "rule", r2));
	}
}

static enum admin_exit print_statuses(struct admin *a, json_t *list)
{
	char host_room[OUTPUT_ROOM], prefix_room[OUTPUT_ROOM], room[OUTPUT_ROOM];
	const char *status;
	json_t *env;
	size_t i;

	if (a->options.values[OPT_JSON])
		return output_list(a, "list", "environments", list);
	json_array_foreach(list, i, env)
	{
		status = output_text(env, "status", room);
		admin_print(a, "%s:%s %s%s.", output_text(env, "machine.hostname", host_room),
			    output_text(env, "prefix", prefix_room),
			    strcmp(status, "block") == 0  ? "is BLOCKED"
			    : strcmp(status, "warn") == 0 ? "shows a WARNING"
							  : "has no explicit status",
			    delivery_text(env));
		if (strcmp(status, "ok") == 0)
			print_still(a, env);
	}
	return ADMIN_OK;
}

enum admin_exit cmd_env_set_status(struct admin *a, const char *const *words, size_t n)
{
	const char *message = a->options.values[OPT_MESSAGE];
	json_t *ids = json_array();
	json_t *body = json_pack("{s:O, s:s}", "environments", ids, "status", words[n - 1]);
	enum admin_exit result;
	json_t *answer = NULL;

	if (strcmp(words[n - 1], "ok") != 0 && strcmp(words[n - 1], "warn") != 0 &&
	    strcmp(words[n - 1], "block") != 0)
		result = admin_fail(a, ADMIN_USAGE, "the status is ok, warn or block, not \"%s\"",
				    words[n - 1]);
	else if (!ids || !body ||
		 (message && json_object_set_new(body, "message", json_string(message)) < 0))
		result = admin_fail(a, ADMIN_USAGE, "--message: not UTF-8");
	else
		result = add_until(a, body);
	if (result == ADMIN_OK)
		result = add_packages(a, body);
	if (result == ADMIN_OK)
		result = resolve_ids(a, words, n - 1, ids);
	if (result == ADMIN_OK)
		result = client_call(a, "POST", "/environments/status", body, &answer);
	if (result == ADMIN_OK && !a->options.values[OPT_NO_WAIT])
		await_delivery(a, json_object_get(answer, "environments"));
	if (result == ADMIN_OK)
		result = print_statuses(a, json_object_get(answer, "environments"));
	json_decref(answer);
	json_decref(body);
	json_decref(ids);
	return result;
}
