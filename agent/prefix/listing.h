/* The entries of one directory, sorted by name, each with what a stat says. */
#ifndef ENVWARDEN_AGENT_PREFIX_LISTING_H
#define ENVWARDEN_AGENT_PREFIX_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "platform/safe_open.h"

struct listing_entry {
	const char *name; /* bytes as the directory has them */
	struct file_info info;
};

struct listing {
	struct listing_entry *entries; /* in the arena */
	size_t n;
	bool more; /* there were others beyond the limit; which, is up to the directory's order */
};

/* Which names are wanted; the others are left out before they cost a stat. */
typedef bool (*listing_wants_cb)(const char *name);

/* At most max wanted entries. An entry that vanishes meanwhile is left out. */
int listing_read(const struct safe_dir *dir, listing_wants_cb wants, size_t max,
		 struct arena *arena, struct listing *out, struct err *err);

const struct listing_entry *listing_find(const struct listing *listing, const char *name);

/* Names, inodes, sizes and times into a fingerprint. */
void listing_stamp(const struct listing *listing, struct sha256 *hash);

#endif
