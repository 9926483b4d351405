/*
 * A self-report: what a member's own command read in a prefix the agent may not read, as bytes of
 * the reader's frames (reader.proto: facts, packages, end), cut anywhere. Pure; any thread, one
 * object at a time.
 */
#ifndef ENVWARDEN_AGENT_REPORT_H
#define ENVWARDEN_AGENT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/intake.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/net/frame.h"

/* What the agent itself knows of the prefix a report is about, from its descriptor. */
struct report_proof {
	const char *prefix;
	uint64_t device;
	uint64_t inode;
	int64_t owner; /* uid */
};

struct report {
	struct frame_decoder frames;
	struct arena message;
	struct intake intake;
	size_t bytes; /* so far */
	bool whole;   /* the end came */
};

void report_init(struct report *r);
void report_deinit(struct report *r); /* also of a zeroed struct, and twice */

/*
 * Takes in the next bytes. ERR_LIMIT: more than LIMIT_REPORT, or more memory than a report may
 * take; ERR_PROTOCOL, ERR_INVALID: no report. After an error the report is of no use.
 */
int report_feed(struct report *r, const void *data, size_t n, struct err *err);

/*
 * All bytes came: makes the snapshot one that may be stored. It must be of the directory that was
 * proved, and of its owner. What a member has no say in is taken out: that another environment was
 * renamed to this one, that somebody else did it, marks and stamps by which the agent would not
 * read files itself. ERR_PERM: another directory; ERR_PROTOCOL: it is not whole.
 */
int report_finish(struct report *r, const struct report_proof *proof, struct err *err);

/*
 * The stamp of a report is stored with a byte in front, so that the reader never takes it for its
 * own. The stamp in it, or NULL and 0 when this is none of a report.
 */
const unsigned char *report_stamp(const unsigned char *stored, size_t stored_n, size_t *n);

#endif
