#include <string.h>

#include <jansson.h>

#include "lib/base/compiler.h"
#include "lib/base/since.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"
#include "server/admin-cli/output.h"

#define HOUR_MS 3600000

static json_t *split(const char *text)
{
	json_t *list = json_array();
	size_t n;

	for (; list && text && *text; text += n + (text[n] == ',')) {
		n = strcspn(text, ",");
		if (n > 0 && json_array_append_new(list, json_stringn(text, n)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static enum admin_exit make_body(struct admin *a, json_t **out)
{
	const char *const *v = a->options.values;
	int64_t expires_ms = INT64_C(7) * 24 * HOUR_MS;
	struct err err = ERR_INIT;
	uint64_t uses;

	if (options_number(&a->options, OPT_USES, 1, &uses, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "%s", err.text);
	if (v[OPT_EXPIRES] && span_parse(v[OPT_EXPIRES], &expires_ms, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "--expires: %s", err.text);
	*out = json_pack("{s:I, s:I, s:o, s:b, s:s}", "uses", (json_int_t)uses, "hours",
			 (json_int_t)((expires_ms + HOUR_MS - 1) / HOUR_MS), "labels",
			 split(v[OPT_LABELS]), "ephemeral", v[OPT_EPHEMERAL] != NULL, "title",
			 v[OPT_TITLE] ? v[OPT_TITLE] : "");
	return *out ? ADMIN_OK : admin_fail(a, ADMIN_USAGE, "--labels and --title take UTF-8");
}

enum admin_exit cmd_join_code_create(struct admin *a, const char *const *words, size_t n)
{
	enum admin_exit result;
	json_t *answer = NULL;
	json_t *body = NULL;
	char room[OUTPUT_ROOM];

	(void)words;
	(void)n;
	result = make_body(a, &body);
	if (result == ADMIN_OK)
		result = client_call(a, "POST", "/join-codes", body, &answer);
	if (result == ADMIN_OK && a->options.values[OPT_JSON]) {
		result = output_json(a, answer);
	} else if (result == ADMIN_OK) {
		admin_print(a, "%s", json_string_value(json_object_get(answer, "code")));
		admin_say(a, "Good until %s UTC. It is shown only this once.",
			  output_text(answer, "@expires", room));
	}
	json_decref(answer);
	json_decref(body);
	return result;
}
