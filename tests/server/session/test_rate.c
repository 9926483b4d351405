#include "server/session/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct rate rate;

static void test_burst_and_refill(void **state)
{
	int64_t wait = 0;

	(void)state;
	rate_init(&rate, 3, 1000);
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&rate, "192.0.2.1:1000", 5000, &wait));
	assert_false(rate_take(&rate, "192.0.2.1:2000", 5000, &wait)); /* the port is no matter */
	assert_int_equal(wait, 1000);
	assert_false(rate_take(&rate, "192.0.2.1:2000", 5400, &wait));
	assert_int_equal(wait, 600);
	assert_true(rate_take(&rate, "192.0.2.1:2000", 6000, &wait));
	assert_false(rate_take(&rate, "192.0.2.1:2000", 6000, &wait));
	/* After a long time everything is forgotten, and no more than the burst is saved up. */
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&rate, "192.0.2.1:1000", 9000000, &wait));
	assert_false(rate_take(&rate, "192.0.2.1:1000", 9000000, &wait));
}

static void test_addresses(void **state)
{
	int64_t wait = 0;
	char peer[32];
	int refused = 0;

	(void)state;
	rate_init(&rate, 1, 1000);
	assert_true(rate_take(&rate, "[2001:db8:0:1::1]:1", 0, &wait));
	assert_false(rate_take(&rate, "[2001:db8:0:1:ffff::2]:1", 0, &wait)); /* its /64 */
	/* Others have buckets of their own, but for chance meetings. */
	for (int i = 0; i < 64; i++) {
		(void)snprintf(peer, sizeof(peer), "192.0.2.%d:1", i);
		refused += !rate_take(&rate, peer, 0, &wait);
	}
	assert_in_range(refused, 0, 8);
}

static void test_return(void **state)
{
	int64_t wait = 0;

	(void)state;
	rate_init(&rate, 2, 1000);
	for (int i = 0; i < 50; i++) {
		assert_true(rate_take(&rate, "192.0.2.1:1", 0, &wait));
		rate_return(&rate, "192.0.2.1:2");
	}
	rate_return(&rate, "192.0.2.1:2"); /* nothing is saved up */
	assert_true(rate_take(&rate, "192.0.2.1:1", 0, &wait));
	assert_true(rate_take(&rate, "192.0.2.1:1", 0, &wait));
	assert_false(rate_take(&rate, "192.0.2.1:1", 0, &wait));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_and_refill),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_return),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
