/* What is said of specs without a package: never more than trying packages shows. */
#include "lib/conda/match_within.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

static const struct {
	const char *a, *b;
	bool apart;
} rows[] = {
	{"numpy <1", "numpy >2", true},
	{"numpy <1", "numpy >=1", true},
	{"numpy <=1", "numpy >=1", false},
	{"numpy <1", "*[version='>2']", true},
	{"numpy", "openssl", true},
	{"NumPy", "numpy", false},
	{"num*", "openssl", false}, /* not looked into */
	{"numpy ==1", "numpy ==1.0", false},
	{"numpy ==1", "numpy ==1.1", true},
	{"numpy <1|>3", "numpy >=1,<2", false}, /* nor are alternatives */
	{"numpy 1.*", "numpy >2", false},
	{"numpy =1", "numpy >2", false},
	{"numpy ~=3.1", "numpy <3", true},
	{"numpy !=1", "numpy ==1", false},
	{"numpy >1.26.*", "numpy <1.26", true},
	{"numpy >1.26.*", "numpy ==1.26.4", false}, /* conda takes it as >1.26 */
	{"numpy (<1)", "numpy >2", false},	    /* any numpy */
	{"numpy[version<1]", "numpy >2", false},    /* that too */
	{"numpy[version='^1.*$']", "numpy >2", false},
	{"conda-forge::numpy <1", "defaults::numpy >2", true},
	{"openssl <1.1.1", "openssl ==1.1.1w", false}, /* letters sort before */
	{"openssl >=1.1.1", "openssl ==1.1.1w", true},
};

static void parse(struct arena *arena, const char *text, struct match_spec *out)
{
	struct err err = ERR_INIT;

	if (match_spec_parse(text, strlen(text), arena, out, &err) < 0)
		fail_msg("%s: %s", text, err.text);
}

static void apart_as_they_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct match_spec a, b;
		struct arena arena;

		arena_init(&arena, 1u << 20);
		parse(&arena, rows[i].a, &a);
		parse(&arena, rows[i].b, &b);
		if (match_spec_apart(&a, &b) != rows[i].apart ||
		    match_spec_apart(&b, &a) != rows[i].apart)
			fail_msg("%s, %s", rows[i].a, rows[i].b);
		arena_deinit(&arena);
	}
}

/* --- random ones --- */

static unsigned draw(unsigned n)
{
	static uint64_t chance = 88172645463325252u;

	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (unsigned)((chance >> 20) % n);
}

static const char *const names[] = {"a", "b", "*", "a*"};
static const char *const relations[] = {"<", "<=", ">", ">=", "==", "!=", "=", "~="};
static const char *const versions[] = {
	"0.9",	  "1.0", "1.0.1", "1.1", "1.1.1", "1.1.1a", "1.1.1w", "1.1.2",	  "1.0a",
	"1.0rc1", "2.0", "2.0.0", "2.1", "10.0",  "1!0.1",  "3.0",    "1.0.dev1", "1.0.post1"};

static const char *draw_of(const char *const *list, size_t n)
{
	return list[draw((unsigned)n)];
}

#define DRAW(list) draw_of(list, ARRAY_SIZE(list))

/* "a >=1.0,<2.0|==3.0", with odd ones among them. */
static void draw_spec(char *out, size_t cap)
{
	size_t parts = 1 + draw(3);
	size_t n = (size_t)snprintf(out, cap, "%s ", DRAW(names));

	for (size_t i = 0; i < parts; i++) {
		const char *relation = DRAW(relations);
		bool star = draw(8) == 0 && strcmp(relation, "~=") != 0;

		if (i > 0)
			n += (size_t)snprintf(out + n, cap - n, "%s", draw(6) == 0 ? "|" : ",");
		n += (size_t)snprintf(out + n, cap - n, "%s%s%s", relation, DRAW(versions),
				      star ? ".*" : "");
	}
}

static bool takes_in(const struct match_spec *spec, const char *name, const char *version,
		     struct arena *arena)
{
	const struct match_package package = {.name = name, .version = version, .build = "0"};
	struct match_subject subject;

	assert_int_equal(match_subject_init(&subject, &package, arena, NULL), 0);
	return match_spec_match(spec, &subject) == 1;
}

static void no_package_is_of_both(void **state)
{
	size_t apart = 0, together = 0;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		char texts[2][128];
		struct match_spec specs[2];
		struct arena arena;
		bool said;

		arena_init(&arena, 4u << 20);
		for (size_t i = 0; i < 2; i++) {
			draw_spec(texts[i], sizeof(texts[i]));
			parse(&arena, texts[i], &specs[i]);
		}
		said = match_spec_apart(&specs[0], &specs[1]);
		apart += said;
		for (size_t v = 0; v < 2 * ARRAY_SIZE(versions); v++) {
			const char *name = v % 2 ? "a" : "b";
			const char *version = versions[v / 2];
			bool both = takes_in(&specs[0], name, version, &arena) &&
				    takes_in(&specs[1], name, version, &arena);

			together += both;
			if (both && said)
				fail_msg("%s and %s are of \"%s\" and \"%s\"", name, version,
					 texts[0], texts[1]);
		}
		arena_deinit(&arena);
	}
	assert_in_range(apart, 4000, 16000); /* it is not always unknown */
	assert_in_range(together, 4000, 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apart_as_they_read),
		cmocka_unit_test(no_package_is_of_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
