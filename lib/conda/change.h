/*
 * A change: what differed between two snapshots of one environment; who, when, which command. The
 * journal is the ordered, hash-chained list of them (docs/formats.md).
 *
 * Strings are never NULL ("" = unknown) and borrowed: whoever keeps a change copies it.
 */
#ifndef ENVWARDEN_LIB_CONDA_CHANGE_H
#define ENVWARDEN_LIB_CONDA_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/crypto.h"
#include "lib/base/uuid.h"
#include "lib/conda/package.h"

#define CHANGE_PATH_MAX 4096 /* bytes: prefix, from_prefix */
#define CHANGE_COMMAND_MAX 4096
#define CHANGE_TOOL_MAX 64
#define CHANGE_DETAIL_MAX 512
#define CHANGE_USER_MAX 256
#define CHANGE_HOW_MAX 64

/* Values are part of the canonical encoding: append only. */
enum change_kind {
	CHANGE_CREATED = 1,
	CHANGE_RECREATED,
	CHANGE_INSTALLED,
	CHANGE_UPDATED,
	CHANGE_REMOVED,
	CHANGE_RENAMED,
	CHANGE_CLONED,
	CHANGE_DELETED,
	CHANGE_CONFIG,
	CHANGE_GAP, /* declared hole: an older epoch was lost or closed; detail names it */
};

struct person {
	const char *name; /* OS account */
	int64_t uid;	  /* -1 unknown */
	const char *how;  /* actors: how it is known ("owner of history", ...) */
};

struct change {
	struct uuid epoch;
	uint64_t seq; /* starts at 1 in each epoch */
	int64_t time_ms;
	enum change_kind kind;
	struct uuid environment;
	const char *prefix;
	const char *from_prefix;   /* renamed */
	struct uuid cloned_from;   /* zero = not a clone */
	struct package_list added; /* sorted by package_cmp_all */
	struct package_list removed;
	struct person actor;
	struct person owner;
	const char *platform; /* "linux-64", ... */
	const char *tool;
	const char *command; /* secrets masked */
	const char *detail;  /* config: the names that changed; gap: the old epoch in hex */
	/*
	 * Folded (docs/formats.md): it stands for the changes from first_seq on, and tells what
	 * `folded` changes of its environment came to. 0 = itself alone. Outside the canonical
	 * encoding: such a change's hash is what it was before, and can't be computed from it.
	 */
	uint64_t first_seq;
	uint64_t folded;
	bool begun; /* folded: the environment's beginning is among them */
	bool self_reported;
	bool seen_at_start;
	bool has_digest;
	unsigned char digest[SHA256_SIZE]; /* snapshot digest after the change */
};

/* "created", "installed", ...; "unknown" for values outside the table. */
const char *change_kind_name(enum change_kind kind);

/*
 * The kind of a step between two snapshots: adds only = installed, removes only = removed, both =
 * updated (formats.md 8).
 */
enum change_kind change_kind_of_step(size_t added, size_t removed);

void change_init(struct change *c); /* all strings "", uids -1 */

/*
 * Deep copy, everything but the package arrays in the arena; release *to with change_deinit (also
 * after a failure). ERR_NOMEM.
 */
int change_copy(struct arena *arena, const struct change *from, struct change *to);
void change_deinit(struct change *c); /* the two package arrays; strings are borrowed */

#endif
