/* What defer and unlock have in common: a request for one environment, and until when it holds. */
#ifndef ENVWARDEN_AGENT_CLI_GRACE_H
#define ENVWARDEN_AGENT_CLI_GRACE_H

#include "agent/cli/args.h"
#include "agent/cli/client.h"
#include "agent/cli/target.h"

struct grace_options {
	struct target_words words;
	const char *socket;
	bool json;
};

#define GRACE_OPTIONS                                                                              \
	{"--prefix", "PATH", "the environment at this path",                                       \
	 offsetof(struct grace_options, words.prefix)},                                            \
		{"--name", "NAME", "the environment of this name",                                 \
		 offsetof(struct grace_options, words.name)},                                      \
		ARG_JSON(struct grace_options), ARG_SOCKET(struct grace_options)

/* Asks, and says until when; schema of the JSON document, verb of the sentence ("is deferred"). */
int grace_ask(const struct grace_options *options, Envwarden__Local__Envelope *request,
	      const char *schema, const char *verb);

#endif
