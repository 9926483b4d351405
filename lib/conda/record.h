/*
 * The reader of one conda-meta/<name>-<version>-<build>.json, as conda, mamba and rattler write
 * them. It streams: a record of any size within the limits costs the same memory, any order of
 * fields gives the same facts, and of a field that is there twice the last one counts.
 *
 * The file belongs to whoever owns the environment, so every fact is a claim, bounded as package.h
 * says. A field of the wrong type, a name, version or build over its limit, text that is not valid
 * UTF-8 or holds a NUL make the whole file malformed. null counts as absent.
 *   license  cut at PACKAGE_LICENSE_MAX (at a character)
 *   url, channel, subdir, fn, site packages path   "" when over their limit: a cut one misleads
 *   timestamp   a text, and a number that is no time from 1970 to 9999, is as none
 *   md5, sha256   absent when ""; anything else but hex of the right length is malformed
 */
#ifndef ENVWARDEN_LIB_CONDA_RECORD_H
#define ENVWARDEN_LIB_CONDA_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/conda/package.h"

#define RECORD_FN_MAX 1024
#define RECORD_PATH_MAX 1024	   /* bytes of one anchor or of the site packages path */
#define RECORD_ANCHORS_MAX 1024	   /* anchors kept */
#define RECORD_ANCHORS_BYTES 65536 /* all of them together */

/* What a json_reader for records is made with: 64 MiB, nesting 64, strings of 64 KiB. */
extern const struct json_limits record_limits;

/*
 * The files of the package that claim a Python distribution: paths relative to the prefix, with
 * '/' whatever the platform, ending in .dist-info/RECORD, .egg-info/PKG-INFO, EGG-INFO/PKG-INFO,
 * .egg-info or .egg-link. A distribution in site-packages is conda's when some record has its
 * anchor, and pip's otherwise.
 */
struct record_anchors {
	const char **paths;
	size_t n;
	bool more; /* there were others, beyond the limits above */
};

struct record {
	struct package package; /* manager "conda" */
	const char *fn;		/* archive's file name, may lack the extension, "" unknown */
	const char *site_packages_path; /* python's own record only: overrides the default, or "" */
	struct record_anchors anchors;
};

/*
 * Reads the record that `reader` was reset to; file_name is the last part of its path. As conda
 * ignores a record whose name, version and build are not those of its file name, so does this
 * (ERR_INVALID). All strings of *out are allocated in arena.
 *
 * ERR_INVALID: not JSON, not a package record, or malformed. ERR_TRUNCATED: ends too early, as one
 * does that is being written. ERR_LIMIT, ERR_NOMEM, or what the reader's callback returned. err
 * gives the offset.
 */
int record_read(struct json_reader *reader, const char *file_name, struct arena *arena,
		struct record *out, struct err *err);

#endif
