/*
 * What is mounted where, as the kernel tells it (mountinfo, proc(5)): a pure reading of that text.
 * A path's mount is found without touching the path, since a stat on a mount whose server does not
 * answer never returns.
 *
 * Words: point = where it is mounted; root = which folder of its file system is seen there; volume
 * = what stays the same when the same thing is mounted again.
 *
 * Found as the kernel walks: a mount hidden under a later one is not found, nor is what is mounted
 * in it. Links in a path are not known here: lanes.h routes around them.
 *
 * A table does not change once read. It is counted, so that work on other threads can keep the one
 * it began with; counting is the loop thread's, looking any thread's.
 */
#ifndef ENVWARDEN_PLATFORM_MOUNT_TABLE_H
#define ENVWARDEN_PLATFORM_MOUNT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "platform/safe_open.h"

#define MOUNT_TABLE_TEXT_MAX (32u << 20)
#define MOUNT_TABLE_MAX 200000 /* mounts; more: ERR_LIMIT */
#define MOUNT_VOLUME_SIZE 16

struct mount {
	int64_t id; /* not used again while the table is younger than 2^31 mounts */
	int64_t parent;
	uint64_t device; /* st_dev of what is in it (subvolumes of btrfs have their own) */
	enum fs_class fs;
	/* What stops answering together, so that one thread at a time waits for it: a server's
	 * mounts, else a device's; 0 = local. */
	uint64_t group;
	bool on_access;	   /* an autofs: touching what is below mounts something */
	bool by_automount; /* mounted by one: goes when nobody has used it for a while */
	const char *root;
	const char *point;
	const char *type;
	const char *source; /* "server:/export", "//server/share", "/dev/sda1" */
	/*
	 * Zeroes: what can't go away (the root). On network file systems the same on every machine
	 * that mounts the same source (docs/formats.md); on others it holds the point, since disks
	 * have other names after the next start.
	 */
	unsigned char volume[MOUNT_VOLUME_SIZE];
};

struct mount_table;

/* ERR_INVALID: a line that is none (err names it); ERR_LIMIT; ERR_NOMEM. */
int mount_table_read(const char *text, size_t n, struct mount_table **out, struct err *err);
struct mount_table *mount_table_ref(struct mount_table *table); /* returns its argument */
void mount_table_unref(struct mount_table *table);		/* NULL is fine */

/* The mount an absolute path without links, "." and ".." is on; NULL: none known. */
const struct mount *mount_table_find(const struct mount_table *table, const char *path);
const struct mount *mount_table_by_id(const struct mount_table *table, int64_t id);

/* Whether any of them may hang or mount on access: if not, no path needs care. */
bool mount_table_has_remote(const struct mount_table *table);

/* Whether what is on it is reached through others: a server or a program. NULL: no. */
static inline bool mount_is_remote(const struct mount *m)
{
	return m != NULL && (m->fs == FS_NETWORK || m->fs == FS_FUSE || m->on_access);
}

#endif
