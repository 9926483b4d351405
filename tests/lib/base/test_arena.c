#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "tests/support/fault.h"

static void pieces_are_aligned_zeroed_and_apart(void **state)
{
	static const size_t sizes[] = {0, 1, 7, 16, 100, 4000, 5000, 1, 300000, 8, 70000, 3};
	unsigned char *pieces[ARRAY_SIZE(sizes)];
	struct arena a;
	(void)state;

	arena_init(&a, 1 << 20);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			pieces[i] = arena_alloc(&a, sizes[i]);
			assert_non_null(pieces[i]);
			assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
			for (size_t j = 0; j < sizes[i]; j++)
				assert_int_equal(pieces[i][j], 0);
			if (sizes[i] > 0)
				memset(pieces[i], (int)i + 1, sizes[i]);
		}
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			for (size_t j = 0; j < sizes[i]; j++)
				assert_int_equal(pieces[i][j], i + 1);
		}
		arena_reset(&a);
	}
	arena_deinit(&a);
	arena_deinit(&a);
}

static void stays_below_its_maximum(void **state)
{
	struct arena a;
	size_t got = 0;
	(void)state;

	arena_init(&a, 10000);
	assert_false(a.full);
	assert_null(arena_alloc(&a, 10000));
	assert_true(a.full);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 8));
	assert_null(arena_calloc(&a, SIZE_MAX / 2, 3));
	while (arena_alloc(&a, 100))
		got += 100;
	assert_in_range(got, 8000, 10000);
	assert_true(a.used <= a.max);
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 3000));
	arena_deinit(&a);
	arena_init(&a, 0);
	assert_null(arena_alloc(&a, 0));
	arena_deinit(&a);
}

static void copies(void **state)
{
	struct arena a;
	char *text;
	(void)state;

	arena_init(&a, 4096);
	assert_null(arena_strdup(&a, NULL));
	text = arena_strdup(&a, "zlib");
	assert_string_equal(text, "zlib");
	assert_string_equal(arena_strndup(&a, "numpy-1", 5), "numpy");
	assert_string_equal(arena_strndup(&a, NULL, 0), "");
	assert_null(arena_strndup(&a, "x", SIZE_MAX));
	assert_memory_equal(arena_dup(&a, "a\0b", 3), "a\0b", 3);
	assert_string_equal(text, "zlib");
	arena_deinit(&a);
}

static int fill(void *ctx)
{
	struct arena a;
	int rc = 0;
	(void)ctx;

	arena_init(&a, 1 << 20);
	for (size_t i = 0; i < 200 && rc == 0; i++) {
		if (!arena_alloc(&a, 997))
			rc = ERR_NOMEM;
	}
	arena_deinit(&a);
	return rc;
}

static void survives_lack_of_memory(void **state)
{
	(void)state;
	fault_each_alloc(fill, NULL, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_aligned_zeroed_and_apart),
		cmocka_unit_test(stays_below_its_maximum),
		cmocka_unit_test(copies),
		cmocka_unit_test(survives_lack_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
