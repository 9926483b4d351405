/*
 * What the agent answers about one environment, collected from its frames: the environment, its
 * packages or a difference. Strings live in the arena that was given.
 */
#ifndef ENVWARDEN_AGENT_CLI_ANSWER_H
#define ENVWARDEN_AGENT_CLI_ANSWER_H

#include "agent/cli/client.h"
#include "proto/convert.h"

struct answer {
	struct environment_info environment;
	bool has_environment;
	struct package_list packages;
	struct package_list added;
	struct package_list removed;
};

/* Sends the request and collects until the end. The answer is to be released either way. */
int answer_collect(struct client *client, const char *socket, Envwarden__Local__Envelope *request,
		   struct arena *arena, struct answer *out, struct err *err);
void answer_deinit(struct answer *a);

#endif
