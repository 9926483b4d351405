#include "lib/policy/decision.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/err.h"

/* Indexed by enum action. */
static const char *const names[] = {"allow", "warn", "block"};
static const char *const status_names[] = {"ok", "warn", "block"};

static const char *name_of(const char *const table[], enum action action)
{
	CHECK((size_t)action < ARRAY_SIZE(names));
	return table[action];
}

const char *action_name(enum action action)
{
	return name_of(names, action);
}

const char *action_status_name(enum action action)
{
	return name_of(status_names, action);
}

int action_parse_status(const char *text, enum action *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(status_names); i++) {
		if (strcmp(text, status_names[i]) == 0) {
			*out = (enum action)i;
			return 0;
		}
	}
	return ERR_INVALID;
}
