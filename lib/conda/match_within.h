/*
 * What can be said of MatchSpecs without a package. Unknown is never guessed: false then.
 *
 * Pure.
 */
#ifndef ENVWARDEN_LIB_CONDA_MATCH_WITHIN_H
#define ENVWARDEN_LIB_CONDA_MATCH_WITHIN_H

#include "lib/conda/match_spec.h"

/* No package can match, for its version would have to be above and below: "numpy >2,<1". */
bool match_spec_never(const struct match_spec *spec);

/* No package can match both: "numpy <1" and "numpy >2", "numpy" and "openssl". */
bool match_spec_apart(const struct match_spec *a, const struct match_spec *b);

/* Every package that matches `inner` matches `outer`: "openssl <1.1" and "openssl <3". */
bool match_spec_within(const struct match_spec *inner, const struct match_spec *outer);

#endif
