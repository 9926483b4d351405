#include "agent/core/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "tests/agent/samples.h"

static void a_sealed_one_is_sorted_and_has_each_package_once(void **state)
{
	struct snapshot a;
	struct snapshot b;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	sample_snapshot(&a, &arena, "/e", 1, "c=1 a=1 b=1 a=1");
	sample_snapshot(&b, &arena, "/e", 1, "a=1 b=1 c=1");
	assert_string_equal(sample_text(&arena, &a.packages), "a=1 b=1 c=1");
	assert_memory_equal(a.digest, b.digest, sizeof(a.digest));
	assert_memory_equal(a.attribute_digest, b.attribute_digest, sizeof(a.digest));
	b.packages.items[0].requested = true;
	assert_int_equal(snapshot_seal(&b), 0);
	assert_memory_equal(a.digest, b.digest, sizeof(a.digest));
	assert_memory_not_equal(a.attribute_digest, b.attribute_digest, sizeof(a.digest));
	snapshot_deinit(&a);
	snapshot_deinit(&b);
	arena_deinit(&arena);
}

static void there_is_a_limit(void **state)
{
	struct snapshot s;
	struct package p = {0};

	(void)state;
	snapshot_init(&s);
	for (int i = 0; i <= SNAPSHOT_PACKAGES_MAX; i++)
		assert_int_equal(package_list_add(&s.packages, &p), 0);
	assert_int_equal(snapshot_seal(&s), ERR_LIMIT);
	snapshot_deinit(&s);
}

static void who_lacks_the_pieces(void **state)
{
	static const struct {
		const char *conda; /* names of its packages, each with a space behind */
		const char *pypi;
		bool lacks;
	} cases[] = {
		{"", "", false},
		{"python numpy ", "", false},
		{"conda ", "", false}, /* no Python of its own: nothing to place them in */
		{"python ", "conda ", false},
		{"conda python ", "", true},
		{"python mamba ", "requests ", true},
		{"conda python ", "requests envwarden-hooks ", false},
		{"conda python ", "envwarden-hook ", true},
		{"conda python envwarden-hooks ", "", true}, /* a namesake */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *lists[] = {cases[i].pypi, cases[i].conda};
		struct arena arena;
		struct snapshot s;

		arena_init(&arena, 4096);
		snapshot_init(&s);
		for (size_t l = 0; l < 2; l++) {
			for (const char *p = lists[l]; *p != '\0'; p = strchr(p, ' ') + 1) {
				struct package package = {
					.manager = l == 0 ? "pypi" : "conda",
					.name = arena_strndup(&arena, p, strcspn(p, " "))};

				assert_int_equal(package_list_add(&s.packages, &package), 0);
			}
		}
		assert_int_equal(snapshot_lacks_pieces(&s), cases[i].lacks);
		snapshot_deinit(&s);
		arena_deinit(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_one_is_sorted_and_has_each_package_once),
		cmocka_unit_test(there_is_a_limit),
		cmocka_unit_test(who_lacks_the_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
