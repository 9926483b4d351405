/*
 * Patterns by the thousand: what they hold for is what asking every one of every package gives, and
 * those that can't apply cost next to nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/wildcard.h"
#include "lib/conda/match_spec.h"
#include "lib/policy/package_set.h"

#define NOW INT64_C(1790000000000)
#define SPECS 1000
#define PACKAGES 400
#define TEXT 32

static unsigned draw(unsigned n)
{
	static uint64_t chance = 88172645463325252u;

	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (unsigned)((chance >> 20) % n);
}

struct world {
	struct arena arena;
	char texts[PACKAGES][TEXT];
	struct package packages[PACKAGES];
	struct policy_package list[PACKAGES];
	struct policy_facts facts;
	char patterns[SPECS][TEXT];
	const char *items[SPECS];
	struct match_spec specs[SPECS];
	set_word set[SET_WORDS(PACKAGES)];
};

static struct world world;

static void add_package(struct world *w, size_t i, const char *channel)
{
	w->packages[i] = (struct package){.manager = "conda",
					  .name = w->texts[i],
					  .version = "1.0",
					  .build = "0",
					  .channel = channel,
					  .subdir = "noarch",
					  .license = w->texts[i],
					  .url = ""};
	w->list[i] = (struct policy_package){.package = &w->packages[i]};
	w->facts.packages = w->list;
	w->facts.n_packages = i + 1;
}

static void add_pattern(struct world *w, size_t i)
{
	w->items[i] = w->patterns[i];
	assert_int_equal(match_spec_parse(w->patterns[i], strlen(w->patterns[i]), &w->arena,
					  &w->specs[i], NULL),
			 0);
}

static void draw_text(const char *letters, char *out)
{
	size_t n = 1 + draw(6);

	for (size_t i = 0; i < n; i++)
		out[i] = letters[draw((unsigned)strlen(letters))];
	out[n] = '\0';
}

static void eval(struct world *w, const struct condition *condition)
{
	struct universe *universe;
	int64_t until_ms = INT64_MAX;

	assert_int_equal(universe_new(&w->facts, NOW, &w->arena, &universe), 0);
	assert_int_equal(condition_eval(universe, condition, w->set, &until_ms), 0);
}

static bool spec_holds(const struct world *w, size_t spec, size_t package)
{
	const struct match_package p = {.name = w->packages[package].name,
					.version = "1.0",
					.build = "0",
					.channel = w->packages[package].channel,
					.subdir = "noarch"};
	struct match_subject subject;

	assert_int_equal(match_subject_init(&subject, &p, &world.arena, NULL), 0);
	return match_spec_match(&w->specs[spec], &subject) == 1;
}

static bool channel_holds(struct world *w, const char *pattern, const char *url)
{
	struct channel_name name = {0};

	assert_int_equal(channel_name_parse(url, strlen(url), &w->arena, &name, NULL), 0);
	return wildcard_match(pattern, url) ||
	       (name.canonical && wildcard_match(pattern, name.canonical)) ||
	       (name.name && wildcard_match(pattern, name.name)) ||
	       (name.base_url && wildcard_match(pattern, name.base_url));
}

static const char *const channels[] = {"https://conda.anaconda.org/abba", "pypi",
				       "https://mirror.example.org/za"};

/* One condition of some few patterns each, of each kind that has patterns about packages. */
static void holds_for_the_same(void **state)
{
	struct world *w = &world;
	size_t held = 0;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		size_t n_packages = 1 + draw(5);
		size_t n = 1 + draw(4);
		struct condition by_spec = {
			.kind = CONDITION_PACKAGE, .specs = w->specs, .n_specs = n};
		struct condition by_license = {.kind = CONDITION_LICENSE, .texts = {w->items, n}};
		struct condition by_channel = {.kind = CONDITION_CHANNEL, .texts = {w->items, n}};

		arena_init(&w->arena, 1u << 20);
		for (size_t i = 0; i < n_packages; i++) {
			draw_text("abzA-\n", w->texts[i]);
			add_package(w, i, channels[draw(ARRAY_SIZE(channels))]);
		}
		for (size_t i = 0; i < n; i++) {
			draw_text("ab*z*", w->patterns[i]);
			add_pattern(w, i);
		}
		eval(w, &by_spec);
		for (size_t i = 0; i < n_packages; i++) {
			bool holds = false;

			for (size_t k = 0; k < n; k++)
				holds = holds || spec_holds(w, k, i);
			held += holds;
			if (set_has(w->set, i) != holds)
				fail_msg("package \"%s\", \"%s\"...", w->texts[i], w->patterns[0]);
		}
		eval(w, &by_license);
		for (size_t i = 0; i < n_packages; i++) {
			bool holds = false;

			for (size_t k = 0; k < n; k++)
				holds = holds || wildcard_match_fold(w->items[k], w->texts[i]);
			if (set_has(w->set, i) != holds)
				fail_msg("license \"%s\", \"%s\"...", w->texts[i], w->patterns[0]);
		}
		eval(w, &by_channel);
		for (size_t i = 0; i < n_packages; i++) {
			const char *url = w->packages[i].channel;
			bool holds = false;

			for (size_t k = 0; k < n; k++)
				holds = holds || channel_holds(w, w->items[k], url);
			if (set_has(w->set, i) != holds)
				fail_msg("channel \"%s\", \"%s\"...", url, w->patterns[0]);
		}
		arena_deinit(&w->arena);
	}
	assert_in_range(held, 1000, 9000);
}

