/*
 * Paths at the reader's door: inside they are the bytes the system has, in messages (and so in the
 * core, its store and on screens) the text that stands for them (text_from_path).
 */
#ifndef ENVWARDEN_AGENT_PREFIX_WIRE_PATH_H
#define ENVWARDEN_AGENT_PREFIX_WIRE_PATH_H

#include "lib/base/err.h"
#include "proto/limits.h"

/* Room for a path as text, where a message borrows it from. */
struct wire_path {
	char text[LIMIT_PATH + 1];
};

/* ERR_LIMIT: as text it is longer than messages carry; room->text is "" then. */
int wire_path(struct wire_path *room, const char *path, struct err *err);

#endif
