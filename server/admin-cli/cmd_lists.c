#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"
#include "server/admin-cli/output.h"

#define AUDIT_DEFAULT 100

struct listing {
	const char *key;    /* of the array in the answer */
	const char *schema; /* of the document printed */
	const struct column *columns;
	size_t n_columns;
	uint64_t limit;	     /* when not said */
	const char *nothing; /* said of an empty list; NULL: a table without rows */
};

static enum admin_exit print_listing(struct admin *a, const struct buf *path,
				     const struct listing *l)
{
	struct err err = ERR_INIT;
	enum admin_exit result;
	uint64_t limit;
	json_t *list;

	if (options_number(&a->options, OPT_LIMIT, l->limit, &limit, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "%s", err.text);
	if (buf_rc(path) < 0)
		return admin_fail(a, ADMIN_USAGE, "too long a search");
	result = client_list(a, path, l->key, limit, &list);
	if (result != ADMIN_OK)
		return result;
	if (a->options.values[OPT_JSON])
		result = output_list(a, l->schema, l->key, list);
	else if (l->nothing && json_array_size(list) == 0)
		admin_say(a, "%s", l->nothing);
	else
		result = output_table(a, l->columns, l->n_columns, list);
	json_decref(list);
	return result;
}

enum admin_exit cmd_machine_list(struct admin *a, const char *const *words, size_t n)
{
	static const struct column columns[] = {
		{"HOST", "hostname"},	    {"STATE", "state"},
		{"PLATFORM", "platform"},   {"OS", "os"},
		{"AGENT", "agent_version"}, {"ENVS", "environments"},
		{"SEEN", "@last_seen"},	    {"ID", "id"},
	};
	static const struct listing listing = {"machines",	    "machines", columns,
					       ARRAY_SIZE(columns), UINT64_MAX, NULL};
	enum admin_exit result;
	struct buf path;

	(void)words;
	(void)n;
	buf_init(&path, CLIENT_PATH_MAX / 2);
	buf_adds(&path, "/machines");
	client_query(&path, "q", a->options.values[OPT_QUERY]);
	client_query(&path, "platform", a->options.values[OPT_PLATFORM]);
	result = print_listing(a, &path, &listing);
	buf_deinit(&path);
	return result;
}

enum admin_exit cmd_audit(struct admin *a, const char *const *words, size_t n)
{
	static const struct column columns[] = {
		{"AT", "@at"},	      {"WHO", "who"},	    {"WHAT", "what"},
		{"TARGET", "target"}, {"DETAIL", "detail"},
	};
	static const struct listing listing = {"entries",	    "audit",	   columns,
					       ARRAY_SIZE(columns), AUDIT_DEFAULT, NULL};
	enum admin_exit result;
	struct buf path;

	(void)words;
	(void)n;
	buf_init(&path, 256);
	buf_adds(&path, "/audit");
	result = print_listing(a, &path, &listing);
	buf_deinit(&path);
	return result;
}

enum admin_exit cmd_policy_log(struct admin *a, const char *const *words, size_t n)
{
	static const struct column columns[] = {
		{"VERSION", "version"}, {"AT", "@created"}, {"BY", "author"},
		{"RULES", "rules"},	{"NOTE", "note"},
	};
	static const struct listing listing = {"policies",    "policies",
					       columns,	      ARRAY_SIZE(columns),
					       AUDIT_DEFAULT, "No policy was applied yet."};
	enum admin_exit result;
	struct buf path;

	(void)words;
	(void)n;
	buf_init(&path, 256);
	buf_adds(&path, "/policy/versions");
	result = print_listing(a, &path, &listing);
	buf_deinit(&path);
	return result;
}

/* All rules in one answer: they are few beside what they concern. */
static enum admin_exit report_rules(struct admin *a)
{
	static const struct column columns[] = {
		{"KIND", "kind"},	    {"RULE", "rule"},
		{"MONITORED", "monitored"}, {"NOW", "environments"},
		{"BLOCKED", "blocked"},	    {"LIFTED", "lifted"},
		{"REFUSALS", "refusals"},   {"RAN", "runs_after_block"},
	};
	json_t *answer = NULL;
	enum admin_exit result = client_call(a, "GET", "/policy/evidence", NULL, &answer);

	if (result == ADMIN_OK && a->options.values[OPT_JSON])
		result = output_json(a, answer);
	else if (result == ADMIN_OK && json_array_size(json_object_get(answer, "rules")) == 0)
		admin_say(a, "No rule or status has concerned an environment yet.");
	else if (result == ADMIN_OK)
		result = output_table(a, columns, ARRAY_SIZE(columns),
				      json_object_get(answer, "rules"));
	json_decref(answer);
	return result;
}

enum admin_exit cmd_policy_report(struct admin *a, const char *const *words, size_t n)
{
	static const struct column columns[] = {
		{"ACTION", "action"},	 {"MONITORED", "monitored"}, {"PACKAGE", "package"},
		{"SINCE", "@since"},	 {"LIFTED", "@lifted"},	     {"REFUSALS", "refusals"},
		{"MACHINE", "hostname"}, {"PREFIX", "prefix"},
	};
	static const struct listing listing = {
		"environments", "evidence_environments",
		columns,	ARRAY_SIZE(columns),
		UINT64_MAX,	"It has concerned no environment yet."};
	enum admin_exit result;
	struct buf path;

	if (n == 0)
		return report_rules(a);
	buf_init(&path, CLIENT_PATH_MAX / 2);
	buf_adds(&path, "/policy/evidence/environments");
	client_query(&path, "rule", words[0]);
	result = print_listing(a, &path, &listing);
	buf_deinit(&path);
	return result;
}
