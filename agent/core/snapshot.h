/*
 * A snapshot: everything one reading of an environment found. Facts, all of them claims of whoever
 * owns the files, bounded by the reader and the link between reader and core.
 *
 * Strings are never NULL ("" = unknown) and borrowed, as in package.h; the package array is the
 * snapshot's own.
 */
#ifndef ENVWARDEN_AGENT_CORE_SNAPSHOT_H
#define ENVWARDEN_AGENT_CORE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/crypto.h"
#include "lib/conda/change.h"
#include "lib/conda/package.h"

/* Packages of one environment; what a transaction of the store has room for follows from it. */
#define SNAPSHOT_PACKAGES_MAX 16384
#define SNAPSHOT_STAMP_MAX 256
#define SNAPSHOT_NAMES_MAX 64 /* of a change's detail */
#define VOLUME_SIZE 16
#define SNAPSHOT_NETWORK 1 /* FS_NETWORK of enum fs_class */

/* What the last run in the environment left in conda-meta/history. */
struct run_facts {
	uint64_t sections;   /* runs seen; more than last time = a run has happened since */
	const char *command; /* secrets masked */
	const char *action;  /* "create", "install", "rename", ... */
	const char *tool;
	const char *source;  /* made as a clone: of this environment (a path) */
	const char *target;  /* the one it is about, as the command names it: name or path */
	struct person owner; /* of the history file; uid -1 = there is none */
};

struct snapshot {
	const char *prefix; /* canonical */
	uint64_t device;
	uint64_t inode;
	unsigned char volume[VOLUME_SIZE]; /* identity of its file system, zero unknown */
	uint32_t filesystem;		   /* enum fs_class of platform/safe_open.h */
	const char *mount; /* where that is mounted; "": can't go away, or unknown; not stored */
	struct person owner;
	const char *platform;
	const char *tool;   /* the one the environment belongs to */
	int64_t created_ms; /* 0 unknown */
	int64_t changed_ms;
	unsigned char config_digest[SHA256_SIZE]; /* over state, pinned and frozen */
	const char *config_names;		  /* those there: "pinned:0a1b2c3d,state:…" */
	const char *const *unreadable;		  /* notes on what could not be read */
	size_t n_unreadable;
	const unsigned char *stamp; /* the reader's fingerprint, opaque here */
	size_t stamp_n;
	struct run_facts history;
	struct person record_owner; /* of the newest record; uid -1 unknown */
	struct person python_owner; /* of the newest dist-info; uid -1 unknown */
	const char *python_tool;    /* its installer */
	const char *renamed_from;   /* canonical path of the source that vanished */
	bool at_start;		    /* found by the first scan: happened while nobody looked */
	bool self_reported;	    /* read by the member's own client */
	bool empty_meta;	    /* half-made: a conda-meta without history and records */

	struct package_list packages; /* sealed: sorted, every package once */
	unsigned char digest[SHA256_SIZE];
	unsigned char attribute_digest[SHA256_SIZE];
};

void snapshot_init(struct snapshot *s);	  /* strings "", uids -1, everything else zero */
void snapshot_deinit(struct snapshot *s); /* the package array */

/*
 * Sorts the packages, keeps the first of those with the same identity, computes both digests and,
 * where the packages tell it, the platform.
 * To be called once, when the packages are complete. ERR_LIMIT: more than SNAPSHOT_PACKAGES_MAX.
 */
int snapshot_seal(struct snapshot *s);

/* Whether it is of a conda base with a Python of its own, and the distribution by which the gate's
 * pieces show (docs/gate.md) is not in there: they were never placed, or lost. */
bool snapshot_lacks_pieces(const struct snapshot *s);

#endif
