/* Becoming a machine, staying one, and being none any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net/tls_identity.h"
#include "server/db/db_machine.h"
#include "server/db/db_org.h"
#include "tests/server/session/world.h"

static void send_hello(struct agent *a)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Hello hello = ENVWARDEN__SYNC__HELLO__INIT;
	struct uuid epoch;

	uuid_new(&epoch);
	hello.protocol = 1;
	hello.epoch = wire_uuid(&epoch);
	envelope.kind_case = KIND(HELLO);
	envelope.hello = &hello;
	agent_send(a, &envelope);
}

static void send_renew(struct agent *a, const struct crypto_key *key)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Renew renew = ENVWARDEN__SYNC__RENEW__INIT;
	struct buf csr;

	buf_init(&csr, TLS_CSR_MAX);
	assert_int_equal(tls_identity_csr(key, &csr, NULL), 0);
	renew.csr = wire_bytes(csr.data, csr.len);
	envelope.kind_case = KIND(RENEW);
	envelope.renew = &renew;
	agent_send(a, &envelope);
	buf_deinit(&csr);
}

static void take_chain(struct agent *a)
{
	const Envwarden__Sync__RenewReply *reply = a->message->renew_reply;

	buf_clear(&a->chain);
	for (size_t i = 0; i < reply->n_chain; i++)
		buf_add(&a->chain, reply->chain[i].data, reply->chain[i].len);
}

static void test_enrol(void **state)
{
	unsigned char secret[JOIN_CODE_SECRET_SIZE];
	struct tls_identity identity;
	struct db_machine machine;
	struct root_info root;
	struct arena arena;
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_init(&a, &w);
	world_join_code(&w, 1, 0, secret);
	agent_connect(&a);
	agent_enrol(&a, secret);
	agent_expect(&a, KIND(ENROL_REPLY));
	assert_string_equal(a.message->enrol_reply->name, "Test");
	assert_memory_equal(a.message->enrol_reply->organisation.data, w.org.b, UUID_SIZE);
	assert_int_equal(a.message->enrol_reply->n_roots, 1);
	assert_int_equal(root_first(a.message->enrol_reply->roots[0].data,
				    a.message->enrol_reply->roots[0].len, &root, NULL),
			 0);
	agent_enrolled(&a);
	assert_int_equal(tls_identity_parse(a.chain.data, a.chain.len, &identity, NULL), 0);
	assert_int_equal(identity.certs, 2);
	assert_int_equal(uuid_cmp(&identity.machine, &a.machine), 0);

	arena_init(&arena, 1 << 20);
	assert_int_equal(db_machine_get(w.conn, &a.machine, &arena, &machine, NULL), 0);
	assert_string_equal(machine.hostname, "host-1");
	assert_int_equal(machine.labels.n, 1);
	assert_string_equal(machine.labels.items[0], "lab");
	assert_memory_equal(machine.key_hash, identity.spki_hash, SHA256_SIZE);
	arena_deinit(&arena);

	agent_connect(&a); /* and now it is somebody */
	send_hello(&a);
	agent_expect(&a, KIND(WELCOME));
	agent_deinit(&a);
	world_deinit(&w);
}

/* One answer for all codes that enrol nobody, in full: it must not tell them apart. */
static void test_codes_refused(void **state)
{
	static const char refused[] = "does not accept this join code";
	unsigned char used[JOIN_CODE_SECRET_SIZE], expired[JOIN_CODE_SECRET_SIZE],
		unknown[JOIN_CODE_SECRET_SIZE] = {0};
	const unsigned char *secrets[] = {unknown, expired, used};
	char text[512] = "";
	struct world w;
	struct agent first, a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_init(&first, &w);
	world_join_code(&w, 1, 0, used);
	world_join_code(&w, 5, w.clock.wall_ms + 1000, expired);
	agent_connect(&first);
	agent_enrol(&first, used);
	agent_expect(&first, KIND(ENROL_REPLY));
	clock_fixed_advance(&w.clock, 2000);
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		agent_init(&a, &w);
		agent_connect(&a);
		agent_enrol(&a, secrets[i]);
		agent_expect_error(&a, ERR_PERM);
		assert_non_null(strstr(a.message->error->text, refused));
		if (text[0])
			assert_string_equal(a.message->error->text, text);
		(void)snprintf(text, sizeof(text), "%s", a.message->error->text);
		agent_expect_closed(&a);
		agent_deinit(&a);
	}
	agent_deinit(&first);
	world_deinit(&w);
}

