/* The tree a version spec is parsed to. Private to version_spec.c and version_bounds.c. */
#ifndef ENVWARDEN_LIB_CONDA_VERSION_SPEC_IMPL_H
#define ENVWARDEN_LIB_CONDA_VERSION_SPEC_IMPL_H

#include "lib/conda/glob.h"
#include "lib/conda/regex.h"
#include "lib/conda/version_spec.h"

enum node_kind {
	NODE_AND,
	NODE_OR,
	NODE_ANY,
	NODE_RELATION,
	NODE_GLOB,
	NODE_REGEX,
	NODE_TEXT, /* exactly this */
};

struct version_spec_node {
	enum node_kind kind;
	unsigned depth;				/* of ands and ors below */
	struct version_spec_node *child, *last; /* of NODE_AND, NODE_OR */
	struct version_spec_node *next;
	const char *text; /* an atom's: as written, then canonical */
	size_t n;
	size_t column; /* where it begins in the spec */
	enum version_relation relation;
	struct version version;
	struct version series; /* VERSION_COMPATIBLE: without its last dotted part */
	bool has_series;
	struct glob glob;
	struct regex regex;
};

#endif
