/*
 * What versions are meant: ">=1.2,<2|1.0.*". Atoms joined by ',' (and, binds tighter) and '|' (or),
 * with parentheses; blanks around atoms do not count. An atom is
 *
 *   *                        any version, even one that cannot be parsed
 *   1.2  ==1.2               equal; != < <= > >= by order; a ".*" behind a relation is dropped
 *   =1.2  1.2.*  1.2*        starts with 1.2; !=1.2.* does not
 *   ~=1.2.3                  at least 1.2.3, and starts with 1.2
 *   1.*.3                    a glob on the text
 *   ^1\.[0-3]$               a regular expression on the text (regex.h says which)
 *   text with an '@' in it   that text
 *
 * Accepted, refused and matched is what conda accepts, refuses and matches, its oddities included:
 * of expressions with nothing between them ("1.2(1.3)") only the first counts. Ours are the limits,
 * and what regex.h does not support.
 *
 * Source of the rules: conda's conda/models/version.py, treeify and class VersionSpec.
 *
 * A parsed spec lives in the caller's arena and is never changed: threads may share it.
 */
#ifndef ENVWARDEN_LIB_CONDA_VERSION_SPEC_H
#define ENVWARDEN_LIB_CONDA_VERSION_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/conda/version.h"

#define VERSION_SPEC_MAX 16384	  /* bytes */
#define VERSION_SPEC_DEPTH_MAX 64 /* ands within ors within ands ... */

/* Arena bytes that parsing n bytes may take (n <= VERSION_SPEC_MAX). */
#define VERSION_SPEC_MEMORY(n) ((n)*512 + 65536)

struct version_spec_node;

struct version_spec {
	const struct version_spec_node *root;
	bool whole; /* not taken apart, though it has operators: they are behind a line end */
};

/* A version to be matched, parsed once. */
struct version_subject {
	const char *text;
	size_t n;
	bool valid; /* `version` is set */
	struct version version;
};

/* Borrows text and *room. */
void version_subject_init(struct version_subject *s, const char *text, size_t n,
			  struct version_room *room);

/*
 * ERR_INVALID (err names the column), ERR_LIMIT, ERR_UNSUPPORTED (a regular expression that is not
 * understood), ERR_NOMEM.
 */
int version_spec_parse(const char *text, size_t n, struct arena *arena, struct version_spec *out,
		       struct err *err);

/*
 * 1 = matches, 0 = does not, ERR_INVALID = the answer hangs on comparing a version that is none
 * (the subject's, or what is left of "~=1"). As in conda, what comes later in an and (or) whose
 * answer is known is not looked at. Allocates nothing.
 */
int version_spec_match(const struct version_spec *spec, const struct version_subject *subject);

/* Appends the spec's canonical text, which parses to the same spec. */
void version_spec_format(const struct version_spec *spec, struct buf *out);

/* Relations, shared with what build numbers are compared by. */
enum version_relation {
	VERSION_EQUAL,
	VERSION_NOT_EQUAL,
	VERSION_LESS,
	VERSION_LESS_EQUAL,
	VERSION_GREATER,
	VERSION_GREATER_EQUAL,
	VERSION_STARTS,	    /* = */
	VERSION_NOT_STARTS, /* != with .* */
	VERSION_COMPATIBLE, /* ~= */
};

/*
 * Splits "<=1.2" into relation and the rest; ERR_INVALID when it is not one of = == != < <= > >= ~=
 * with a text without blanks behind it.
 */
int version_relation_parse(const char *text, size_t n, enum version_relation *relation,
			   size_t *operator_n);

/* By order alone: not for VERSION_COMPATIBLE. */
bool version_relation_holds(enum version_relation relation, const struct version *v,
			    const struct version *than);

#endif
