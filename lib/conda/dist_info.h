/*
 * Python distributions that did not come as conda packages (pip, uv, poetry...): the few files of a
 * X.dist-info, X.egg-info or X.egg/EGG-INFO folder, or the single file X.egg-info, as a package; or
 * what the name of an X.egg or X.egg-link alone says.
 *
 * How it got there stands in the package's url, secrets masked, in the form pip itself prints:
 *   ""                          by an index, and which one is not recorded (or not known)
 *   https://h/f.whl             an archive; sha256 too, if it is recorded
 *   git+https://h/r.git@COMMIT  a repository; also hg+, svn+, bzr+
 *   file:///srv/x               a local source tree, copied
 *   file:///srv/x#editable      a local source tree, used in place
 *
 * All of it belongs to whoever owns the environment: claims, bounded as package.h says.
 */
#ifndef ENVWARDEN_LIB_CONDA_DIST_INFO_H
#define ENVWARDEN_LIB_CONDA_DIST_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/conda/package.h"

#define DIST_INFO_METADATA_MAX 65536 /* bytes of METADATA or PKG-INFO that are looked at */
#define DIST_INFO_DIRECT_URL_MAX 65536
#define DIST_INFO_INSTALLER_MAX 32
#define DIST_INFO_REVISION_MAX 128

/* Where pip was told to take it from; by index (and the index is not recorded) unless it says. */
enum dist_info_origin {
	DIST_INFO_INDEX,
	DIST_INFO_ARCHIVE,  /* direct_url.json: an archive's URL, maybe with its hash */
	DIST_INFO_VCS,	    /* a repository and revision */
	DIST_INFO_FOLDER,   /* a local source tree, copied */
	DIST_INFO_EDITABLE, /* a local source tree, used in place */
	DIST_INFO_UNKNOWN,  /* direct_url.json is there and malformed */
};

/* The files' contents, borrowed; NULL and 0 where the file does not exist. */
struct dist_info_files {
	const void *metadata; /* METADATA or PKG-INFO, or as much of it as the limit above */
	size_t metadata_n;
	const void *installer; /* INSTALLER */
	size_t installer_n;
	const void *direct_url; /* direct_url.json */
	size_t direct_url_n;
	bool requested;	    /* the file REQUESTED exists */
	const char *source; /* of an egg-link: the source tree's path, as bytes; else NULL */
};

struct dist_info {
	/*
	 * manager "pypi"; name normalised; channel "pypi", as conda lists these; no build and no
	 * subdir; url as above. The license is License-Expression's, else License's, else what the
	 * "License ::" classifiers end in, joined by "; ".
	 */
	struct package package;
	const char *installer; /* "pip", "uv", "conda"... first line, lower case; "" unknown */
	enum dist_info_origin origin;
	const char *revision; /* commit of DIST_INFO_VCS, else "" */
};

/*
 * Reads the headers up to the first blank line. ERR_INVALID when there is no Name or Version, or
 * they are over their limits or not UTF-8; ERR_NOMEM. A license over its limit is cut. A malformed
 * direct_url.json is no error: the distribution is there all the same. Any json_reader does; it is
 * reset here and must be reset by whoever uses it next. Strings of *out are allocated in arena.
 */
int dist_info_read(const struct dist_info_files *files, struct json_reader *reader,
		   struct arena *arena, struct dist_info *out, struct err *err);

/*
 * What a name alone says: "foo-1.0-py3.11.egg" (an archive, or its metadata is missing), "foo.egg-
 * link" (source: what it names, whose version is not known: ""). ERR_INVALID: no such name.
 */
int dist_info_from_name(const char *file_name, const char *source, struct arena *arena,
			struct package *out, struct err *err);

/*
 * PEP 503: lower case, runs of "-", "_" and "." as one "-". Writes at most cap bytes with the '\0';
 * ERR_LIMIT when it does not fit.
 */
int dist_info_normalise_name(const char *name, size_t n, char *out, size_t cap);

#endif
