/* Changes on their way up: all of them, once each, in their order, and nothing but them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/canonical.h"
#include "server/db/db_journal.h"
#include "server/db/db_package.h"
#include "server/db/db_scan.h"
#include "tests/server/session/world.h"

static void send_offer(struct agent *a, const char *const *names, size_t n)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__PackageOffer offer = ENVWARDEN__SYNC__PACKAGE_OFFER__INIT;
	unsigned char keys[8][PACKAGE_KEY_SIZE];

	for (size_t i = 0; i < n; i++) {
		struct package p = agent_package(names[i]);

		package_def_key(&p, keys[i]);
	}
	offer.keys = wire_bytes(keys, n * PACKAGE_KEY_SIZE);
	envelope.kind_case = KIND(PACKAGE_OFFER);
	envelope.package_offer = &offer;
	agent_send(a, &envelope);
}

static void send_package(struct agent *a, const char *name)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Packages packages = ENVWARDEN__SYNC__PACKAGES__INIT;
	struct package p = agent_package(name);
	struct arena arena;

	arena_init(&arena, 1 << 20);
	assert_int_equal(packages_to_wire(&p, 1, &arena, &packages.packages), 0);
	packages.n_packages = 1;
	envelope.kind_case = KIND(PACKAGES);
	envelope.packages = &packages;
	agent_send(a, &envelope);
	arena_deinit(&arena);
}

static size_t stored(struct world *w)
{
	struct db_history_filter filter = {.since_ms = 0};
	struct db_change *changes;
	struct arena arena;
	size_t n;

	arena_init(&arena, 16 << 20);
	assert_int_equal(db_history(w->conn, &filter, NULL, 100, &arena, &changes, &n, NULL), 0);
	arena_deinit(&arena);
	return n;
}

static void test_packages(void **state)
{
	static const char *const names[] = {"numpy", "scipy"};
	struct package scipy = agent_package("scipy");
	unsigned char key[PACKAGE_KEY_SIZE];
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	send_package(&a, "numpy");
	send_offer(&a, names, 2);
	agent_expect(&a, KIND(PACKAGE_NEED));
	package_def_key(&scipy, key);
	assert_int_equal(a.message->package_need->keys.len, PACKAGE_KEY_SIZE);
	assert_memory_equal(a.message->package_need->keys.data, key, PACKAGE_KEY_SIZE);

	/* A change that names what was not told yet is sent again after the telling. */
	agent_changes(&a, 1, 1, "scipy", false);
	agent_expect_error(&a, ERR_NOTFOUND);
	assert_non_null(strstr(a.message->error->text, "offer"));
	assert_int_equal(stored(&w), 0);
	memset(a.head_hash, 0, SHA256_SIZE);
	send_package(&a, "scipy");
	agent_changes(&a, 1, 1, "scipy", false);
	agent_expect_ack(&a, 1);
	assert_int_equal(stored(&w), 1);
	agent_deinit(&a);
	world_deinit(&w);
}

static void test_redelivery(void **state)
{
	unsigned char before[SHA256_SIZE];
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_changes(&a, 1, 3, NULL, false);
	agent_expect_ack(&a, 3);
	memcpy(before, a.head_hash, SHA256_SIZE);

	/* Durable, but the agent is gone before it hears so. */
	agent_changes(&a, 4, 5, NULL, false);
	while (stored(&w) < 5)
		uv_run(&w.loop, UV_RUN_ONCE);
	agent_drop(&a);
	agent_welcome(&a);
	assert_int_equal(a.message->welcome->acked, 5);
	assert_false(a.message->welcome->new_epoch);
	memcpy(a.head_hash, before, SHA256_SIZE);
	agent_changes(&a, 4, 6, NULL, false); /* again, with one more */
	agent_expect_ack(&a, 6);
	assert_int_equal(stored(&w), 6);
	agent_deinit(&a);
	world_deinit(&w);
}

