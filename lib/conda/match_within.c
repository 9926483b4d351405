#include "lib/conda/match_within.h"

#include <string.h>

#include "lib/conda/match_test.h"
#include "lib/conda/version_bounds.h"

/* A spec asks at most once for a version. */
static void bounds_of(const struct match_spec *spec, struct version_bounds *out)
{
	*out = (struct version_bounds){.whole = true};
	for (size_t i = 0; i < spec->n; i++)
		if (spec->tests[i].field == MATCH_VERSION)
			version_bounds_of(&spec->tests[i].versions, out);
}

bool match_spec_never(const struct match_spec *spec)
{
	struct version_bounds bounds;

	bounds_of(spec, &bounds);
	return version_bounds_empty(&bounds);
}

bool match_spec_apart(const struct match_spec *a, const struct match_spec *b)
{
	struct version_bounds of_a, of_b, both;

	if (a->name && b->name && strcmp(a->name, b->name) != 0)
		return true;
	bounds_of(a, &of_a);
	bounds_of(b, &of_b);
	version_bounds_meet(&of_a, &of_b, &both);
	return version_bounds_empty(&both);
}

static bool test_within(const struct match_test *inner, const struct match_test *outer)
{
	struct version_bounds in, out;

	if (inner->field != outer->field)
		return false;
	if (inner->kind == outer->kind && inner->n == outer->n &&
	    memcmp(inner->text, outer->text, inner->n) == 0)
		return true;
	if (inner->field != MATCH_VERSION)
		return false;
	version_bounds_of(&inner->versions, &in);
	version_bounds_of(&outer->versions, &out);
	return version_bounds_within(&in, &out);
}

static bool is_implied(const struct match_test *test, const struct match_spec *by)
{
	for (size_t i = 0; i < by->n; i++)
		if (test_within(&by->tests[i], test))
			return true;
	return false;
}

bool match_spec_within(const struct match_spec *inner, const struct match_spec *outer)
{
	for (size_t i = 0; i < outer->n; i++)
		if (!is_implied(&outer->tests[i], inner))
			return false;
	return true;
}
