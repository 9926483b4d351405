#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/conda/version.h"
#include "tests/lib/conda/rows.h"

static int parse(const char *text, struct version_room *room, struct version *v)
{
	struct err err = ERR_INIT;
	int rc = version_parse(text, strlen(text), room, v, &err);

	assert_true(rc == 0 ? err.text[0] == '\0' : err.text[0] != '\0');
	return rc;
}

static int compare(const char *a, const char *b)
{
	struct version_room rooms[2];
	struct version va, vb;
	int order;

	assert_int_equal(parse(a, &rooms[0], &va), 0);
	assert_int_equal(parse(b, &rooms[1], &vb), 0);
	order = version_cmp(&va, &vb);
	return order < 0 ? -1 : order > 0;
}

static void check_order(const char *table, size_t least)
{
	struct rows rows;

	rows_load(&rows, table, least);
	for (size_t i = 0; i < rows.n; i++) {
		char **f = rows.items[i].fields;
		int expected = f[1][0] == '<' ? -1 : f[1][0] == '>';

		if (compare(f[0], f[2]) != expected || compare(f[2], f[0]) != -expected)
			fail_msg("line %zu: %s %s %s", rows.items[i].line, f[0], f[1], f[2]);
	}
	rows_free(&rows);
}

static void test_order_table(void **state)
{
	(void)state;
	check_order("version-order", 1000);
	check_order("more-version-order", 150);
}

static void check_valid(const char *table, size_t least)
{
	struct version_room room;
	struct version v;
	struct rows rows;

	rows_load(&rows, table, least);
	for (size_t i = 0; i < rows.n; i++) {
		char **f = rows.items[i].fields;

		if ((parse(f[0], &room, &v) == 0) != (strcmp(f[1], "valid") == 0))
			fail_msg("line %zu: \"%s\" is %s", rows.items[i].line, f[0], f[1]);
	}
	rows_free(&rows);
}

static void test_valid_table(void **state)
{
	(void)state;
	check_valid("version-valid", 200);
	check_valid("more-version-valid", 200);
}

/* Every version of every table, once each. */
struct all {
	const char **texts;
	struct version_room *rooms;
	struct version *versions;
	size_t n;
};

static const struct {
	const char *table;
	size_t columns[2];
} sources[] = {
	{"version-order", {0, 2}},
	{"version-valid", {0, 0}},
	{"version-match", {1, 1}},
	{"matchspec-match", {2, 2}},
};

static void add(struct all *all, const char *text)
{
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->texts[i], text) == 0)
			return;
	if (version_parse(text, strlen(text), &all->rooms[all->n], &all->versions[all->n], NULL) ==
	    0)
		all->texts[all->n++] = text;
}

static void test_order_is_total(void **state)
{
	struct rows rows[ARRAY_SIZE(sources)];
	struct all all = {.n = 0};
	const size_t cap = 4096;

	(void)state;
	all.texts = mem_calloc(cap, sizeof(*all.texts));
	all.rooms = mem_calloc(cap, sizeof(*all.rooms));
	all.versions = mem_calloc(cap, sizeof(*all.versions));
	assert_true(all.texts && all.rooms && all.versions);
	for (size_t s = 0; s < ARRAY_SIZE(sources); s++) {
		rows_load(&rows[s], sources[s].table, 1);
		for (size_t i = 0; i < rows[s].n; i++)
			for (size_t c = 0; c < 2; c++)
				add(&all, rows[s].items[i].fields[sources[s].columns[c]]);
	}
	assert_in_range(all.n, 150, cap);
	for (size_t a = 0; a < all.n; a++)
		for (size_t b = 0; b < all.n; b++) {
			int ab = version_cmp(&all.versions[a], &all.versions[b]);
			int ba = version_cmp(&all.versions[b], &all.versions[a]);

			assert_int_equal((ab > 0) - (ab < 0), (ba < 0) - (ba > 0));
			assert_true(a != b || ab == 0);
			for (size_t c = 0; c < all.n && ab <= 0; c++) {
				int bc = version_cmp(&all.versions[b], &all.versions[c]);
				int ac = version_cmp(&all.versions[a], &all.versions[c]);

				if (bc <= 0 && (ac > 0 || (ac == 0) != (ab == 0 && bc == 0)))
					fail_msg("%s, %s, %s", all.texts[a], all.texts[b],
						 all.texts[c]);
			}
		}
	for (size_t s = 0; s < ARRAY_SIZE(sources); s++)
		rows_free(&rows[s]);
	mem_free(all.texts);
	mem_free(all.rooms);
	mem_free(all.versions);
}

