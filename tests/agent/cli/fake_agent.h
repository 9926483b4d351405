/* An agent of canned answers, in a process of its own, on a real socket. */
#ifndef ENVWARDEN_TESTS_AGENT_CLI_FAKE_AGENT_H
#define ENVWARDEN_TESTS_AGENT_CLI_FAKE_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

struct fake_agent {
	pid_t pid;
};

struct fake_options {
	bool enrolled; /* with "Example Org" */
	bool degraded;
	unsigned ran; /* environments that were used although they were blocked */
	unsigned uid; /* who serves; 0 = this account */
};

/*
 * Serves at `socket` until stopped. What it answers depends on what is typed:
 *   legacy-etl blocked by a rule, frozen by a status; churn warned about for a CVE, marked by a
 *   status; granted is deferred and unlocked, helped unlocked by nobody knows who; slow is in a
 * transaction; hang never answers; gone is not known; everything else is allowed.
 */
void fake_agent_start(struct fake_agent *agent, const char *socket,
		      const struct fake_options *options);
void fake_agent_stop(struct fake_agent *agent); /* also of a zeroed one */

#endif
