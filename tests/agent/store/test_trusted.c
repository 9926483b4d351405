#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/store/store.h"
#include "lib/base/mem.h"
#include "tests/agent/store/fixture.h"

#define BIG (3 * 262144 + 17)

static void check(struct fixture *f, const char *role, uint64_t version, const void *data, size_t n)
{
	struct buf out;
	uint64_t got;

	buf_init(&out, STORE_BUNDLE_MAX);
	assert_int_equal(store_trusted_get(f->store, role, &got, &out, NULL), 0);
	assert_int_equal(got, version);
	assert_int_equal(out.len, n);
	if (n > 0)
		assert_memory_equal(out.data, data, n);
	buf_deinit(&out);
}

static void sets_are_held_and_replaced(void **state)
{
	struct fixture *f = *state;
	char *big = mem_alloc(BIG);
	struct store_bundle first[] = {{"root", 1, "r1", 2}, {"status", 7, "s7", 2}};
	struct store_bundle second[] = {{"status", 8, "", 0}, {"advisories", 3, big, BIG}};
	struct buf out;
	uint64_t version;

	assert_non_null(big);
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)(i * 31 >> 3);
	buf_init(&out, 100);
	assert_int_equal(store_trusted_get(f->store, "root", &version, &out, NULL), ERR_NOTFOUND);
	assert_int_equal(store_trusted_put(f->store, first, 2, NULL), 0);
	check(f, "root", 1, "r1", 2);
	assert_int_equal(store_trusted_put(f->store, second, 2, NULL), 0);
	fixture_reopen(f);
	check(f, "root", 1, "r1", 2);
	check(f, "status", 8, "", 0);
	check(f, "advisories", 3, big, BIG);
	assert_int_equal(store_trusted_get(f->store, "advisories", &version, &out, NULL),
			 ERR_LIMIT);
	assert_int_equal(store_trusted_clear(f->store, NULL), 0);
	buf_clear(&out);
	assert_int_equal(store_trusted_get(f->store, "root", &version, &out, NULL), ERR_NOTFOUND);
	buf_deinit(&out);
	mem_free(big);
}

static void limits(void **state)
{
	struct fixture *f = *state;
	struct store_bundle bad_role = {"a-role-that-is-too-long", 1, "x", 1};
	struct store_bundle too_big = {"status", 1, "x", (size_t)STORE_BUNDLE_MAX + 1};

	assert_int_equal(store_trusted_put(f->store, &bad_role, 1, NULL), ERR_INVALID);
	assert_int_equal(store_trusted_put(f->store, &too_big, 1, NULL), ERR_LIMIT);
}

/* Big bundles put again and again do not make the file grow: old pieces are removed. */
static void old_generations_are_removed(void **state)
{
	struct fixture *f = *state;
	char *big = mem_calloc(1, BIG);
	struct store_bundle set = {"advisories", 1, big, BIG};

	assert_non_null(big);
	f->options.map_max_bytes = 8 << 20;
	fixture_reopen(f);
	for (uint64_t i = 1; i <= 30; i++) {
		set.version = i;
		assert_int_equal(store_trusted_put(f->store, &set, 1, NULL), 0);
	}
	check(f, "advisories", 30, big, BIG);
	mem_free(big);
}

static int put_set(void *ctx)
{
	struct fixture *f = ctx;
	struct store_bundle set[] = {{"status", 2, "new", 3}, {"policy", 2, "new", 3}};

	return store_trusted_put(f->store, set, 2, NULL);
}

static void a_set_goes_in_as_a_whole(void **state)
{
	struct fixture *f = *state;
	struct store_bundle set[] = {{"status", 1, "old", 3}, {"policy", 1, "old", 3}};

	for (long n = 0;; n++) {
		bool failed;
		int rc;

		assert_int_equal(store_trusted_put(f->store, set, 2, NULL), 0);
		mem_fail_after(n);
		rc = put_set(f);
		failed = !mem_fail_pending();
		mem_fail_after(-1);
		check(f, "status", rc < 0 ? 1 : 2, rc < 0 ? "old" : "new", 3);
		check(f, "policy", rc < 0 ? 1 : 2, rc < 0 ? "old" : "new", 3);
		if (!failed)
			break;
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(sets_are_held_and_replaced),
		TEST(limits),
		TEST(old_generations_are_removed),
		TEST(a_set_goes_in_as_a_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