static void test_enrol_rate(void **state)
{
	unsigned char secret[JOIN_CODE_SECRET_SIZE] = {0};
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 2);
	for (int i = 0; i < 4; i++) { /* those who succeed are not limited */
		agent_make(&a, &w);
		agent_deinit(&a);
	}
	for (int i = 0; i < 3; i++) {
		agent_init(&a, &w);
		agent_connect(&a);
		agent_enrol(&a, secret);
		agent_expect_error(&a, i < 2 ? ERR_PERM : ERR_BUSY);
		assert_int_equal(a.message->error->retry_after_ms > 0, i == 2);
		agent_deinit(&a);
	}
	world_deinit(&w);
}

static void test_strangers(void **state)
{
	struct world w;
	struct agent a, b, c, known;

	(void)state;
	world_init(&w);
	w.strangers_max = 2;
	world_hub_start(&w, 0);
	agent_make(&known, &w);
	agent_init(&a, &w);
	agent_init(&b, &w);
	agent_init(&c, &w);
	agent_connect(&a);
	agent_connect(&b);
	agent_connect(&c);
	agent_expect_error(&c, ERR_BUSY);
	agent_expect_closed(&c);
	agent_connect(&known); /* machines are not concerned */
	send_hello(&known);
	agent_expect(&known, KIND(WELCOME));
	agent_drop(&a);
	agent_connect(&c);
	send_hello(&c);
	agent_expect_error(&c, ERR_PERM); /* heard again, and refused for what it asks */
	agent_deinit(&known);
	agent_deinit(&a);
	agent_deinit(&b);
	agent_deinit(&c);
	world_deinit(&w);
}

static int count_uses(struct world *w)
{
	struct db_join_code *codes;
	struct arena arena;
	size_t n;
	int left;

	arena_init(&arena, 1 << 20);
	assert_int_equal(db_join_list(w->conn, NULL, 10, &arena, &codes, &n, NULL), 0);
	left = (int)codes[0].uses_left;
	arena_deinit(&arena);
	return left;
}

/* A request that is none takes no use of the code. */
static void test_bad_request(void **state)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Enrol enrol = ENVWARDEN__SYNC__ENROL__INIT;
	Envwarden__Sync__MachineInfo info = ENVWARDEN__SYNC__MACHINE_INFO__INIT;
	unsigned char secret[JOIN_CODE_SECRET_SIZE];
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	world_join_code(&w, 3, 0, secret);
	agent_init(&a, &w);
	agent_connect(&a);
	enrol.secret = wire_bytes(secret, sizeof(secret));
	enrol.csr = wire_bytes("no request", 10);
	enrol.machine = &info;
	envelope.kind_case = KIND(ENROL);
	envelope.enrol = &enrol;
	agent_send(&a, &envelope);
	agent_expect_error(&a, ERR_INVALID);
	agent_expect_closed(&a);
	assert_int_equal(count_uses(&w), 3);
	agent_deinit(&a);
	world_deinit(&w);
}

static void test_no_certificate(void **state)
{
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_init(&a, &w);
	agent_connect(&a);
	send_hello(&a);
	agent_expect_error(&a, ERR_PERM);
	agent_expect_closed(&a);
	agent_deinit(&a);
	world_deinit(&w);
}

static void test_renew(void **state)
{
	struct crypto_key *other;
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	clock_fixed_advance(&w.clock, 20 * WORLD_DAY_MS);
	agent_connect(&a);
	send_renew(&a, a.key);
	agent_expect(&a, KIND(RENEW_REPLY));
	take_chain(&a);
	/* The session goes on, also past the end of the certificate it began with. */
	clock_fixed_advance(&w.clock, 20 * WORLD_DAY_MS);
	send_hello(&a);
	agent_expect(&a, KIND(WELCOME));
	agent_drop(&a);

	agent_connect(&a);
	assert_int_equal(crypto_key_new(&other, NULL), 0);
	send_renew(&a, other);
	agent_expect_error(&a, ERR_INVALID);
	agent_expect_closed(&a);
	crypto_key_free(other);
	agent_deinit(&a);
	world_deinit(&w);
}

static void test_expired_may_only_renew(void **state)
{
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	clock_fixed_advance(&w.clock, (CA_MACHINE_DAYS + 1) * WORLD_DAY_MS);
	agent_connect(&a);
	send_hello(&a);
	agent_expect_error(&a, ERR_EXPIRED);
	assert_non_null(strstr(a.message->error->text, "expired"));
	agent_expect_closed(&a);

	agent_connect(&a);
	send_renew(&a, a.key);
	agent_expect(&a, KIND(RENEW_REPLY));
	take_chain(&a);
	send_hello(&a); /* this session stays what it was */
	agent_expect_error(&a, ERR_EXPIRED);
	agent_drop(&a);

	buf_clear(&a.session);
	agent_connect(&a);
	send_hello(&a);
	agent_expect(&a, KIND(WELCOME));
	agent_deinit(&a);
	world_deinit(&w);
}