/* --- cost --- */

/* Processor time of asking all patterns of all packages, one after the other. */
static clock_t one_by_one(struct world *w)
{
	struct match_subject *subjects = arena_calloc(&w->arena, PACKAGES, sizeof(*subjects));
	size_t held = 0;
	clock_t begin;

	assert_non_null(subjects);
	for (size_t i = 0; i < PACKAGES; i++) {
		const struct match_package p = {.name = w->texts[i], .version = "1.0"};

		assert_int_equal(match_subject_init(&subjects[i], &p, &w->arena, NULL), 0);
	}
	begin = clock();
	for (size_t k = 0; k < SPECS; k++)
		for (size_t i = 0; i < PACKAGES; i++)
			held += match_spec_match(&w->specs[k], &subjects[i]) == 1;
	assert_int_equal(held, 0);
	return clock() - begin;
}

/* Ten times as often in less time; it is some hundred times. */
static void passes_over_what_cannot_apply(void **state)
{
	struct world *w = &world;
	struct condition by_spec = {.kind = CONDITION_PACKAGE, .specs = w->specs, .n_specs = SPECS};
	struct universe *universe;
	int64_t until_ms = INT64_MAX;
	clock_t begin, slow;

	(void)state;
	arena_init(&w->arena, 64u << 20);
	for (size_t i = 0; i < PACKAGES; i++) {
		(void)snprintf(w->texts[i], TEXT, "lib-package%zu", i);
		add_package(w, i, "pypi");
	}
	for (size_t i = 0; i < SPECS; i++) {
		(void)snprintf(w->patterns[i], TEXT, "*q%zux*", i);
		add_pattern(w, i);
	}
	slow = one_by_one(w);
	assert_int_equal(universe_new(&w->facts, NOW, &w->arena, &universe), 0);
	begin = clock();
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(condition_eval(universe, &by_spec, w->set, &until_ms), 0);
	if (clock() - begin > slow)
		fail_msg("%ld, one by one %ld", (long)(clock() - begin), (long)slow);
	arena_deinit(&w->arena);
}

/* Whoever waited is gone: nothing more is asked. */
static void ends_when_canceled(void **state)
{
	struct world *w = &world;
	struct condition by_spec = {.kind = CONDITION_PACKAGE, .specs = w->specs, .n_specs = 1};
	atomic_bool canceled;
	struct universe *universe;
	int64_t until_ms = INT64_MAX;

	(void)state;
	arena_init(&w->arena, 1u << 20);
	(void)snprintf(w->texts[0], TEXT, "abc");
	add_package(w, 0, "pypi");
	(void)snprintf(w->patterns[0], TEXT, "*b*");
	add_pattern(w, 0);
	assert_int_equal(universe_new(&w->facts, NOW, &w->arena, &universe), 0);
	atomic_init(&canceled, false);
	universe_heed(universe, &canceled);
	assert_int_equal(condition_eval(universe, &by_spec, w->set, &until_ms), 0);
	assert_true(set_has(w->set, 0));
	atomic_store(&canceled, true);
	assert_int_equal(condition_eval(universe, &by_spec, w->set, &until_ms), ERR_CANCELED);
	arena_deinit(&w->arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_for_the_same),
		cmocka_unit_test(passes_over_what_cannot_apply),
		cmocka_unit_test(ends_when_canceled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
