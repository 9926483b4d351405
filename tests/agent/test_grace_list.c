#include "agent/grace_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/store/store.h"
#include "agent/tries.h"
#include "tests/support/fault.h"

#define T0 INT64_C(1700000000000)

static struct grace code(unsigned char env, uint32_t serial)
{
	return (struct grace){.environment = {{env}},
			      .until_ms = T0 + serial,
			      .serial = serial,
			      .lifts_status = serial % 2 == 0,
			      .uid = 1000 + serial,
			      .given_ms = T0};
}

static struct grace deferral(unsigned char env, const char *case_code)
{
	struct grace g = {.environment = {{env}}, .until_ms = T0, .uid = 7, .given_ms = T0};

	(void)snprintf(g.case_code, sizeof g.case_code, "%s", case_code);
	return g;
}

static int fill(struct grace_list *list)
{
	const struct grace all[] = {code(1, 1), deferral(1, "EW-AAAA"), code(2, 2), code(1, 3),
				    code(1, 1)};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof all / sizeof *all; i++)
		rc = grace_list_add(list, &all[i]);
	return rc;
}

static void test_finding(void **state)
{
	struct grace_list list = {.n = 0};
	struct uuid one = {{1}}, three = {{3}};

	(void)state;
	assert_int_equal(fill(&list), 0);
	assert_int_equal(grace_list_find(&list, &one, "")->number, 5);
	assert_int_equal(grace_list_find(&list, &one, "EW-AAAA")->number, 2);
	assert_null(grace_list_find(&list, &one, "EW-BBBB"));
	assert_null(grace_list_find(&list, &three, ""));
	grace_list_deinit(&list);
	grace_list_deinit(&list);
}

static const struct {
	uint32_t after;
	size_t max;
	uint32_t serials[4];
	size_t n;
} asked[] = {
	{0, 9, {1, 2, 3, 1}, 4}, {0, 2, {1, 2}, 2}, {1, 9, {2, 3, 1}, 3},
	{3, 9, {3, 1}, 2},	 {5, 9, {0}, 0},    {9, 9, {0}, 0},
};

static void test_codes_to_tell(void **state)
{
	struct grace_list list = {.n = 0};
	const struct grace *out[9];

	(void)state;
	assert_int_equal(fill(&list), 0);
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
		size_t n = grace_list_codes(&list, asked[i].after, out, asked[i].max);

		assert_int_equal(n, asked[i].n);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(out[k]->serial, asked[i].serials[k]);
	}
	assert_int_equal(grace_list_told(&list, 0), 0);
	assert_int_equal(grace_list_told(&list, 5), 5);
	assert_int_equal(grace_list_told(&list, 6), 0); /* of a list that was lost */
	assert_int_equal(grace_list_told(&(struct grace_list){.n = 0}, 1), 0);
	grace_list_deinit(&list);
}

static void test_the_oldest_makes_room(void **state)
{
	struct grace_list list = {.n = 0}, again = {.n = 0};
	struct buf bytes;

	(void)state;
	for (uint32_t i = 0; i < GRACES_MAX + 2; i++) {
		const struct grace one = code(1, i);

		assert_int_equal(grace_list_add(&list, &one), 0);
	}
	assert_int_equal(list.n, GRACES_MAX);
	assert_int_equal(list.items[0].serial, 2);
	assert_int_equal(list.items[0].number, 3);
	buf_init(&bytes, STORE_VALUE_MAX);
	grace_list_encode(&list, &bytes);
	assert_int_equal(buf_rc(&bytes), 0);
	assert_int_equal(grace_list_decode(&again, bytes.data, bytes.len), 0);
	assert_int_equal(again.n, GRACES_MAX);
	assert_int_equal(again.items[0].number, 3); /* so that nothing is told twice */
	assert_int_equal(again.items[GRACES_MAX - 1].number, GRACES_MAX + 2);
	buf_deinit(&bytes);
	grace_list_deinit(&list);
	grace_list_deinit(&again);
}

