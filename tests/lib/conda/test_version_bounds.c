/* What is known of a spec without a version: never more than trying versions shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/conda/version_bounds.h"

static const struct {
	const char *spec;
	bool empty;
	bool whole;
} cases[] = {
	{"*", false, true},
	{">=1", false, true},
	{">=1,<2", false, true},
	{">2,<1", true, true},
	{">=1,<1", true, true},
	{">1,<=1", true, true},
	{">=1,<=1", false, true},
	{"==1,>=1.0", false, true},
	{"==1.1.1w,>=1.1.1", true, true},
	{"==1,<1.0", true, true},
	{">=3,<2,=5", true, false},
	{"=5", false, false},
	{">=3|<2", false, false},
	{"(>=3|<2),<1", false, false},
	{"1.*.3", false, false},
	{"~=2.1,<2", true, false},
	{"!=1", false, false},
	{">1,>3,<5,<3", true, true},
	{"^1\\.2$,<1", false, false},
};

static void bounds_are_as_they_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].spec;
		struct version_bounds bounds;
		struct version_spec spec;
		struct arena arena;

		arena_init(&arena, VERSION_SPEC_MEMORY(64));
		assert_int_equal(version_spec_parse(text, strlen(text), &arena, &spec, NULL), 0);
		version_bounds_of(&spec, &bounds);
		if (version_bounds_empty(&bounds) != cases[i].empty ||
		    bounds.whole != cases[i].whole)
			fail_msg("%s: empty %d, whole %d", text, version_bounds_empty(&bounds),
				 bounds.whole);
		arena_deinit(&arena);
	}
}

/* Specs and versions of every kind against each other. */
static const char *const specs[] = {
	"*",	 "<1",	  "<=1",       "<1.1.1", ">1",	  ">=1",   ">=1.1.1",  "==1",	"=1",
	"~=1.1", ">1,<2", ">=1,<=1.1", "<1|>2",	 "!=1.1", "1.1.*", "==1.1.1w", "<2,=1", ">=2,<2",
};
static const char *const versions[] = {"0.9",	  "1",	    "1.0",   "1.0.1", "1.1",	"1.1.1",
				       "1.1.1a",  "1.1.1w", "1.1.2", "1a",    "1.dev1", "1rc1",
				       "1.post1", "2",	    "2.0",   "2.1",   "10",	"1!0.1"};

static bool takes_in(const struct version_spec *spec, const char *version)
{
	struct version_subject subject;
	struct version_room room;

	version_subject_init(&subject, version, strlen(version), &room);
	return version_spec_match(spec, &subject) == 1;
}

static void what_is_within_takes_in_no_more(void **state)
{
	struct version_spec parsed[ARRAY_SIZE(specs)];
	struct version_bounds bounds[ARRAY_SIZE(specs)];
	struct arena arena;
	size_t n_within = 0;

	(void)state;
	arena_init(&arena, VERSION_SPEC_MEMORY(4096));
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		assert_int_equal(
			version_spec_parse(specs[i], strlen(specs[i]), &arena, &parsed[i], NULL),
			0);
		version_bounds_of(&parsed[i], &bounds[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(specs); k++) {
			bool within = version_bounds_within(&bounds[i], &bounds[k]);

			n_within += within;
			for (size_t v = 0; within && v < ARRAY_SIZE(versions); v++)
				if (takes_in(&parsed[i], versions[v]) &&
				    !takes_in(&parsed[k], versions[v]))
					fail_msg("%s: in %s, not in %s", versions[v], specs[i],
						 specs[k]);
		}
		for (size_t v = 0; version_bounds_empty(&bounds[i]) && v < ARRAY_SIZE(versions);
		     v++)
			assert_false(takes_in(&parsed[i], versions[v]));
	}
	assert_true(n_within > 2 * ARRAY_SIZE(specs)); /* it is not always unknown */
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_as_they_read),
		cmocka_unit_test(what_is_within_takes_in_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
