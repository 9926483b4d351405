#include "agent/counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/store/store.h"

#define NOW 500000

_Static_assert(COUNTS_BYTES_MAX == STORE_VALUE_MAX, "what a setting has room for");

/* Environments "/e/00000" on, with ids by their number. */
static void make(struct envs *all, size_t n)
{
	envs_init(all);
	for (size_t i = 0; i < n; i++) {
		char prefix[32];
		struct environment row;

		environment_init(&row);
		row.owner.name = "ana";
		row.platform = "linux-64";
		(void)snprintf(prefix, sizeof prefix, "/e/%05zu", i);
		row.prefix = prefix;
		memcpy(row.id.b, &i, sizeof i);
		assert_int_equal(envs_put(all, &row), 0);
	}
}

static struct env *at(const struct envs *all, size_t i)
{
	struct uuid id = {{0}};

	memcpy(id.b, &i, sizeof i);
	return envs_by_id(all, &id);
}

static void encode(struct envs *all, struct buf *out)
{
	buf_init(out, COUNTS_BYTES_MAX);
	counts_encode(all, out);
	assert_int_equal(buf_rc(out), 0);
}

static void test_round(void **state)
{
	struct envs all, back;
	struct ruling *r;
	struct buf bytes;

	(void)state;
	make(&all, 4);
	make(&back, 4);
	at(&all, 1)->ruling = (struct ruling){.checks = 9,
					      .warnings = 3,
					      .refusals = 2,
					      .runs_after_block = 5,
					      .untold = true,
					      .counted = true,
					      .blocked_ms = NOW - 1};
	memset(at(&all, 1)->ruling.told, 0xAB, sizeof((struct ruling *)0)->told);
	at(&all, 2)->ruling.blocked_ms = NOW; /* blocked, and nothing else */
	at(&all, 3)->ruling.checks = 1;
	at(&all, 3)->lives = false; /* no more */
	encode(&all, &bytes);
	assert_int_equal(bytes.len, 1 + 2 * COUNTS_ROW);
	assert_false(at(&all, 1)->ruling.counted);
	counts_decode(&back, bytes.data, bytes.len, NOW);
	r = &at(&back, 1)->ruling;
	assert_int_equal(r->checks, 9);
	assert_int_equal(r->warnings, 3);
	assert_int_equal(r->refusals, 2);
	assert_int_equal(r->runs_after_block, 5);
	assert_true(r->untold);
	assert_int_equal(r->blocked_ms, NOW - 1);
	assert_memory_equal(r->told, at(&all, 1)->ruling.told, sizeof r->told);
	assert_int_equal(at(&back, 2)->ruling.blocked_ms, NOW);
	assert_int_equal(at(&back, 3)->ruling.checks, 0);
	assert_int_equal(at(&back, 0)->ruling.blocked_ms, 0);
	/* The system was started anew: whatever runs began after the block. */
	counts_decode(&back, bytes.data, bytes.len, 10);
	assert_int_equal(at(&back, 2)->ruling.blocked_ms, 1);
	buf_deinit(&bytes);
	envs_deinit(&all);
	envs_deinit(&back);
}

/* Of more than there is room for: the first ones by path, whole; the rest begins anew. */
static void test_room(void **state)
{
	size_t n = COUNTS_MAX + 3;
	struct envs all, back;
	struct buf bytes;

	(void)state;
	make(&all, n);
	make(&back, n);
	for (size_t i = 0; i < n; i++)
		at(&all, i)->ruling.checks = i + 1;
	encode(&all, &bytes);
	assert_int_equal(bytes.len, 1 + COUNTS_MAX * COUNTS_ROW);
	assert_true(bytes.len + COUNTS_ROW > COUNTS_BYTES_MAX);
	counts_decode(&back, bytes.data, bytes.len, NOW);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(at(&back, i)->ruling.checks, i < COUNTS_MAX ? i + 1 : 0);
	buf_deinit(&bytes);
	/* Exactly as many as there is room for. */
	for (size_t i = COUNTS_MAX; i < n; i++)
		at(&all, i)->ruling.checks = 0;
	encode(&all, &bytes);
	assert_int_equal(bytes.len, 1 + COUNTS_MAX * COUNTS_ROW);
	buf_deinit(&bytes);
	envs_deinit(&all);
	envs_deinit(&back);
}

/* What older agents have left. */
static void test_older(void **state)
{
	struct envs all;
	struct uuid id = {{0}};

	(void)state;
	for (uint8_t version = 1; version <= 2; version++) {
		struct buf bytes;

		make(&all, 2);
		buf_init(&bytes, 1024);
		buf_add_u8(&bytes, version);
		for (size_t i = 0; i < 2; i++) {
			memcpy(id.b, &i, sizeof i);
			buf_add(&bytes, id.b, sizeof id.b);
			for (uint64_t v = 1; v <= 5; v++)
				buf_add_u64(&bytes, v + i);
			buf_add(&bytes, "12345678", 8);
			for (uint64_t v = 0; version == 2 && v < 2; v++)
				buf_add_u64(&bytes, 77);
		}
		counts_decode(&all, bytes.data, bytes.len, NOW);
		assert_int_equal(at(&all, 0)->ruling.checks, 1);
		assert_int_equal(at(&all, 1)->ruling.checks, 2);
		assert_int_equal(at(&all, 1)->ruling.runs_after_block, 5);
		assert_int_equal(at(&all, 1)->ruling.blocked_ms, 0);
		buf_deinit(&bytes);
		envs_deinit(&all);
	}
}

static void test_damaged(void **state)
{
	struct envs all;
	struct buf bytes;

	(void)state;
	make(&all, 2);
	at(&all, 0)->ruling.checks = at(&all, 1)->ruling.checks = 4;
	encode(&all, &bytes);
	for (size_t n = 0; n < bytes.len; n++) {
		at(&all, 0)->ruling.checks = at(&all, 1)->ruling.checks = 0;
		counts_decode(&all, bytes.data, n, NOW);
		assert_int_equal(at(&all, 0)->ruling.checks, n > COUNTS_ROW ? 4 : 0);
		assert_int_equal(at(&all, 1)->ruling.checks, 0);
	}
	bytes.data[0] = 9; /* of a newer version */
	counts_decode(&all, bytes.data, bytes.len, NOW);
	assert_int_equal(at(&all, 1)->ruling.checks, 0);
	buf_deinit(&bytes);
	envs_deinit(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_older),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
