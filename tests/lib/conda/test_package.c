#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/conda/package.h"
#include "tests/support/fault.h"

#define ID(manager_, name_, version_, build_, number_, channel_, subdir_)                          \
	.manager = manager_, .name = name_, .version = version_, .build = build_,                  \
	.build_number = number_, .channel = channel_, .subdir = subdir_
#define ABOUT(license_, url_, size_) .license = license_, .url = url_, .size = size_
#define PLAIN ID("conda", "b", "1", "h_0", 3, "c", "noarch")
#define MIT ABOUT("MIT", "u", 5)

/* Each stands behind the one before it, by package_cmp where `identity` says so. */
static const struct {
	struct package p;
	bool identity;
} ordered[] = {
	{{ID("conda", "a", "9", "h_0", 3, "c", "noarch"), MIT}, true},
	{{ID("conda", "b", "0", "h_0", 3, "c", "noarch"), MIT}, true},
	{{ID("conda", "b", "1", "h", 3, "c", "noarch"), MIT}, true},
	{{ID("conda", "b", "1", "h_0", PACKAGE_BUILD_NUMBER_UNKNOWN, "c", "noarch"), MIT}, true},
	{{ID("conda", "b", "1", "h_0", 3, "b", "noarch"), MIT}, true},
	{{ID("conda", "b", "1", "h_0", 3, "c", "linux-64"), MIT}, true},
	{{PLAIN, MIT}, true},
	{{PLAIN, MIT, .requested = true}, false},
	{{PLAIN, ABOUT("MIT", "u", 6)}, false},
	{{PLAIN, ABOUT("MIT", "u", UINT64_MAX)}, false},
	{{PLAIN, ABOUT("MIT", "v", 5)}, false},
	{{PLAIN, ABOUT("X", "u", 5)}, false},
	{{PLAIN, MIT, .has_md5 = true, .md5 = {1}}, true},
	{{PLAIN, MIT, .has_md5 = true, .md5 = {2}}, true},
	{{PLAIN, MIT, .has_sha256 = true, .sha256 = {0, 1}}, true},
	{{PLAIN, MIT, .has_sha256 = true, .sha256 = {0, 2}}, true},
	/* Beside a sha256 the md5 is no part of the identity. */
	{{PLAIN, MIT, .has_sha256 = true, .sha256 = {0, 2}, .has_md5 = true}, false},
	{{PLAIN, MIT, .has_sha256 = true, .sha256 = {0, 2}, .has_md5 = true, .md5 = {1}}, false},
	{{PLAIN, MIT, .has_sha256 = true, .sha256 = {0, 2}, .has_md5 = true, .md5 = {1},
	  .built_ms = 1},
	 false},
	{{ID("conda", "b", "1", "h_0", 4, "b", "noarch"), MIT}, true},
	{{ID("conda", "b", "1.1", "h_0", 3, "b", "noarch"), MIT}, true},
	{{ID("conda", "ba", "1", "h_0", 3, "b", "noarch"), MIT}, true},
	{{ID("pypi", "a", "1", "h_0", 3, "b", "noarch"), MIT}, true},
};

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void test_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ordered); i++) {
		bool same = true;

		assert_int_equal(package_cmp_all(&ordered[i].p, &ordered[i].p), 0);
		for (size_t j = i + 1; j < ARRAY_SIZE(ordered); j++) {
			const struct package *a = &ordered[i].p;
			const struct package *b = &ordered[j].p;

			same = same && !ordered[j].identity;
			assert_int_equal(sign(package_cmp_all(a, b)), -1);
			assert_int_equal(sign(package_cmp_all(b, a)), 1);
			assert_int_equal(sign(package_cmp(a, b)), same ? 0 : -1);
			assert_int_equal(sign(package_cmp(b, a)), same ? 0 : 1);
		}
	}
}

static int sort_backwards(void *ctx)
{
	struct package_list list = {0};
	int rc = 0;

	(void)ctx;
	for (size_t i = ARRAY_SIZE(ordered); i > 0 && rc == 0; i--)
		rc = package_list_add(&list, &ordered[i - 1].p);
	if (rc == 0) {
		package_list_sort(&list);
		assert_int_equal(list.n, ARRAY_SIZE(ordered));
		for (size_t i = 0; i < list.n; i++)
			assert_int_equal(package_cmp_all(&list.items[i], &ordered[i].p), 0);
	}
	package_list_deinit(&list);
	return rc;
}

static void test_list(void **state)
{
	struct package_list empty = {0};

	(void)state;
	package_list_sort(&empty);
	package_list_deinit(&empty);
	fault_each_alloc(sort_backwards, NULL, 2);
}

static int copy_one(void *ctx)
{
	struct package p = {PLAIN, MIT, .has_md5 = true, .md5 = {7}, .requested = true};
	struct package copy = {0};
	char name[] = "b";
	struct arena arena;
	int rc;

	(void)ctx;
	p.name = name;
	arena_init(&arena, 1 << 16);
	rc = package_copy(&arena, &p, &copy);
	if (rc == 0) {
		name[0] = 'x';
		p.name = "b";
		assert_int_equal(package_cmp_all(&copy, &p), 0);
	} else {
		assert_null(copy.name);
	}
	arena_deinit(&arena);
	return rc;
}

static void test_copy(void **state)
{
	(void)state;
	fault_each_alloc(copy_one, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
