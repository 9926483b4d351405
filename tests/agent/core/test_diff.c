#include "agent/core/diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/agent/samples.h"
#include "tests/support/fault.h"

static void differences(void **state)
{
	static const struct {
		const char *before;
		const char *after;
		const char *added;
		const char *removed;
	} rows[] = {
		{"", "", "", ""},
		{"a=1", "a=1", "", ""},
		{"", "a=1 b=1", "a=1 b=1", ""},
		{"a=1 b=1", "", "", "a=1 b=1"},
		{"a=1 b=1 c=1", "a=1 b=2 c=1", "b=2", "b=1"},
		{"a=1 c=1", "b=1 d=1", "b=1 d=1", "a=1 c=1"},
		{"a=1", "pypi:a=1", "a=1", "a=1"},
		{"b=1 c=1 z=1", "a=1 c=1", "a=1", "b=1 z=1"},
	};
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct snapshot before;
		struct snapshot after;
		struct diff d;

		sample_snapshot(&before, &arena, "/e", 1, rows[i].before);
		sample_snapshot(&after, &arena, "/e", 1, rows[i].after);
		assert_int_equal(diff_packages(&before.packages, &after.packages, &d), 0);
		assert_string_equal(sample_text(&arena, &d.added), rows[i].added);
		assert_string_equal(sample_text(&arena, &d.removed), rows[i].removed);
		assert_false(d.attributes);
		diff_deinit(&d);
		snapshot_deinit(&before);
		snapshot_deinit(&after);
	}
	arena_deinit(&arena);
}

static void attributes_are_no_difference_of_packages(void **state)
{
	struct snapshot before;
	struct snapshot after;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	sample_snapshot(&before, &arena, "/e", 1, "a=1 b=1");
	for (int field = 0; field < 5; field++) {
		struct package *p;
		struct diff d;

		sample_snapshot(&after, &arena, "/e", 1, "a=1 b=1");
		p = &after.packages.items[0];
		p->requested = field == 0;
		p->license = field == 1 ? "GPL" : p->license;
		p->url = field == 2 ? "https://x" : p->url;
		p->size = field == 3 ? 5 : p->size;
		p->built_ms = field == 4 ? 5 : p->built_ms;
		assert_int_equal(diff_packages(&before.packages, &after.packages, &d), 0);
		assert_int_equal(d.added.n + d.removed.n, 0);
		assert_true(d.attributes);
		diff_deinit(&d);
		snapshot_deinit(&after);
	}
	snapshot_deinit(&before);
	arena_deinit(&arena);
}

struct lists {
	struct snapshot before;
	struct snapshot after;
};

static int diff_once(void *ctx)
{
	struct lists *l = ctx;
	struct diff d;
	int rc = diff_packages(&l->before.packages, &l->after.packages, &d);

	if (rc == 0)
		diff_deinit(&d);
	return rc;
}

static void memory_may_run_out(void **state)
{
	struct lists l;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	sample_snapshot(&l.before, &arena, "/e", 1, "a=1 b=1");
	sample_snapshot(&l.after, &arena, "/e", 1, "a=2 b=1");
	fault_each_alloc(diff_once, &l, 2);
	snapshot_deinit(&l.before);
	snapshot_deinit(&l.after);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(differences),
		cmocka_unit_test(attributes_are_no_difference_of_packages),
		cmocka_unit_test(memory_may_run_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
