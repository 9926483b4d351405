/* Policies that agents would have no room for, before they are signed. */
#include "server/api/policy_fits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/policy/policy_read.h"
#include "tests/support/fault.h"

#define MIB ((size_t)1 << 20)

static void policy_of(const char *what, size_t times, struct arena *arena, struct policy *out)
{
	struct problems problems;
	struct buf yaml;

	buf_init(&yaml, 8 * MIB);
	problems_init(&problems, arena);
	buf_adds(&yaml, "policy: 1\nrules:\n");
	for (size_t i = 0; i < times; i++)
		buf_addf(&yaml, "  - {id: r%zu, action: warn, when: %s}\n", i, what);
	assert_int_equal(policy_read(yaml.data, yaml.len, arena, out, &problems, NULL), 0);
	buf_deinit(&yaml);
}

static void test_fits(void **state)
{
	static const struct {
		const char *what;
		size_t times;
		size_t memory;
		int rc;
	} table[] = {
		{"{package: \"openssl <3\"}", 1, MIB, 0},
		{"{package: \"openssl <3\"}", 20000, POLICY_FITS_MEMORY, 0},
		{"{package: \"openssl <3\"}", 20000, MIB, ERR_LIMIT},
		{"{package: [\"a*b >=1.2.3.4.5,<2|3.*\", \"*c*[version='^(1*)*$']\"]}", 2000,
		 POLICY_FITS_MEMORY, 0},
		{"{package: [\"a*b >=1.2.3.4.5,<2|3.*\", \"*c*[version='^(1*)*$']\"]}", 2000, MIB,
		 ERR_LIMIT},
		{"{license: [\"*a*b\"]}", 5000, MIB, ERR_LIMIT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct err err = ERR_INIT;
		struct policy policy;
		struct arena arena;

		arena_init(&arena, POLICY_MEMORY_MAX);
		policy_of(table[i].what, table[i].times, &arena, &policy);
		if (policy_fits(&policy, table[i].memory, &err) != table[i].rc)
			fail_msg("%zu: %d %s", i, err.code, err.text);
		assert_true(table[i].rc == 0 || strstr(err.text, "too big for agents") != NULL);
		arena_deinit(&arena);
	}
}

static int fits(void *ctx)
{
	struct err err = ERR_INIT;
	int rc = policy_fits(ctx, POLICY_FITS_MEMORY, &err);

	if (rc == ERR_NOMEM)
		assert_null(strstr(err.text, "too big"));
	return rc;
}

/* The server has no memory: that says nothing of the policy. */
static void test_no_memory(void **state)
{
	struct policy policy;
	struct arena arena;

	(void)state;
	arena_init(&arena, POLICY_MEMORY_MAX);
	policy_of("{package: [\"a*b >=1.2,<2|3.*\", openssl]}", 3, &arena, &policy);
	(void)fault_each_alloc(fits, &policy, 3);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_fits),
					   cmocka_unit_test(test_no_memory)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
