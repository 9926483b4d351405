#include "server/api/route.h"

#include <stdio.h>
#include <string.h>

#include "server/api/resources.h"

static const char *const environments_query[] = {"q",	   "machine", "user",	 "platform",
						 "status", "package", "version", "shown",
						 "order",  "limit",   "after",	 NULL};
static const char *const machine_query[] = {"machine", NULL};
static const char *const history_query[] = {"since", "until", "limit", "after", NULL};
static const char *const all_history_query[] = {"environment", "machine", "since", "until",
						"limit",       "after",	  NULL};
static const char *const machines_query[] = {"q",     "platform", "label", "state",
					     "limit", "after",	  NULL};
static const char *const policy_query[] = {"version", NULL};
static const char *const page_query[] = {"limit", "after", NULL};
static const char *const exceptions_query[] = {"environment", "rule",  "shown",
					       "limit",	      "after", NULL};
static const char *const requests_query[] = {"state", "case", "limit", "after", NULL};
static const char *const evidence_query[] = {"rule", "kind", "limit", "after", NULL};
static const char *const ran_query[] = {"environment", "machine", "rule",  "user",
					"since",       "limit",	  "after", NULL};
static const char *const audit_query[] = {"who", "what", "target", "limit", "after", NULL};

const struct route routes[] = {
	{.method = "POST",
	 .path = "/tokens",
	 .access = ROUTE_OPEN,
	 .body = true,
	 .status = 201,
	 .begin = login_begin,
	 .read = login_read,
	 .compute = login_compute,
	 .write = login_write},
	{.method = "DELETE",
	 .path = "/tokens/current",
	 .access = ROUTE_VIEWER,
	 .status = 204,
	 .write = logout_write},
	{.method = "GET",
	 .path = "/organisation",
	 .access = ROUTE_VIEWER,
	 .status = 200,
	 .read = organisation_read},
	{.method = "PATCH",
	 .path = "/organisation",
	 .access = ROUTE_ADMIN,
	 .body = true,
	 .notify = true,
	 .status = 200,
	 .begin = organisation_patch_begin,
	 .write = organisation_patch_write},
	{.method = "GET",
	 .path = "/environments",
	 .access = ROUTE_VIEWER,
	 .query = environments_query,
	 .status = 200,
	 .begin = environments_begin,
	 .read = environments_read},
	{.method = "POST",
	 .path = "/environments/status",
	 .access = ROUTE_OPERATOR,
	 .body = true,
	 .notify = true,
	 .status = 200,
	 .begin = statuses_begin,
	 .write = statuses_write},
	{.method = "GET",
	 .path = "/environments/{id}",
	 .access = ROUTE_VIEWER,
	 .query = machine_query,
	 .status = 200,
	 .begin = environment_begin,
	 .read = environment_read},
	{.method = "GET",
	 .path = "/environments/{id}/packages",
	 .access = ROUTE_VIEWER,
	 .query = machine_query,
	 .status = 200,
	 .begin = environment_begin,
	 .read = environment_packages_read},
	{.method = "GET",
	 .path = "/environments/{id}/history",
	 .access = ROUTE_VIEWER,
	 .query = history_query,
	 .status = 200,
	 .begin = history_begin,
	 .read = environment_history_read},
	{.method = "PUT",
	 .path = "/environments/{id}/status",
	 .access = ROUTE_OPERATOR,
	 .body = true,
	 .notify = true,
	 .status = 200,
	 .begin = status_begin,
	 .write = status_write},
	{.method = "GET",
	 .path = "/history",
	 .access = ROUTE_VIEWER,
	 .query = all_history_query,
	 .status = 200,
	 .begin = history_begin,
	 .read = history_read},
	{.method = "GET",
	 .path = "/machines",
	 .access = ROUTE_VIEWER,
	 .query = machines_query,
	 .status = 200,
	 .begin = machines_begin,
	 .read = machines_read},
	{.method = "POST",
	 .path = "/machines/{id}/export",
	 .access = ROUTE_ADMIN,
	 .body = true,
	 .status = 201,
	 .begin = export_begin,
	 .write = export_write},
	{.method = "POST",
	 .path = "/join-codes",
	 .access = ROUTE_ADMIN,
	 .body = true,
	 .status = 201,
	 .begin = join_code_begin,
	 .write = join_code_write},
	{.method = "GET",
	 .path = "/policy",
	 .access = ROUTE_VIEWER,
	 .query = policy_query,
	 .status = 200,
	 .read = policy_get_read},
	{.method = "POST",
	 .path = "/policy",
	 .access = ROUTE_ADMIN,
	 .body = true,
	 .large = true,
	 .notify = true,
	 .status = 201,
	 .begin = policy_apply_begin,
	 .read = policy_apply_read,
	 .write = policy_apply_write},
	{.method = "POST",
	 .path = "/policy/plan",
	 .access = ROUTE_OPERATOR,
	 .body = true,
	 .large = true,
	 .status = 200,
	 .begin = policy_plan_begin,
	 .read = policy_plan_read},
	{.method = "POST",
	 .path = "/policy/draft",
	 .access = ROUTE_ADMIN,
	 .body = true,
	 .large = true,
	 .status = 201,
	 .begin = policy_apply_begin,
	 .read = policy_apply_read,
	 .write = policy_draft_write},
	{.method = "POST",
	 .path = "/policy/signed",
	 .access = ROUTE_ADMIN,
	 .body = true,
	 .large = true,
	 .notify = true,
	 .status = 201,
	 .begin = policy_signed_begin,
	 .write = policy_signed_write},
	{.method = "GET",
	 .path = "/policy/versions",
	 .access = ROUTE_VIEWER,
	 .query = page_query,
	 .status = 200,
	 .read = policies_read},
	{.method = "GET",
	 .path = "/policy/evidence",
	 .access = ROUTE_VIEWER,
	 .status = 200,
	 .read = evidence_read},
	{.method = "GET",
	 .path = "/policy/evidence/environments",
	 .access = ROUTE_VIEWER,
	 .query = evidence_query,
	 .status = 200,
	 .read = evidence_environments_read},
	{.method = "GET",
	 .path = "/ran-after-block",
	 .access = ROUTE_VIEWER,
	 .query = ran_query,
	 .status = 200,
	 .read = ran_list_read},
	{.method = "GET",
	 .path = "/exceptions",
	 .access = ROUTE_VIEWER,
	 .query = exceptions_query,
	 .status = 200,
	 .read = exceptions_read},
	{.method = "POST",
	 .path = "/exceptions",
	 .access = ROUTE_OPERATOR,
	 .body = true,
	 .notify = true,
	 .status = 201,
	 .begin = exception_begin,
	 .read = exception_read,
	 .write = exception_write},
	{.method = "POST",
	 .path = "/exceptions/{id}/revoke",
	 .access = ROUTE_OPERATOR,
	 .notify = true,
	 .status = 200,
	 .write = exception_revoke_write},
	{.method = "GET",
	 .path = "/requests",
	 .access = ROUTE_VIEWER,
	 .query = requests_query,
	 .status = 200,
	 .read = requests_read},
	{.method = "POST",
	 .path = "/requests/{id}/answer",
	 .access = ROUTE_OPERATOR,
	 .body = true,
	 .notify = true,
	 .status = 200,
	 .begin = request_answer_begin,
	 .read = request_answer_read,
	 .write = request_answer_write},
	{.method = "POST",
	 .path = "/environments/{id}/unlock",
	 .access = ROUTE_ADMIN,
	 .query = machine_query,
	 .body = true,
	 .notify = true,
	 .status = 201,
	 .begin = unlock_begin,
	 .write = unlock_write},
	{.method = "POST",
	 .path = "/environments/{id}/unlock/revoke",
	 .access = ROUTE_ADMIN,
	 .notify = true,
	 .status = 200,
	 .write = unlock_revoke_write},
	{.method = "GET",
	 .path = "/audit",
	 .access = ROUTE_ADMIN,
	 .query = audit_query,
	 .status = 200,
	 .begin = audit_begin,
	 .read = audit_read},
};
const size_t routes_n = sizeof(routes) / sizeof(routes[0]);

