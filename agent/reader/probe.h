/*
 * "Which of these is an environment, and has anything been happening there?" Known paths are
 * answered at once, from memory; others are looked up in their lanes, since that opens files. A
 * candidate on a file system that does not answer is passed over.
 */
#ifndef ENVWARDEN_AGENT_READER_PROBE_H
#define ENVWARDEN_AGENT_READER_PROBE_H

#include <stdbool.h>

#include "proto/reader.pb-c.h"

struct entries;
struct lanes;
struct link;

struct probe_context {
	struct entries *entries;
	struct lanes *lanes;
	struct link **link; /* NULL inside when it has closed meanwhile */
	bool (*left_alone)(const void *ctx, const char *path); /* is told as unreadable */
	const void *ctx;
};

/* Answers with a ProbeReply, now or later. Call it when the watcher has been drained. ERR_NOMEM. */
int probe(const struct probe_context *context, const Envwarden__Reader__Probe *request);

#endif
