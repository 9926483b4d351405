/* Hello and Welcome: the one machine of its name, and where its journal stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net/tls_identity.h"
#include "server/db/db_machine.h"
#include "tests/server/session/world.h"

static void test_welcome(void **state)
{
	Envwarden__Sync__Envelope ping = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Ping nothing = ENVWARDEN__SYNC__PING__INIT;
	struct agent_held status;
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	assert_int_equal(a.message->welcome->server_time_ms, w.clock.wall_ms);
	assert_int_equal(a.message->welcome->acked, 0);
	assert_int_equal(a.message->welcome->n_known, 0);
	assert_false(a.message->welcome->new_epoch);
	agent_timestamp(&a, &a.message->welcome->timestamp, &status);
	assert_int_equal(status.version, 1);
	ping.kind_case = KIND(PING);
	ping.ping = &nothing;
	agent_send(&a, &ping);
	agent_expect(&a, KIND(PONG));
	agent_hello(&a); /* once is enough */
	agent_expect_error(&a, ERR_PROTOCOL);
	agent_expect_closed(&a);
	agent_deinit(&a);
	world_deinit(&w);
}

static void test_hello_first(void **state)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__PackageOffer offer = ENVWARDEN__SYNC__PACKAGE_OFFER__INIT;
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_connect(&a);
	envelope.kind_case = KIND(PACKAGE_OFFER);
	envelope.package_offer = &offer;
	agent_send(&a, &envelope);
	agent_expect_error(&a, ERR_PROTOCOL);
	agent_expect_closed(&a);
	agent_deinit(&a);
	world_deinit(&w);
}

/* However often a Welcome is lost, the token that came before it stays good. */
static void test_lost_welcomes(void **state)
{
	unsigned char first[UUID_SIZE];
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	for (int i = 0; i < 3; i++) { /* before there was any */
		agent_welcome(&a);
		a.has_token = false;
		agent_drop(&a);
	}
	agent_welcome(&a);
	agent_drop(&a);
	memcpy(first, a.token, sizeof(first));
	for (int i = 0; i < 3; i++) {
		agent_welcome(&a);
		assert_memory_not_equal(a.token, first, sizeof(first));
		memcpy(a.token, first, sizeof(first));
		agent_drop(&a);
	}
	agent_deinit(&a);
	world_deinit(&w);
}

/* A copied disk: two go on from one token, and whoever comes second with an old one is noticed. */
static void test_clone(void **state)
{
	unsigned char copied[UUID_SIZE];
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_drop(&a);
	memcpy(copied, a.token, sizeof(copied));
	for (int i = 0; i < 2; i++) {
		agent_welcome(&a);
		agent_drop(&a);
	}
	memcpy(a.token, copied, sizeof(copied));
	agent_connect(&a);
	agent_hello(&a);
	agent_expect_error(&a, ERR_PERM);
	assert_string_equal(a.message->error->text, "clone suspected: enrol again");
	agent_expect_closed(&a);
	agent_connect(&a); /* both of them, from now on */
	agent_expect_error(&a, ERR_PERM);
	assert_string_equal(a.message->error->text, "clone suspected: enrol again");
	agent_deinit(&a);
	world_deinit(&w);
}

/* An agent that holds a newer status than this server ever made: it was restored from a backup. */
static void test_restored(void **state)
{
	struct agent_held status;
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	a.held_status.version = 7;
	agent_welcome(&a);
	agent_timestamp(&a, &a.message->welcome->timestamp, &status);
	assert_true(status.version > 7);
	agent_drop(&a);

	a.held_status = status; /* and then all is well */
	agent_welcome(&a);
	agent_timestamp(&a, &a.message->welcome->timestamp, &status);
	assert_int_equal(status.version, a.held_status.version);
	agent_drop(&a);

	a.held_status.hash[0] ^= 1; /* the same number, other bytes */
	agent_welcome(&a);
	agent_timestamp(&a, &a.message->welcome->timestamp, &status);
	assert_true(status.version > a.held_status.version);
	agent_deinit(&a);
	world_deinit(&w);
}

/* As Renew does, without the words. */
static void certificate_renew(struct agent *a)
{
	const struct ca_cert *root = ca_root(a->world->ca);
	struct ca_issued issued;
	struct buf csr;

	buf_init(&csr, TLS_CSR_MAX);
	assert_int_equal(tls_identity_csr(a->key, &csr, NULL), 0);
	assert_int_equal(ca_issue_machine(a->world->ca, csr.data, csr.len, &a->machine, false,
					  a->world->clock.wall_ms, &issued, NULL),
			 0);
	buf_clear(&a->chain);
	buf_add(&a->chain, issued.cert.der, issued.cert.n);
	buf_add(&a->chain, root->der, root->n);
	buf_clear(&a->session);
	buf_deinit(&csr);
}

/* Kept as it is while it is good; made anew long before it expires. */
static void test_old_status(void **state)
{
	struct agent_held first, second;
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_timestamp(&a, &a.message->welcome->timestamp, &first);
	agent_drop(&a);
	clock_fixed_advance(&w.clock, 20 * WORLD_DAY_MS);
	agent_welcome(&a);
	agent_timestamp(&a, &a.message->welcome->timestamp, &second);
	assert_int_equal(first.version, second.version);
	assert_memory_equal(first.hash, second.hash, SHA256_SIZE);
	agent_drop(&a);

	clock_fixed_advance(&w.clock, 180 * WORLD_DAY_MS);
	certificate_renew(&a);
	agent_welcome(&a);
	agent_timestamp(&a, &a.message->welcome->timestamp, &second);
	assert_true(second.version > first.version);
	agent_deinit(&a);
	world_deinit(&w);
}

/* The newest connection of a machine is the one that counts. */
static void test_second_session(void **state)
{
	struct world w;
	struct agent a, second;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_init(&second, &w);
	crypto_key_free(second.key);
	second.key = a.key;
	second.machine = a.machine;
	buf_add(&second.chain, a.chain.data, a.chain.len);
	memcpy(second.token, a.token, sizeof(a.token));
	second.has_token = true;
	agent_welcome(&second);
	agent_expect_closed(&a);
	second.key = NULL;
	agent_deinit(&second);
	agent_deinit(&a);
	world_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_welcome),	       cmocka_unit_test(test_hello_first),
		cmocka_unit_test(test_lost_welcomes),  cmocka_unit_test(test_clone),
		cmocka_unit_test(test_restored),       cmocka_unit_test(test_old_status),
		cmocka_unit_test(test_second_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
