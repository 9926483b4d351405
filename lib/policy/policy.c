#include "lib/policy/policy.h"

#include <string.h>

#include "lib/base/err.h"

#define DAY_MS INT64_C(86400000)

void policy_defaults_init(struct policy_defaults *defaults)
{
	*defaults = (struct policy_defaults){
		.on_timeout = ACTION_ALLOW,
		.when_agent_down = "last_decision",
		.stale_after_ms = 30 * DAY_MS,
		.when_stale = ACTION_WARN,
		.contact = "",
	};
}

void policy_init(struct policy *policy)
{
	*policy = (struct policy){0};
	policy_defaults_init(&policy->defaults);
}

static const char *const severity_names[] = {"unknown", "none", "low",
					     "medium",	"high", "critical"};

const char *severity_name(enum severity severity)
{
	return (size_t)severity < ARRAY_SIZE(severity_names) ? severity_names[severity] : "unknown";
}

int severity_parse(const char *text, enum severity *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(severity_names); i++)
		if (strcmp(severity_names[i], text) == 0) {
			*out = (enum severity)i;
			return 0;
		}
	return ERR_INVALID;
}

static const struct {
	const char *name;
	bool of_package;
} kinds[] = {
	[CONDITION_ALL] = {"all", false},
	[CONDITION_ANY] = {"any", false},
	[CONDITION_NOT] = {"not", false},
	[CONDITION_PACKAGE] = {"package", true},
	[CONDITION_CHANNEL] = {"channel", true},
	[CONDITION_LICENSE] = {"license", true},
	[CONDITION_MANAGER] = {"manager", true},
	[CONDITION_CVE] = {"cve", true},
	[CONDITION_PACKAGE_AGE_BELOW] = {"package_age_below", true},
	[CONDITION_ENV_NAME] = {"env_name", false},
	[CONDITION_ENV_PATH] = {"env_path", false},
	[CONDITION_TOOL] = {"tool", false},
	[CONDITION_UNUSED_FOR] = {"unused_for", false},
};

const char *condition_name(enum condition_kind kind)
{
	bool known = (size_t)kind < ARRAY_SIZE(kinds) && kinds[kind].name;

	return known ? kinds[kind].name : "unknown";
}

bool condition_is_of_package(const struct condition *condition)
{
	if (kinds[condition->kind].of_package)
		return true;
	for (size_t i = 0; i < condition->n_children; i++)
		if (condition_is_of_package(&condition->children[i]))
			return true;
	return false;
}
