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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_one_is_sorted_and_has_each_package_once),
		cmocka_unit_test(there_is_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
