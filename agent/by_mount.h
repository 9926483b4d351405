/*
 * How many environments are on which mount: the first few by name, the rest as a number. Pure.
 */
#ifndef ENVWARDEN_AGENT_BY_MOUNT_H
#define ENVWARDEN_AGENT_BY_MOUNT_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "proto/limits.h"

#define BY_MOUNT_MAX LIMIT_STATUS_MOUNTS

/* Starts zeroed. */
struct by_mount {
	struct {
		const char *mount; /* borrowed */
		size_t n;
	} items[BY_MOUNT_MAX];
	size_t n;
	size_t total; /* environments, also of mounts that found no place */
};

void by_mount_add(struct by_mount *to, const char *mount);

/* "/home (2), /srv (1), elsewhere (3)" */
void by_mount_text(const struct by_mount *from, struct buf *out);

#endif
