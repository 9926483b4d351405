/*
 * The file in which the agent asks for the gate's pieces: bases that lack them, each with the
 * account it belongs to (docs/formats.md). The agent writes it, as a whole; `envwarden hooks place
 * --wanted`, which may be root, takes it away and reads it. To the reader every line is a
 * stranger's claim: a path that may be a base, to be seen on the disk.
 *
 * Pure: bytes in, bytes out. Any thread.
 */
#ifndef ENVWARDEN_PROTO_WANTED_H
#define ENVWARDEN_PROTO_WANTED_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define WANTED_FILE "pieces-wanted" /* in the agent's state folder */
#define WANTED_MAX 65536	    /* bytes of the file */

struct wanted_base {
	uint32_t uid;	    /* of its owner */
	const char *prefix; /* absolute, as text_from_path makes it, without control characters */
};

/* Begins a file in an empty buffer of at least WANTED_MAX. */
void wanted_begin(struct buf *out);
/* Adds a base, its path as text_from_path makes it. ERR_LIMIT: the file is full, and nothing was
 * added; ERR_INVALID: no absolute path; ERR_NOMEM. */
int wanted_add(struct buf *out, uint32_t uid, const char *prefix);

/*
 * All of a file or nothing; the texts are in the arena. ERR_CORRUPT: no such file, cut off, or a
 * line that is none; ERR_UNSUPPORTED: a newer one; ERR_LIMIT; ERR_NOMEM. The error repeats nothing
 * of what is in it.
 */
int wanted_parse(const char *data, size_t n, struct arena *arena, const struct wanted_base **out,
		 size_t *n_out, struct err *err);

#endif