static const struct {
	const char *version, *prefix;
	bool starts;
} prefixes[] = {
	{"1.7.1", "1.7", true},	    {"1.70", "1.7", false},
	{"1.1a", "1.1", true},	    {"1.1rc1", "1.1", true},
	{"1.1+x.1", "1.1", true},   {"1.1", "1.1.0", true},
	{"1.1.0.0", "1.1.0", true}, {"1.1.2", "1.1.0", false},
	{"1.1.0a", "1.1.0", true},  {"1.1alpha", "1.1a", true},
	{"1.1", "1.1a", false},	    {"1.1dev", "1.1d", false},
	{"1.1+x.1", "1.1+x", true}, {"1.1", "1.1+0", true},
	{"1.1+1", "1.1+0", false},  {"1.2+x.1", "1.1+x", false},
	{"1!1.1", "1.1", false},    {"1", "0", false},
	{"0.1", "0", true},	    {"1.1post2", "1.1post", true},
	{"1.0", "1.0.0.0", true},   {"1.0.0.1", "1.0.0.0", false},
	{"1.a", "1.0", true},	    {"1", "1.a", false},
};

static void test_starts_with(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		struct version_room rooms[2];
		struct version v, p;

		assert_int_equal(parse(prefixes[i].version, &rooms[0], &v), 0);
		assert_int_equal(parse(prefixes[i].prefix, &rooms[1], &p), 0);
		if (version_starts_with(&v, &p) != prefixes[i].starts)
			fail_msg("%s, %s", prefixes[i].version, prefixes[i].prefix);
	}
}

static void test_long(void **state)
{
	char text[VERSION_TEXT_MAX + 2];
	struct version_room rooms[2];
	struct version a, b;

	(void)state;
	memset(text, '9', sizeof(text));
	assert_int_equal(version_parse(text, VERSION_TEXT_MAX, &rooms[0], &a, NULL), 0);
	text[VERSION_TEXT_MAX - 1] = '8';
	assert_int_equal(version_parse(text, VERSION_TEXT_MAX, &rooms[1], &b, NULL), 0);
	assert_true(version_cmp(&a, &b) > 0);
	assert_true(compare("1post", "1") > 0);
	assert_int_equal(version_parse(text, VERSION_TEXT_MAX + 1, &rooms[0], &a, NULL), ERR_LIMIT);
	/* The longest key there is. */
	for (size_t i = 0; i < VERSION_TEXT_MAX; i++)
		text[i] = i % 2 ? 'a' : '1';
	assert_int_equal(version_parse(text, VERSION_TEXT_MAX, &rooms[0], &a, NULL), 0);
	assert_in_range(a.n, VERSION_TEXT_MAX, VERSION_KEY_MAX);
	for (size_t i = 0; i < VERSION_TEXT_MAX - 1; i++)
		text[i] = i % 2 ? '.' : '1';
	text[VERSION_TEXT_MAX - 1] = 'a';
	assert_int_equal(version_parse(text, VERSION_TEXT_MAX, &rooms[1], &b, NULL), 0);
	assert_true(version_cmp(&a, &b) < 0);
}

static void test_normal_text_is_the_same_version(void **state)
{
	struct rows rows;

	(void)state;
	rows_load(&rows, "version-valid", 200);
	for (size_t i = 0; i < rows.n; i++) {
		char once[VERSION_TEXT_MAX + 1], twice[VERSION_TEXT_MAX + 1];
		char **f = rows.items[i].fields;
		size_t n;

		if (strcmp(f[1], "valid") != 0)
			continue;
		n = version_normalise(f[0], strlen(f[0]), once);
		once[n] = '\0';
		assert_int_equal(compare(f[0], once), 0);
		assert_int_equal(version_normalise(once, n, twice), n);
		assert_memory_equal(once, twice, n);
	}
	rows_free(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_table),
		cmocka_unit_test(test_valid_table),
		cmocka_unit_test(test_order_is_total),
		cmocka_unit_test(test_starts_with),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_normal_text_is_the_same_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
