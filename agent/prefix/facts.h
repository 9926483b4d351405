/* What an examination found, as frames for the core (proto/reader.proto): facts, packages, those
 * kept, end. */
#ifndef ENVWARDEN_AGENT_PREFIX_FACTS_H
#define ENVWARDEN_AGENT_PREFIX_FACTS_H

#include <stdbool.h>

#include "agent/prefix/examine.h"
#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

/*
 * Appends the frames to `frames`. renamed_from: "" or the canonical path of the source that
 * vanished. People are told by number.
 */
int facts_pack(const struct examined *found, const char *renamed_from, bool at_start,
	       struct arena *arena, struct buf *frames, struct err *err);

/*
 * The canonical path a rename's or clone's source has, seen from the new prefix: a path as it is, a
 * name as its sibling. ERR_NOTFOUND: the command names none.
 */
int facts_source_path(const struct examined *found, char *out, size_t cap);

#endif
