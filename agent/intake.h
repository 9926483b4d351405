/*
 * One environment as it is told, from wire messages (reader.proto) to a snapshot that is to be
 * sealed: facts, then packages, then the end. Whoever tells may be in foreign hands: everything was
 * bounded by the codec and is validated and copied here. Any thread, one object at a time.
 */
#ifndef ENVWARDEN_AGENT_INTAKE_H
#define ENVWARDEN_AGENT_INTAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/core/snapshot.h"
#include "lib/base/arena.h"
#include "lib/base/uuid.h"
#include "proto/reader.pb-c.h"

/* Packages told by the stamps of their files alone (agent/prefix/marks.h). */
struct kept_packages {
	struct uuid basis;	     /* the environment whose packages they are */
	const unsigned char *stamps; /* 8 bytes each */
	size_t n;
};

struct intake {
	struct arena arena; /* all texts of the snapshot */
	struct snapshot snapshot;
	struct kept_packages kept;
	size_t refused;	  /* packages that were no packages */
	bool from_reader; /* marks and kept packages are taken from our own reader alone */
};

void intake_init(struct intake *in, size_t memory_max);
void intake_deinit(struct intake *in); /* also of a zeroed struct, and twice */

/* ERR_PROTOCOL: out of order, or a path that is not absolute; ERR_NOMEM. */
int intake_facts(struct intake *in, const Envwarden__Reader__Facts *facts);
int intake_packages(struct intake *in, const Envwarden__Reader__FactsPackages *piece);
int intake_kept(struct intake *in, const Envwarden__Reader__FactsKept *kept);
/* ERR_PROTOCOL: it is not all that was told. Sealing sorts and hashes, and is left to who stores
 * it. */
int intake_end(struct intake *in, const Envwarden__Reader__FactsEnd *end);

#endif
