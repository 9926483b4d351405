/*
 * "Which environment is meant, and has anything been happening there?" A path that is known is
 * answered at once, from memory. Others are looked up in their lanes, since that opens files: a
 * name is resolved as conda or mamba resolves it for who asks, by their configuration files. A
 * candidate on a file system that does not answer is passed over, and so are a home's files then.
 */
#ifndef ENVWARDEN_AGENT_READER_PROBE_H
#define ENVWARDEN_AGENT_READER_PROBE_H

#include <stdbool.h>

#include "proto/reader.pb-c.h"

struct accounts;
struct condarc_cache;
struct entries;
struct exclude;
struct lanes;
struct link;
struct places;

struct probe_context {
	struct entries *entries;
	struct lanes *lanes;
	struct link **link;	       /* NULL inside when it has closed meanwhile */
	struct places **places;	       /* NULL inside when they have stopped meanwhile */
	const struct exclude *exclude; /* what is left alone is told as unreadable */
	struct condarc_cache *condarc;
	struct accounts *accounts;
};

/* Answers with a ProbeReply, now or later. Call it when the watcher has been drained. ERR_NOMEM. */
int probe(const struct probe_context *context, const Envwarden__Reader__Probe *request);

#endif
