/*
 * One look at one prefix: what is installed, what state its last run is in. Opens members' files,
 * so it runs on a reader thread, beneath the prefix, within named limits; it writes nothing.
 *
 * No link is followed, with two exceptions: on the way to site-packages, where conda follows them
 * too, as long as they stay in the prefix; and the source tree that an egg-link names is looked up,
 * on the prefix's own file system, for metadata that belongs to the prefix's owner. A file with
 * more than one name (a hard link) is read only if it belongs to the prefix's owner or root: it may
 * be a stranger's secret.
 */
#ifndef ENVWARDEN_AGENT_PREFIX_EXAMINE_H
#define ENVWARDEN_AGENT_PREFIX_EXAMINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/prefix/marks.h"
#include "agent/prefix/settle.h"
#include "lib/base/arena.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/base/uuid.h"
#include "lib/conda/history.h"
#include "lib/conda/package.h"
#include "platform/safe_open.h"

/*
 * What one look takes at most. Whatever is beyond is left out, in an order that does not change
 * from look to look, and a note says so.
 */
#define EXAMINE_ENTRIES_MAX 50000  /* names of interest in conda-meta or site-packages */
#define EXAMINE_PACKAGES_MAX 16384 /* what an environment can have (agent/core/snapshot.h) */
#define EXAMINE_RECORDS_BYTES (512u << 20) /* bytes of records read */
#define EXAMINE_BROKEN_MAX 1000		   /* files that can't be read */
#define EXAMINE_ARENA_MAX (256u << 20)	   /* bytes of facts about one prefix */
#define EXAMINE_HISTORY_MAX (64u << 20)
#define EXAMINE_NOTES_MAX                                                                          \
	32 /* files that could not be read: so many are named, the rest is counted */
#define EXAMINE_YOUNG_MS 10000 /* a damaged file changed since may be one that is being written */

enum examine_kind {
	EXAMINE_NOTHING,     /* no directory there (any more) */
	EXAMINE_PLAIN,	     /* a directory without conda-meta */
	EXAMINE_DENIED,	     /* may not be read */
	EXAMINE_UNCHANGED,   /* the fingerprint is the one given; nothing was read */
	EXAMINE_ENVIRONMENT, /* facts below */
};

struct examined {
	enum examine_kind kind;
	char prefix[SAFE_PATH_MAX]; /* canonical */
	struct file_info info;	    /* of the prefix directory */
	enum fs_class fs;
	unsigned char volume[16]; /* the caller's to fill, from the mount table; zero unknown */
	const char *mount; /* ... where it is mounted, borrowed from there; "": can't go away */
	size_t stats;	   /* files it asked about */
	bool is_cache;	   /* a package cache or a trash, never an environment */

	struct package_list packages; /* sorted; strings in the arena; owner frees the array */
	const uint64_t *kept; /* stamps of those not read, as the request's marks know them */
	size_t n_kept;
	struct uuid basis;	   /* the caller's to fill: whose marks they were; zero = none */
	const char *platform;	   /* subdir of its records, "" when all are noarch */
	const char *site_packages; /* where it really is, relative to the prefix, "" none */
	/* While there is none where python's record has it: the deepest folder on the way that is
	   there, relative, "." = the prefix. "": it is there, or none is to come. */
	const char *site_above;
	struct file_info site_info;    /* of the one of the two that is not "" */
	const char *tool;	       /* "conda", "mamba", "pixi", "unknown" */
	struct history_facts *history; /* last section, NULL without history */
	struct history_facts *origin;  /* first section; NULL as above */
	int64_t history_ns;	       /* when it was written, 0 without */
	size_t history_sections;
	int64_t history_owner;	 /* uid, -1 none */
	int64_t python_owner;	 /* uid that owns the newest distribution not conda's, -1 none */
	const char *python_tool; /* ... and its INSTALLER, "" unknown */
	int64_t record_owner;	 /* uid that owns the newest record, -1 none */
	int64_t created_ms;
	int64_t changed_ms;  /* newest modification seen in conda-meta and site-packages */
	int64_t dist_age_ms; /* since the last change of what is in site-packages, -1 nothing is */
	unsigned char config_digest[SHA256_SIZE];
	const char *config_names; /* those that exist: "pinned:0a1b2c3d,state:…" */
	const char *notes[EXAMINE_NOTES_MAX + 16]; /* escaped; files, and what concerns all of it */
	size_t n_notes;
	size_t n_more;	 /* beyond those */
	bool empty_meta; /* conda-meta has neither history nor records */

	unsigned char stamp[SHA256_SIZE]; /* over names, inodes, sizes and times of what was read */
	struct settle_signs signs;	  /* .reads and .rename_age_ms are the caller's to fill */
};

struct examine_request {
	const char *prefix;
	int64_t now_ms;		    /* wall clock, for ages */
	const unsigned char *stamp; /* of an earlier look, NULL = read in any case */
	/*
	 * Asked when something has changed: what is known of the prefix (canonical path), valid
	 * until examine returns; NULL = nothing. No function: read everything.
	 */
	const struct marks *(*recall)(void *ctx, const char *prefix);
	void *ctx;
	struct json_reader *json; /* made with record_limits; reused from look to look */
	/* Whether nothing in the prefix (canonical) may be opened: it is as if it were not there.
	   NULL: all may. */
	bool (*left_alone)(const void *ctx, const char *prefix);
	const void *left_alone_ctx;
};

/*
 * Fills *out (its strings in arena). ERR_NOMEM or ERR_LIMIT: more than fits; err names it. Whatever
 * is wrong with single files is a note and a sign, not an error.
 */
int examine(const struct examine_request *request, struct arena *arena, struct examined *out,
	    struct err *err);

#endif
