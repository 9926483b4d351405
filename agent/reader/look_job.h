/*
 * One look at a prefix as a piece of work for a reader thread: examine it, judge whether it is
 * settled, and if so pack the facts for the core. Or, as something begins to happen there, only
 * hold its history open.
 */
#ifndef ENVWARDEN_AGENT_READER_LOOK_JOB_H
#define ENVWARDEN_AGENT_READER_LOOK_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/prefix/examine.h"
#include "agent/prefix/last_run.h"
#include "agent/prefix/settle.h"
#include "agent/reader/lanes.h"
#include "agent/reader/recall.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct exclude;
struct watcher;

/* A watch that a look places before it lists the folder, to be adopted on the loop. */
struct look_watch {
	int rc; /* 0 placed, or there already; 1 not tried, else why not */
	int watch;
	unsigned flags; /* as placed */
};

struct look_job {
	/* in */
	char prefix[SAFE_PATH_MAX];
	struct json_reader *json;      /* nobody else's meanwhile */
	struct recall *recall;	       /* NULL: read everything */
	const struct exclude *exclude; /* left alone by whatever path it is found; NULL none */
	const struct mount_table *mounts;
	struct watcher *watcher; /* NULL: none here */
	int64_t now_ms;		 /* wall clock */
	unsigned reads;		 /* damaged readings in a row before this one */
	bool known; /* facts of it were sent: no rename to wait for, if it is the same folder */
	uint64_t known_dev;
	uint64_t known_ino;
	bool at_start;
	bool overdue;			  /* unsettled for so long that it counts as it is */
	bool has_stamp;			  /* unchanged is enough of an answer */
	unsigned char stamp[SHA256_SIZE]; /* in and out */

	bool hold;		  /* that is all */
	struct held_history held; /* in and out; owner's to close */

	struct look_watch meta;	  /* in and out: conda-meta */
	struct look_watch site;	  /* the site-packages, or where it would come */
	struct look_watch folder; /* the prefix itself, when there is no conda-meta in it */

	/* out */
	struct recalled recalled;
	size_t stats; /* files it asked about */
	int rc;	      /* of the look as a whole; err says why */
	struct err err;
	enum examine_kind kind;
	bool is_cache;
	bool empty_meta;
	char canonical[SAFE_PATH_MAX];
	enum fs_class fs;
	unsigned char volume[MOUNT_VOLUME_SIZE];
	int64_t mount;	   /* id of the mount it is on, 0 unknown */
	bool by_automount; /* which goes when nobody uses it: looking counts as use */
	uint64_t dev;
	uint64_t ino;
	uint64_t site_dev; /* the folder of the watch `site`, 0 none is to be watched */
	uint64_t site_ino;
	int64_t dist_age_ms;
	char renamed_from[SAFE_PATH_MAX];
	size_t unreadable;
	struct settle_verdict verdict;
	struct last_run *last; /* that removes the prefix, if one did; owner's to free */
	struct buf frames;     /* filled when the verdict is ready; owner's to free */
};

void look_job_run(struct look_job *job);

#endif