/* A plan reckons with it. */
static void test_made_in_the_future(void **state)
{
	struct db_scan_env *envs;
	struct db_scan *scan;
	struct arena arena;
	struct world w;
	struct agent a;
	size_t n = 0;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_changes(&a, 1, 1, NULL, false);
	agent_expect_ack(&a, 1);
	arena_init(&arena, 1 << 20);
	assert_int_equal(db_scan_new(&scan, NULL), 0);
	assert_int_equal(db_scan_next(w.conn, scan, 0, 10, &arena, &envs, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_in_range(envs[0].facts.created_ms, 1, w.clock.wall_ms);
	db_scan_free(scan);
	arena_deinit(&arena);
	agent_deinit(&a);
	world_deinit(&w);
}

static void test_chain_break(void **state)
{
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_changes(&a, 1, 2, NULL, true);
	agent_expect_error(&a, ERR_VERIFY);
	agent_expect_closed(&a);
	assert_int_equal(stored(&w), 0); /* the good one neither: all of a batch or nothing */
	agent_deinit(&a);
	world_deinit(&w);
}

static void test_gap(void **state)
{
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_changes(&a, 5, 6, NULL, false);
	agent_expect_error(&a, ERR_STALE);
	memset(a.head_hash, 0, SHA256_SIZE);
	agent_changes(&a, 1, 2, NULL, false); /* the session goes on */
	agent_expect_ack(&a, 2);
	agent_deinit(&a);
	world_deinit(&w);
}

/* Another story under the same numbers: it is told under a new epoch, within the session. */
static void test_conflict(void **state)
{
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	send_package(&a, "numpy");
	agent_changes(&a, 1, 2, NULL, false);
	agent_expect_ack(&a, 2);
	memset(a.head_hash, 0, SHA256_SIZE);
	agent_changes(&a, 1, 2, "numpy", false);
	agent_expect_error(&a, ERR_CONFLICT);
	agent_drop(&a);

	/* Hello tells as much: another hash at the head, or a head behind ours. */
	agent_welcome(&a);
	assert_true(a.message->welcome->new_epoch);
	agent_drop(&a);
	a.head = 1;
	agent_welcome(&a);
	assert_true(a.message->welcome->new_epoch);
	uuid_new(&a.epoch);
	memset(a.head_hash, 0, SHA256_SIZE);
	agent_changes(&a, 1, 2, "numpy", false);
	agent_expect_ack(&a, 2);
	assert_int_equal(stored(&w), 4);
	agent_deinit(&a);
	world_deinit(&w);
}

/* A head beyond what is stored shows no contradiction; the changes do, and then Hello tells it. */
static void test_conflict_beyond(void **state)
{
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_changes(&a, 1, 2, NULL, false);
	agent_expect_ack(&a, 2);
	agent_drop(&a);
	memset(a.head_hash, 9, SHA256_SIZE);
	a.head = 4;
	agent_welcome(&a);
	assert_false(a.message->welcome->new_epoch);
	agent_changes(&a, 3, 4, NULL, false);
	agent_expect_error(&a, ERR_CONFLICT);
	agent_drop(&a);
	agent_welcome(&a);
	assert_true(a.message->welcome->new_epoch);
	agent_deinit(&a);
	world_deinit(&w);
}

/* A store made anew is told the environments by which the fleet knows them. */
static void test_known(void **state)
{
	const Envwarden__Sync__Welcome *welcome;
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_changes(&a, 1, 2, NULL, false);
	agent_expect_ack(&a, 2);
	agent_drop(&a);

	uuid_new(&a.epoch);
	a.head = 0;
	a.has_token = false; /* it was in the store that is lost */
	agent_welcome(&a);
	welcome = a.message->welcome;
	assert_int_equal(welcome->acked, 0);
	assert_int_equal(welcome->n_known, 2);
	assert_string_equal(welcome->known[0]->prefix, "/home/a/envs/two"); /* newest first */
	assert_string_equal(welcome->known[0]->owner, "ana");
	assert_int_equal(welcome->known[0]->id.data[0], 2);
	agent_deinit(&a);
	world_deinit(&w);
}

/* The server ends and begins again: nothing acknowledged is lost, nothing doubled. */
static void test_restart(void **state)
{
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_changes(&a, 1, 3, NULL, false);
	world_hub_stop(&w); /* with the work under way */
	agent_expect_closed(&a);
	world_hub_start(&w, 0);
	agent_welcome(&a);
	memset(a.head_hash, 0, SHA256_SIZE);
	agent_changes(&a, 1, 3, NULL, false);
	agent_expect_ack(&a, 3);
	assert_int_equal(stored(&w), 3);
	agent_deinit(&a);
	world_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packages),
		cmocka_unit_test(test_redelivery),
		cmocka_unit_test(test_made_in_the_future),
		cmocka_unit_test(test_chain_break),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_conflict),
		cmocka_unit_test(test_conflict_beyond),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
