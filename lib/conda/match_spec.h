/*
 * Which packages are meant: "conda-forge::openssl>=3,<3.0.14", "numpy 1.26.* py312*",
 * "*[license='gpl*']", a package's URL. The forms are conda's:
 *
 *   [channel[/subdir]::]name[version[=build] | version build][key='value',...]
 *
 * What conda's classic parser makes of a text is what is made of it here, its oddities included:
 * what it skips is skipped ("#..." and " if ..." behind a spec, "(...)", words in brackets that are
 * no key=value), what it refuses is refused. Ours are the limits; what regex.h does not support; a
 * path that is relative to a folder or a home; and that case is folded in ASCII alone.
 *
 * Source of the rules: conda's conda/models/match_spec.py, _parse_spec_str and class MatchSpec.
 *
 * A parsed spec lives in the caller's arena and is never changed: threads may share it.
 */
#ifndef ENVWARDEN_LIB_CONDA_MATCH_SPEC_H
#define ENVWARDEN_LIB_CONDA_MATCH_SPEC_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/conda/channel_name.h"
#include "lib/conda/version_spec.h"

#define MATCH_SPEC_MAX VERSION_SPEC_MAX /* bytes */

/* Arena bytes that parsing n bytes may take (n <= MATCH_SPEC_MAX). */
#define MATCH_SPEC_MEMORY(n) (2 * VERSION_SPEC_MEMORY(n))

enum match_field {
	MATCH_NAME,
	MATCH_CHANNEL,
	MATCH_SUBDIR,
	MATCH_VERSION,
	MATCH_BUILD,
	MATCH_BUILD_NUMBER,
	MATCH_TRACK_FEATURES,
	MATCH_FEATURES,
	MATCH_URL,
	MATCH_MD5,
	MATCH_SHA256,
	MATCH_LICENSE,
	MATCH_LICENSE_FAMILY,
	MATCH_FN,
	MATCH_WHEN,
	MATCH_EXTRAS,
	MATCH_FLAGS,
	MATCH_FIELDS
};

struct match_test;

struct match_spec {
	const struct match_test *tests; /* all must hold; in the order conda looks at them */
	size_t n;
	const char *source;    /* as written */
	const char *name;      /* what the name must be, if it must be one name; else NULL */
	const char *name_glob; /* or be like, '*' standing for any run of bytes; else NULL */
};

/* ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED, ERR_NOMEM; err says at which column, and why. */
int match_spec_parse(const char *text, size_t n, struct arena *arena, struct match_spec *out,
		     struct err *err);

/*
 * What the spec says about a field, as conda holds it (names and licences in lower case, a channel
 * as URL where it has one); NULL = nothing.
 */
const char *match_spec_field(const struct match_spec *spec, enum match_field field);

/* Appends a text that parses to the same spec, in one form where that can express it. */
void match_spec_format(const struct match_spec *spec, struct buf *out);

/*
 * A package to be matched, as its record has it. NULL = not known, which conda compares as the text
 * "None". Features and flags are not in it: a package counts as having none.
 */
struct match_package {
	const char *name;
	const char *version;
	const char *build;
	int64_t build_number;
	const char *channel; /* any form */
	const char *subdir;
	const char *license;
	const char *license_family;
	const char *md5; /* hex, lower case */
	const char *sha256;
	const char *url;
	const char *fn; /* NULL = the URL's, else name-version-build */
};

/* A package prepared, so that matching it with many specs parses nothing again. */
struct match_subject {
	const char *fields[MATCH_FIELDS]; /* those that are texts */
	struct version_subject version;
	struct version_subject build_number;
	struct channel_name channel;
};

/*
 * Everything in *out is in the arena but what the package's texts point to, which is borrowed.
 * ERR_NOMEM; ERR_INVALID, ERR_LIMIT or ERR_UNSUPPORTED for a channel that is none. A version that
 * is none is no error here: match_spec_match says if it mattered.
 */
int match_subject_init(struct match_subject *out, const struct match_package *package,
		       struct arena *arena, struct err *err);

/*
 * 1 = matches, 0 = does not, ERR_INVALID = the answer hangs on a version that is none (see
 * version_spec.h) or on a field no package has (extras). Allocates nothing.
 */
int match_spec_match(const struct match_spec *spec, const struct match_subject *subject);

#endif
