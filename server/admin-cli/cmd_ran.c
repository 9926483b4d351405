#include <string.h>

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/since.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"
#include "server/admin-cli/env_ref.h"
#include "server/admin-cli/output.h"
#include "server/admin-cli/ran.h"

#define RAN_DEFAULT 100
#define SHOWN 5	     /* of an environment, on its page */
#define WHY_MAX 1024 /* bytes of all reasons */

/* "status, rule old-openssl" */
static void add_why(json_t *ran)
{
	const json_t *reason;
	struct buf why;
	size_t i;

	buf_init(&why, WHY_MAX);
	json_array_foreach(json_object_get(ran, "reasons"), i, reason)
	{
		const char *kind = json_string_value(json_object_get(reason, "kind"));
		const char *rule = json_string_value(json_object_get(reason, "rule"));

		buf_addf(&why, "%s%s%s%s", i > 0 ? ", " : "", kind ? kind : "",
			 rule && *rule ? " " : "", rule ? rule : "");
	}
	(void)json_object_set_new(
		ran, "why", json_string(buf_rc(&why) == 0 && why.len > 0 ? buf_cstr(&why) : ""));
	buf_deinit(&why);
}

/* The account by its name, else by its number. */
static void add_who(json_t *ran)
{
	char room[OUTPUT_ROOM];
	const char *user = output_text(ran, "user", room);

	if (!*user)
		(void)json_object_set(ran, "user", json_object_get(ran, "uid"));
}

static enum admin_exit print_list(struct admin *a, json_t *list)
{
	static const struct column columns[] = {
		{"LAST", "@last"},	  {"FIRST", "@first"},	   {"USER", "user"},
		{"PROGRAMS", "programs"}, {"SHELLS", "shells"},	   {"REPAIRS", "repairs"},
		{"WHY", "why"},		  {"MACHINE", "hostname"}, {"PREFIX", "prefix"},
	};
	json_t *ran;
	size_t i;

	if (json_array_size(list) == 0) {
		admin_say(a, "Nobody was seen to use such an environment while it was blocked.");
		return ADMIN_OK;
	}
	json_array_foreach(list, i, ran)
	{
		add_why(ran);
		add_who(ran);
	}
	return output_table(a, columns, ARRAY_SIZE(columns), list);
}

static const char *machine_of(const json_t *env)
{
	return json_string_value(json_object_get(json_object_get(env, "machine"), "id"));
}

static enum admin_exit add_since(struct admin *a, struct buf *path)
{
	const char *since = a->options.values[OPT_SINCE];
	char text[CLOCK_TEXT_MAX];
	struct err err = ERR_INIT;
	int64_t ms;

	if (!since)
		return ADMIN_OK;
	if (since_parse(since, admin_now_ms(), &ms, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "--since: %s", err.text);
	clock_format(ms, text);
	client_query(path, "since", text);
	return ADMIN_OK;
}

static enum admin_exit get_list(struct admin *a, const json_t *env, struct buf *path, json_t **list)
{
	const char *const *v = a->options.values;
	struct err err = ERR_INIT;
	uint64_t limit;

	if (options_number(&a->options, OPT_LIMIT, RAN_DEFAULT, &limit, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "%s", err.text);
	buf_adds(path, "/ran-after-block");
	client_query(path, "environment", json_string_value(json_object_get(env, "id")));
	client_query(path, "machine", env ? machine_of(env) : v[OPT_MACHINE]);
	client_query(path, "rule", v[OPT_RULE]);
	client_query(path, "user", v[OPT_USER]);
	if (add_since(a, path) != ADMIN_OK)
		return ADMIN_USAGE;
	if (buf_rc(path) < 0)
		return admin_fail(a, ADMIN_USAGE, "too long a search");
	return client_list(a, path, "runs", limit, list);
}

enum admin_exit cmd_env_ran(struct admin *a, const char *const *words, size_t n)
{
	enum admin_exit result = ADMIN_OK;
	json_t *list = NULL;
	json_t *env = NULL;
	struct buf path;

	if (n > 0)
		result = env_resolve(a, words[0], true, &env);
	buf_init(&path, CLIENT_PATH_MAX / 2);
	if (result == ADMIN_OK)
		result = get_list(a, env, &path, &list);
	buf_deinit(&path);
	if (result == ADMIN_OK)
		result = a->options.values[OPT_JSON]
				 ? output_list(a, "ran_after_block", "runs", list)
				 : print_list(a, list);
	json_decref(list);
	json_decref(env);
	return result;
}

/* --- on an environment's page --- */

static void print_one(struct admin *a, const char *title, json_t *ran)
{
	char r1[OUTPUT_ROOM], r2[OUTPUT_ROOM], r3[OUTPUT_ROOM], r4[OUTPUT_ROOM];
	char r5[OUTPUT_ROOM], r6[OUTPUT_ROOM];

	add_why(ran);
	add_who(ran);
	admin_print(a, "%-9s by %s, %s to %s: programs %s, shells %s, repairs %s; %s", title,
		    output_text(ran, "user", r1), output_text(ran, "@first", r2),
		    output_text(ran, "@last", r3), output_text(ran, "programs", r4),
		    output_text(ran, "shells", r5), output_text(ran, "repairs", r6),
		    json_string_value(json_object_get(ran, "why")));
}

enum admin_exit ran_get(struct admin *a, const json_t *env, json_t **out)
{
	enum admin_exit result;
	json_t *answer = NULL;
	struct buf path;

	buf_init(&path, 1024);
	buf_addf(&path, "/ran-after-block?limit=%d", SHOWN);
	client_query(&path, "environment", json_string_value(json_object_get(env, "id")));
	client_query(&path, "machine", machine_of(env));
	result = client_call(a, "GET", buf_cstr(&path), NULL, &answer);
	buf_deinit(&path);
	*out = json_incref(json_object_get(answer, "runs"));
	json_decref(answer);
	return result;
}

void ran_print(struct admin *a, json_t *list)
{
	json_t *ran;
	size_t i;

	json_array_foreach(list, i, ran) print_one(a, i == 0 ? "Ran" : "", ran);
}
