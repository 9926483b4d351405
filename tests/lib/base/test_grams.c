#include "lib/base/grams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/wildcard.h"

static const char *const texts[] = {"openssl", "Python-Dateutil", "a", "ab", "libffi\n"};

static const struct {
	const char *pattern;
	bool may;
} rows[] = {
	/* those that match */
	{"openssl", true},
	{"OpenSSL", true},
	{"open*", true},
	{"*ssl", true},
	{"*pens*", true},
	{"o*e*l", true},
	{"*", true},
	{"**", true},
	{"python-dateutil", true},
	{"a", true},
	{"*a", true},
	{"b*", false}, /* nothing begins with it */
	{"*b", true},
	{"ab", true},
	{"libffi", true}, /* the line end behind it may count or not */
	{"*ffi", true},
	{"libffi\n", true},
	/* those that have a run which is in none */
	{"", false},
	{"zlib", false},
	{"*zl*", false},
	{"ssl*", false},
	{"*open", false},
	{"*z*", false},
	{"open*z", false},
	{"*openss", false},
	{"penssl", false},
};

static void tells_the_hopeless(void **state)
{
	static struct grams grams;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		grams_add(&grams, texts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (grams_may_match(&grams, rows[i].pattern) != rows[i].may)
			fail_msg("%zu: %s", i, rows[i].pattern);
}

static void of_no_text(void **state)
{
	static const struct grams none;

	(void)state;
	assert_false(grams_may_match(&none, "*"));
	assert_false(grams_may_match(&none, ""));
	assert_false(grams_may_match(&none, "a*"));
}

static void of_an_empty_text(void **state)
{
	static struct grams grams;

	(void)state;
	grams_add(&grams, "");
	assert_true(grams_may_match(&grams, "*"));
	assert_true(grams_may_match(&grams, ""));
	assert_false(grams_may_match(&grams, "a"));
}

/* --- it never denies what matches --- */

static unsigned draw(unsigned n)
{
	static uint64_t chance = 88172645463325252u;

	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (unsigned)((chance >> 20) % n);
}

static void draw_text(const char *letters, char out[8])
{
	size_t n = draw(7);

	for (size_t i = 0; i < n; i++)
		out[i] = letters[draw((unsigned)strlen(letters))];
	out[n] = '\0';
}

static void denies_no_match(void **state)
{
	size_t matched = 0;
	size_t denied = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct grams grams = {{0}};
		char text[8], other[8], pattern[8];
		bool may;

		draw_text("abAz\n\xc3", text);
		draw_text("abz", other);
		draw_text("ab*A*z\n\xc3", pattern);
		grams_add(&grams, text);
		grams_add(&grams, other);
		may = grams_may_match(&grams, pattern);
		denied += !may;
		if (wildcard_match(pattern, text) || wildcard_match_fold(pattern, text) ||
		    wildcard_match(pattern, other)) {
			matched++;
			if (!may)
				fail_msg("\"%s\" matches \"%s\" or \"%s\"", pattern, text, other);
		}
	}
	assert_in_range(matched, 1000, 200000);
	assert_in_range(denied, 100000, 200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_the_hopeless),
		cmocka_unit_test(of_no_text),
		cmocka_unit_test(of_an_empty_text),
		cmocka_unit_test(denies_no_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
