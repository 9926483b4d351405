#include "agent/options.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"

const char options_usage[] =
	"usage: envwardend [--config FILE] [--state-dir DIR] [--socket PATH] [--user]\n"
	"                  [--foreground] [--print-config] [--version]\n"
	"\n"
	"  --config FILE     settings, \"key = value\"\n"
	"  --state-dir DIR   where the journal, the policy and the identity are kept\n"
	"  --socket PATH     where the envwarden command finds this agent\n"
	"  --user            for this account alone, without privileges\n"
	"  --foreground      stay attached to the terminal (services do this too)\n"
	"  --print-config    show every setting as it would apply, and end\n";

static int set_path(char out[PATHS_MAX], const char *option, const char *value, struct err *err)
{
	if (!paths_is_absolute(value))
		return err_set(err, ERR_USAGE, "%s needs an absolute path", option);
	if (snprintf(out, PATHS_MAX, "%s", value) >= PATHS_MAX)
		return err_set(err, ERR_USAGE, "%s: the path is too long", option);
	return 0;
}

struct given {
	const char *config;
	const char *state;
	const char *socket;
};

static bool take_flag(const char *arg, struct options *out)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {{"--user", &out->user},
		     {"--foreground", &out->foreground},
		     {"--print-config", &out->print_config},
		     {"--help", &out->help},
		     {"--lease", &out->lease}, /* our own children's, too */
		     {"--version", &out->version}};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (strcmp(arg, flags[i].name) == 0)
			return *flags[i].flag = true;
	return false;
}

/* Our own children's; members have no use for it. */
static int set_role(const char *value, enum role *out)
{
	static const struct {
		const char *name;
		enum role role;
	} roles[] = {{"core", ROLE_CORE}, {"reader", ROLE_READER}, {"probe", ROLE_PROBE}};

	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (strcmp(value, roles[i].name) == 0) {
			*out = roles[i].role;
			return 0;
		}
	return ERR_USAGE;
}

static int take_value(const char *arg, const char *value, struct options *out, struct given *given,
		      struct err *err)
{
	long long number;

	if (strcmp(arg, "--config") == 0)
		given->config = value;
	else if (strcmp(arg, "--state-dir") == 0)
		given->state = value;
	else if (strcmp(arg, "--socket") == 0)
		given->socket = value;
	else if (strcmp(arg, "--role") == 0 && set_role(value, &out->role) == 0)
		return 0;
	else if (strcmp(arg, "--parent") == 0 && text_to_i64(value, strlen(value), &number) == 0)
		out->parent = number;
	else
		return err_set(err, ERR_USAGE, "unknown option %s", arg);
	return 0;
}

static int fill_paths(struct options *out, const struct given *given, struct err *err)
{
	struct paths_agent *paths = &out->paths;
	int rc = paths_agent(out->user ? PATHS_USER : PATHS_MACHINE, paths, err);

	if (rc == 0 && given->config != NULL)
		rc = set_path(paths->config, "--config", given->config, err);
	if (rc == 0 && given->state != NULL)
		rc = set_path(paths->state, "--state-dir", given->state, err);
	if (rc == 0 && given->socket != NULL)
		rc = set_path(paths->socket, "--socket", given->socket, err);
	if (rc < 0)
		return rc;
	/* A machine agent's has a fixed place; any other's is found by its socket. */
	return out->user || given->socket != NULL
		       ? paths_fallback_of_socket(paths->socket, out->fallback, err)
		       : paths_fallback(paths->state, out->fallback, err);
}

int options_parse(int argc, char **argv, struct options *out, struct err *err)
{
	struct given given = {0};

	*out = (struct options){.role = ROLE_SUPERVISOR};
	for (int i = 1; i < argc; i++) {
		int rc;

		if (take_flag(argv[i], out))
			continue;
		if (!text_starts(argv[i], "--"))
			return err_set(err, ERR_USAGE, "unexpected \"%s\"", argv[i]);
		if (i + 1 == argc)
			return err_set(err, ERR_USAGE, "unknown option %s, or its value is missing",
				       argv[i]);
		rc = take_value(argv[i], argv[i + 1], out, &given, err);
		if (rc < 0)
			return rc;
		i++;
	}
	out->config_given = given.config != NULL;
	return out->help || out->version ? 0 : fill_paths(out, &given, err);
}
