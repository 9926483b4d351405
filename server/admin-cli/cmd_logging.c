#include <string.h>

#include <jansson.h>

#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"
#include "server/admin-cli/output.h"

enum admin_exit cmd_logging(struct admin *a, const char *const *words, size_t n)
{
	bool on = strcmp(words[0], "on") == 0;
	enum admin_exit result;
	json_t *answer = NULL;
	json_t *body;

	(void)n;
	if (strcmp(words[0], "status") == 0) {
		result = client_call(a, "GET", "/organisation", NULL, &answer);
	} else if (on || strcmp(words[0], "off") == 0) {
		body = json_pack("{s:b}", "logging", on);
		result = client_call(a, "PATCH", "/organisation", body, &answer);
		json_decref(body);
	} else {
		return admin_fail(a, ADMIN_USAGE, "logging on, off or status");
	}
	if (result != ADMIN_OK)
		return result;
	if (a->options.values[OPT_JSON])
		result = output_json(a, answer);
	else
		admin_print(a, "Logging is %s for %s.",
			    json_is_true(json_object_get(answer, "logging")) ? "on" : "off",
			    json_string_value(json_object_get(answer, "name")));
	json_decref(answer);
	return result;
}