static bool path_fits(const char *pattern, const char *path, struct uuid *id)
{
	const char *hole = strstr(pattern, "{id}");
	size_t before = hole ? (size_t)(hole - pattern) : 0;
	char text[UUID_TEXT_MAX];
	size_t n;

	if (!hole)
		return strcmp(pattern, path) == 0;
	if (strncmp(pattern, path, before) != 0)
		return false;
	path += before;
	n = strcspn(path, "/");
	if (n != UUID_TEXT_MAX - 1 || strcmp(hole + strlen("{id}"), path + n) != 0)
		return false;
	memcpy(text, path, n);
	text[n] = '\0';
	return uuid_parse(text, id) == 0;
}

static void allow_add(char allow[ROUTE_METHODS_MAX], const char *method)
{
	size_t n = strlen(allow);

	(void)snprintf(allow + n, ROUTE_METHODS_MAX - n, "%s%s%s", n ? ", " : "", method,
		       strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

enum route_match route_find(const char *method, const char *path, const struct route **out,
			    struct uuid *id, char allow[ROUTE_METHODS_MAX])
{
	size_t base = strlen(ROUTE_BASE);
	enum route_match match = ROUTE_NO_PATH;
	size_t i;

	allow[0] = '\0';
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	if (strncmp(path, ROUTE_BASE, base) != 0)
		return ROUTE_NO_PATH;
	for (i = 0; i < routes_n; i++) {
		if (!path_fits(routes[i].path, path + base, id))
			continue;
		if (strcmp(routes[i].method, method) == 0) {
			*out = &routes[i];
			return ROUTE_FOUND;
		}
		allow_add(allow, routes[i].method);
		match = ROUTE_NO_METHOD;
	}
	return match;
}

bool route_knows_query(const struct route *route, const char *name)
{
	const char *const *known;

	for (known = route->query; known && *known; known++)
		if (strcmp(*known, name) == 0)
			return true;
	return false;
}
