/*
 * A self-report: where the agent may not read a prefix, this process, which is the member's, reads
 * it with the reader's own code and tells the agent.
 */
#ifndef ENVWARDEN_AGENT_CLI_REPORT_H
#define ENVWARDEN_AGENT_CLI_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/cli/client.h"
#include "lib/base/err.h"

struct report_request {
	const char *prefix;	    /* any path to it */
	const unsigned char *stamp; /* of what the agent holds of it, NULL = nothing */
	size_t stamp_n;
	bool if_changed; /* nothing new, nothing told */
};

/*
 * Waits for a run that is under way (some seconds at most), reads, and reports on the open
 * connection; returns when it is in the journal. ERR_NOTFOUND: no environment there; ERR_PERM: this
 * account may not read it either, or not report it; ERR_BUSY: it did not settle; ERR_LIMIT: it is
 * too big.
 */
int report(struct client *client, const struct report_request *request, struct err *err);

/*
 * Lets another process of this program, detached from the terminal and from whoever waits for this
 * one, report a prefix if it has changed. A gate does so when its answer is given. Best effort.
 */
void report_later(const char *prefix, const char *socket);

#endif
