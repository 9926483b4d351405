/*
 * Where a path leads, found out without asking a file system that may not answer: each link on the
 * way is read only on mounts that are local or of the group given. Any thread but the loop's.
 */
#ifndef ENVWARDEN_PLATFORM_ROUTE_H
#define ENVWARDEN_PLATFORM_ROUTE_H

#include <stdint.h>

#include "platform/mount_table.h"

/*
 * Replaces the links, "." and ".." in an absolute path, in place, as far as it got.
 * 0: all of it may be opened; what is not there, or may not be read, opening tells. 1: it leads to
 * a mount of another group, which was not touched. ERR_LIMIT: too long, or too many links.
 */
int route_follow(const struct mount_table *table, uint64_t group, char path[SAFE_PATH_MAX]);

/* The same, where nothing could hang, too; table NULL: all of it may be asked. On 0 there is no
 * link left in the path, as far as one may know of them. */
int route_resolve(const struct mount_table *table, uint64_t group, char path[SAFE_PATH_MAX]);

#endif
