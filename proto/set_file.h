/*
 * A set of signed state in one file, for machines without a network (docs/formats.md, air-gap
 * files): what one timestamp names, and the roots that lead to it. The file itself is not signed,
 * for all in it is; it is taken apart here and verified like what comes over the wire.
 *
 *   "EWSTATE" 01 | size of the whole (8) | { lp(role) | lp(Signed) } ...
 *
 * Roots come first, oldest first; then the other roles, none twice; the timestamp ends it. Roles of
 * a newer version are passed over. Pure; any thread.
 */
#ifndef ENVWARDEN_PROTO_SET_FILE_H
#define ENVWARDEN_PROTO_SET_FILE_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "proto/limits.h"

struct set_file_item {
	const void *data; /* a packed Signed */
	size_t n;	  /* 0 = it is not in the file */
};

struct set_file {
	struct set_file_item roots[LIMIT_ROOTS];
	size_t n_roots; /* at least one when parsed */
	struct set_file_item policy;
	struct set_file_item advisories;
	struct set_file_item status;
	struct set_file_item timestamp; /* always there when parsed */
};

/*
 * Borrows from data. ERR_TRUNCATED: it ends before its end; ERR_INVALID: no such file, of a newer
 * version, bytes behind it, pieces out of order; ERR_LIMIT: larger than LIMIT_BUNDLE, more than
 * LIMIT_ROOTS roots, or a piece larger than its role may be.
 */
int set_file_parse(const void *data, size_t n, struct set_file *out, struct err *err);

/* Appends the file. ERR_LIMIT: larger than LIMIT_BUNDLE; ERR_NOMEM. */
int set_file_format(const struct set_file *set, struct buf *out, struct err *err);

#endif
