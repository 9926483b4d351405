/*
 * Between which versions all that a spec takes in must lie, as far as its relations say so: what
 * can be known of a spec without a version. Unknown is never guessed: globs, regular expressions,
 * "starts with" and alternatives bound nothing here.
 *
 * Pure; what is pointed to belongs to the spec.
 */
#ifndef ENVWARDEN_LIB_CONDA_VERSION_BOUNDS_H
#define ENVWARDEN_LIB_CONDA_VERSION_BOUNDS_H

#include "lib/conda/version_spec.h"

struct version_bound {
	const struct version *version; /* NULL = none */
	bool open;		       /* the version itself is out */
};

struct version_bounds {
	struct version_bound low, high;
	bool whole; /* nothing else is asked: a version within is taken in */
};

void version_bounds_of(const struct version_spec *spec, struct version_bounds *out);

/* Between which versions lies what lies within both. */
void version_bounds_meet(const struct version_bounds *a, const struct version_bounds *b,
			 struct version_bounds *out);

/* No version lies within. */
bool version_bounds_empty(const struct version_bounds *b);

/* All that lies within `inner` lies within `outer`. */
bool version_bounds_within(const struct version_bounds *inner, const struct version_bounds *outer);

#endif