static void test_kept(void **state)
{
	struct grace_list list = {.n = 0}, again = {.n = 0};
	struct buf bytes;

	(void)state;
	assert_int_equal(fill(&list), 0);
	buf_init(&bytes, STORE_VALUE_MAX);
	grace_list_encode(&list, &bytes);
	for (size_t cut = 1; cut <= bytes.len; cut++) {
		assert_int_equal(grace_list_decode(&again, bytes.data, cut), 0);
		assert_int_equal(again.n, (cut - 1) / ((bytes.len - 1) / list.n));
		for (size_t i = 0; i < again.n; i++) {
			const struct grace *a = &again.items[i], *b = &list.items[i];

			assert_memory_equal(&a->environment, &b->environment, UUID_SIZE);
			assert_string_equal(a->case_code, b->case_code);
			assert_int_equal(a->until_ms, b->until_ms);
			assert_int_equal(a->serial, b->serial);
			assert_int_equal(a->lifts_status, b->lifts_status);
			assert_int_equal(a->uid, b->uid);
			assert_int_equal(a->given_ms, b->given_ms);
			assert_int_equal(a->number, b->number);
		}
	}
	assert_int_equal(grace_list_decode(&again, bytes.data, 0), ERR_CORRUPT);
	bytes.data[0] = 9;
	assert_int_equal(grace_list_decode(&again, bytes.data, bytes.len), ERR_CORRUPT);
	buf_deinit(&bytes);
	grace_list_deinit(&list);
	grace_list_deinit(&again);
}

/* As it was before who and when were kept. */
static void test_of_an_earlier_version(void **state)
{
	const struct grace first = code(1, 4), second = deferral(2, "EW-AAAA");
	const struct grace *all[] = {&first, &second};
	struct grace_list list = {.n = 0};
	struct buf bytes;

	(void)state;
	buf_init(&bytes, STORE_VALUE_MAX);
	buf_add_u8(&bytes, 1);
	for (size_t i = 0; i < 2; i++) {
		buf_add(&bytes, all[i]->environment.b, UUID_SIZE);
		buf_add_u64(&bytes, (uint64_t)all[i]->until_ms);
		buf_add(&bytes, all[i]->case_code, sizeof all[i]->case_code);
		buf_add_u32(&bytes, all[i]->serial);
		buf_add_u8(&bytes, all[i]->lifts_status);
	}
	assert_int_equal(grace_list_decode(&list, bytes.data, bytes.len), 0);
	assert_int_equal(list.n, 2);
	assert_int_equal(list.items[0].serial, 4);
	assert_true(list.items[0].lifts_status);
	assert_int_equal(list.items[0].uid, GRACE_NOBODY);
	assert_int_equal(list.items[0].given_ms, 0);
	assert_int_equal(list.items[0].number, 1);
	assert_string_equal(list.items[1].case_code, "EW-AAAA");
	assert_int_equal(list.items[1].number, 2);
	buf_deinit(&bytes);
	grace_list_deinit(&list);
}

static int lists_body(void *ctx)
{
	struct grace_list list = {.n = 0}, copy = {.n = 0}, again = {.n = 0};
	const struct grace one = code(9, 9);
	struct buf bytes;
	int rc = fill(&list);
	size_t before;

	(void)ctx;
	buf_init(&bytes, STORE_VALUE_MAX);
	if (rc == 0)
		rc = grace_list_copy(&list, &copy);
	before = copy.n;
	if (rc == 0 && (rc = grace_list_add(&copy, &one)) < 0)
		assert_int_equal(copy.n, before);
	if (rc == 0) {
		assert_int_equal(list.n, before);
		grace_list_encode(&copy, &bytes);
		rc = buf_rc(&bytes);
	}
	if (rc == 0)
		rc = grace_list_decode(&again, bytes.data, bytes.len);
	if (rc == 0)
		assert_int_equal(again.n, before + 1);
	buf_deinit(&bytes);
	grace_list_deinit(&list);
	grace_list_deinit(&copy);
	grace_list_deinit(&again);
	return rc;
}

static void test_without_memory(void **state)
{
	(void)state;
	(void)fault_each_alloc(lists_body, NULL, 7);
}

static void test_tries(void **state)
{
	struct tries tries = {0}, others = {0};

	(void)state;
	for (int i = 0; i < TRIES_MAX; i++)
		assert_true(tries_may(&tries, 0, 1000 + i));
	assert_false(tries_may(&tries, 0, 1000 + TRIES_MS - 1));
	assert_true(tries_may(&tries, 1, 1000));
	assert_true(tries_may(&others, 0, 1000)); /* of another agent */
	assert_true(tries_may(&tries, 0, 1000 + TRIES_MS));
	for (uint32_t uid = 2; uid < TRIES_ACCOUNTS + 1; uid++)
		for (int i = 0; i <= TRIES_MAX; i++)
			assert_int_equal(tries_may(&tries, uid, 2000), i < TRIES_MAX);
	assert_false(tries_may(&tries, 2, 2000));
	assert_true(tries_may(&tries, 999, 3000)); /* in place of account 1 */
	assert_false(tries_may(&tries, 2, 3000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finding),
		cmocka_unit_test(test_codes_to_tell),
		cmocka_unit_test(test_the_oldest_makes_room),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_of_an_earlier_version),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_tries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