/* A session that was full when it began does not outlive its certificate. */
static void test_expires_meanwhile(void **state)
{
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_connect(&a);
	clock_fixed_advance(&w.clock, (CA_MACHINE_DAYS + 1) * WORLD_DAY_MS);
	send_hello(&a);
	agent_expect_error(&a, ERR_EXPIRED);
	agent_expect_closed(&a);
	agent_deinit(&a);
	world_deinit(&w);
}

struct state_spec {
	struct agent *agent;
	enum db_machine_state state;
};

static int state_set(struct db_conn *conn, void *ctx)
{
	struct state_spec *spec = ctx;

	return db_machine_set_state(conn, &spec->agent->machine, spec->state,
				    spec->agent->world->clock.wall_ms, NULL);
}

/* At once when connected; afterwards also with a ticket, whose handshake looks at nothing. */
static void test_revoked(void **state)
{
	struct state_spec spec = {.state = DB_MACHINE_REVOKED};
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_connect(&a);
	send_hello(&a);
	agent_expect(&a, KIND(WELCOME));
	assert_true(a.session.len > 0);
	spec.agent = &a;
	world_write(&w, state_set, &spec);
	agent_expect_error(&a, ERR_PERM);
	assert_non_null(strstr(a.message->error->text, "revoked"));
	agent_expect_closed(&a);

	agent_connect(&a);
	assert_true(a.resumed);
	agent_expect_error(&a, ERR_PERM); /* nobody asked */
	assert_non_null(strstr(a.message->error->text, "revoked"));
	agent_expect_closed(&a);

	spec.state = DB_MACHINE_RETIRED;
	world_write(&w, state_set, &spec);
	buf_clear(&a.session);
	agent_connect(&a);
	assert_false(a.resumed);
	agent_expect_error(&a, ERR_PERM);
	assert_non_null(strstr(a.message->error->text, "retired"));
	agent_expect_closed(&a);

	spec.state = DB_MACHINE_ACTIVE;
	world_write(&w, state_set, &spec);
	agent_connect(&a);
	send_hello(&a);
	agent_expect(&a, KIND(WELCOME));
	agent_deinit(&a);
	world_deinit(&w);
}

static int other_cert(struct db_conn *conn, void *ctx)
{
	struct agent *a = ctx;
	struct db_machine_cert cert = {.not_after_ms = INT64_MAX};

	memset(cert.key_hash, 7, sizeof(cert.key_hash));
	return db_machine_set_cert(conn, &a->machine, &cert, NULL);
}

static void test_not_the_last_key(void **state)
{
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	world_write(&w, other_cert, &a);
	agent_connect(&a);
	agent_expect_error(&a, ERR_PERM);
	agent_expect_closed(&a);
	agent_deinit(&a);
	world_deinit(&w);
}

static void test_garbage(void **state)
{
	/* Not protobuf; the message of a kind nobody knows; one that only servers send. */
	static const char junk[] = "\xff\xff\xff\xff\xff\xff";
	static const char unknown[] = "\xd2\x07\x00"; /* field 122, length 0 */
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Pong pong = ENVWARDEN__SYNC__PONG__INIT;
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_connect(&a);
	agent_send_raw(&a, unknown, 3);
	agent_expect(&a, KIND(UNSUPPORTED));
	send_hello(&a);
	agent_expect(&a, KIND(WELCOME));
	agent_send_raw(&a, junk, 6);
	agent_expect_error(&a, ERR_INVALID);
	agent_expect_closed(&a);

	agent_connect(&a);
	envelope.kind_case = KIND(PONG);
	envelope.pong = &pong;
	agent_send(&a, &envelope);
	agent_expect_error(&a, ERR_PROTOCOL);
	agent_expect_closed(&a);
	agent_deinit(&a);
	world_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enrol),
		cmocka_unit_test(test_codes_refused),
		cmocka_unit_test(test_enrol_rate),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_bad_request),
		cmocka_unit_test(test_no_certificate),
		cmocka_unit_test(test_renew),
		cmocka_unit_test(test_expired_may_only_renew),
		cmocka_unit_test(test_expires_meanwhile),
		cmocka_unit_test(test_revoked),
		cmocka_unit_test(test_not_the_last_key),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
