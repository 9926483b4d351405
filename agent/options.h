/* The command line of envwardend, and where everything is after it: plain data, made in main. */
#ifndef ENVWARDEN_AGENT_OPTIONS_H
#define ENVWARDEN_AGENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "platform/paths.h"

enum role {
	ROLE_SUPERVISOR,
	ROLE_CORE,
	ROLE_READER,
	ROLE_PROBE
};

struct options {
	enum role role;
	bool user; /* --user: unprivileged, for one account */
	bool foreground;
	bool print_config;
	bool help;
	bool version;
	bool config_given; /* then a missing file is an error */
	int64_t parent;	   /* pid of the supervisor, for the working processes */
	bool lease;	   /* the reader was given the ends of leases (lease.h) */
	struct paths_agent paths;
	char fallback[PATHS_MAX];
};

/* ERR_USAGE with one line that says what is wrong. */
int options_parse(int argc, char **argv, struct options *out, struct err *err);

extern const char options_usage[];

#endif
