/*
 * One environment as it is told, from wire messages (reader.proto) to a sealed snapshot: facts,
 * then packages, then the end. Whoever tells may be in foreign hands: everything was bounded by the
 * codec and is validated and copied here. Any thread, one object at a time.
 */
#ifndef ENVWARDEN_AGENT_INTAKE_H
#define ENVWARDEN_AGENT_INTAKE_H

#include <stddef.h>

#include "agent/core/snapshot.h"
#include "lib/base/arena.h"
#include "proto/reader.pb-c.h"

struct intake {
	struct arena arena; /* all texts of the snapshot */
	struct snapshot snapshot;
	size_t refused; /* packages that were no packages */
};

void intake_init(struct intake *in, size_t memory_max);
void intake_deinit(struct intake *in); /* also of a zeroed struct, and twice */

/* ERR_PROTOCOL: out of order, or a path that is not absolute; ERR_NOMEM. */
int intake_facts(struct intake *in, const Envwarden__Reader__Facts *facts);
int intake_packages(struct intake *in, const Envwarden__Reader__FactsPackages *piece);
/* Seals the snapshot. ERR_PROTOCOL: it is not all that was told. */
int intake_end(struct intake *in, const Envwarden__Reader__FactsEnd *end);

#endif
