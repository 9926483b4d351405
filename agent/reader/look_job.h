/*
 * One look at a prefix as a piece of work for a reader thread: examine it, judge whether it is
 * settled, and if so pack the facts for the core.
 */
#ifndef ENVWARDEN_AGENT_READER_LOOK_JOB_H
#define ENVWARDEN_AGENT_READER_LOOK_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/prefix/examine.h"
#include "agent/prefix/settle.h"
#include "agent/worker.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct look_job {
	struct work work; /* .run is look_job_run; .done is the owner's */
	void *owner;

	/* in */
	char prefix[SAFE_PATH_MAX];
	struct json_reader *json; /* of the worker's thread */
	int64_t now_ms;		  /* wall clock */
	int64_t age_ms;		  /* since the prefix was first seen */
	unsigned reads;		  /* damaged readings in a row before this one */
	bool known;		  /* facts of it were sent before: no rename to wait for */
	bool at_start;
	bool overdue;			  /* unsettled for so long that it counts as it is */
	bool has_stamp;			  /* unchanged is enough of an answer */
	unsigned char stamp[SHA256_SIZE]; /* in and out */

	/* out */
	int rc; /* of the look as a whole; err says why */
	struct err err;
	enum examine_kind kind;
	bool is_cache;
	bool empty_meta;
	char canonical[SAFE_PATH_MAX];
	enum fs_class fs;
	uint64_t dev;
	uint64_t ino;
	char site_packages[SAFE_PATH_MAX]; /* relative, "" none */
	char renamed_from[SAFE_PATH_MAX];
	size_t unreadable;
	struct settle_verdict verdict;
	struct buf frames; /* filled when the verdict is ready; owner's to free */
};

void look_job_run(struct work *work);

#endif
