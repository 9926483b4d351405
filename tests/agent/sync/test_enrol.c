/* Enrolment against a server that answers, refuses, lies, or is not there. */
#include "agent/sync/enrol.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_csr.h>

#include "lib/base/mem.h"
#include "lib/net/tls_identity.h"
#include "proto/convert.h"
#include "proto/signed.h"
#include "tests/agent/sync/world.h"
#include "tests/support/fault.h"

static struct world w;

/* What is wrong with the server's answer. */
enum lie {
	HONEST,
	OTHER_ORGANISATION,
	OTHER_MACHINE,
	OTHER_KEY,
	OTHER_ROOT,
	NO_ROOTS,
	ROOT_OF_OTHERS,
	ROOTS_WITH_A_HOLE,
	ROOT_EXPIRED,
	CERTIFICATE_EXPIRED
};

struct enrolment {
	struct enrol *enrol;
	struct join_code code;
	struct enrol_config config;
	enum lie lie;
	int done;
	int rc;
	struct err err;
	struct sync_identity identity;
	struct crypto_key *role_key;
	struct buf roots[3];
};
static struct enrolment en;

/* --- the organisation's roots --- */

static void make_root(uint64_t version, const struct uuid *organisation, int64_t expires_ms,
		      struct buf *out)
{
	const struct crypto_key *keys[] = {en.role_key};
	struct root_info root = {.organisation = *organisation,
				 .name = "Example",
				 .version = version,
				 .created_ms = NOW_MS,
				 .expires_ms = expires_ms,
				 .n_roles = 1};
	Envwarden__Bundle__Body *body;
	struct arena arena;

	memcpy(root.roles[0].role, ROLE_ROOT, sizeof(ROLE_ROOT));
	root.roles[0].threshold = 1;
	assert_int_equal(role_keys_add(&root.roles[0], en.role_key, NULL), 0);
	arena_init(&arena, LIMIT_ROOT_MEMORY);
	assert_int_equal(root_to_body(&root, &arena, &body), 0);
	buf_init(out, LIMIT_SMALL_SIGNED);
	assert_int_equal(signed_make(body, keys, 1, out, NULL), 0);
	arena_deinit(&arena);
}

/* --- the server's answer --- */

static struct crypto_key *key_of(const ProtobufCBinaryData *csr)
{
	unsigned char spki[CRYPTO_SPKI_MAX];
	mbedtls_x509_csr parsed;
	struct crypto_key *key;
	int n;

	mbedtls_x509_csr_init(&parsed);
	assert_int_equal(mbedtls_x509_csr_parse_der(&parsed, csr->data, csr->len), 0);
	n = mbedtls_pk_write_pubkey_der(&parsed.pk, spki, sizeof(spki));
	assert_true(n > 0);
	mbedtls_x509_csr_free(&parsed);
	assert_int_equal(crypto_key_from_spki(spki + sizeof(spki) - n, (size_t)n, &key, NULL), 0);
	return key;
}

static void issue(const ProtobufCBinaryData *csr, struct test_cert *cert)
{
	struct test_cert_spec spec = {.subject = "CN=envwarden machine",
				      .uri = "urn:envwarden:machine:" MACHINE_TEXT,
				      .usage = TEST_USAGE_CLIENT,
				      .not_before_ms = NOW_MS - 30 * DAY_MS,
				      .not_after_ms = NOW_MS + 30 * DAY_MS};
	const struct test_cert *issuer = &pki_get()->root;
	struct crypto_key *key = key_of(csr);

	if (en.lie == OTHER_MACHINE)
		spec.uri = "urn:envwarden:machine:7d2f0a52-6c1b-4b0e-9a57-0f3f0f5b7c12";
	if (en.lie == OTHER_ROOT)
		issuer = &pki_get()->other_root;
	if (en.lie == CERTIFICATE_EXPIRED)
		spec.not_after_ms = NOW_MS - DAY_MS;
	test_cert_issue(&spec, en.lie == OTHER_KEY ? pki_get()->machine.key : key, issuer, cert);
	crypto_key_free(key);
}

static size_t choose_roots(ProtobufCBinaryData *out)
{
	size_t n = 0;

	for (size_t i = 0; i < 3; i++) {
		if (en.lie == NO_ROOTS || (en.lie == ROOTS_WITH_A_HOLE && i == 1))
			continue;
		out[n++] = wire_bytes(en.roots[i].data, en.roots[i].len);
	}
	return n;
}

static void check_question(const Envwarden__Sync__Enrol *m)
{
	assert_memory_equal(m->secret.data, en.code.secret, sizeof(en.code.secret));
	assert_non_null(m->machine);
	assert_string_equal(m->machine->agent_version, ENVWARDEN_VERSION);
	assert_true(m->machine->platform[0] != '\0');
}

static bool answer(struct world *world, const Envwarden__Sync__Envelope *e)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__EnrolReply m = ENVWARDEN__SYNC__ENROL_REPLY__INIT;
	ProtobufCBinaryData chain[2], roots[3];
	struct uuid machine, organisation = en.code.organisation;
	struct test_cert cert;

	assert_int_equal(e->kind_case, KIND(ENROL));
	check_question(e->enrol);
	issue(&e->enrol->csr, &cert);
	assert_int_equal(uuid_parse(MACHINE_TEXT, &machine), 0);
	if (en.lie == OTHER_ORGANISATION)
		organisation.b[0] ^= 1;
	chain[0] = wire_bytes(cert.chain, cert.leaf_n);
	chain[1] = wire_bytes(cert.chain + cert.leaf_n, cert.chain_n - cert.leaf_n);
	m.machine = wire_bytes(machine.b, UUID_SIZE);
	m.organisation = wire_bytes(organisation.b, UUID_SIZE);
	m.chain = chain;
	m.n_chain = 2;
	m.roots = roots;
	m.n_roots = choose_roots(roots);
	m.name = wire_text("Example & Co");
	envelope.kind_case = KIND(ENROL_REPLY);
	envelope.enrol_reply = &m;
	server_send(world, &envelope);
	return true;
}

/* --- the enrolment --- */

static void on_done(void *ctx, int rc, struct sync_identity *identity, const struct err *err)
{
	(void)ctx;
	en.done++;
	en.rc = rc;
	en.err = *err;
	en.enrol = NULL;
	assert_int_equal(rc == 0, identity != NULL);
	assert_int_equal(rc, err->code);
	if (identity) {
		en.identity = *identity; /* moved out */
		sync_identity_init(identity);
	}
	trace_add(&w, "done");
}

static void begin(void)
{
	world_init(&w);
	memset(&en, 0, sizeof(en));
	sync_identity_init(&en.identity);
	assert_int_equal(crypto_key_new(&en.role_key, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		make_root(i + 1, &pki_get()->organisation, NOW_MS + DAY_MS, &en.roots[i]);
	en.code = (struct join_code){.organisation = pki_get()->organisation,
				     .name = "Example",
				     .n_addresses = 1,
				     .secret = "0123456789abcde"};
	(void)snprintf(en.code.addresses[0], sizeof(en.code.addresses[0]), "127.0.0.1:%u",
		       w.server.port);
	assert_int_equal(crypto_key_id(pki_get()->root.key, en.code.root_hash, NULL), 0);
	en.config = (struct enrol_config){.loop = &w.loop,
					  .code = &en.code,
					  .proxy = "",
					  .timeout_ms = 10000,
					  .now_ms = NOW_MS,
					  .done = on_done};
	w.server.on_message = answer;
}

static void start(void)
{
	struct err err = ERR_INIT;

	if (enrol_start(&en.config, &en.enrol, &err) < 0)
		fail_msg("enrol_start: %s", err.text);
}

static void finish(void)
{
	sync_identity_deinit(&en.identity);
	crypto_key_free(en.role_key);
	for (size_t i = 0; i < 3; i++)
		buf_deinit(&en.roots[i]);
	world_end(&w);
}

static void run_until_done(void)
{
	start();
	world_until(&w, "done");
	assert_int_equal(en.done, 1);
}

static void assert_failed(int rc, const char *part)
{
	if (en.rc != rc || !strstr(en.err.text, part))
		fail_msg("%s: %s; not %s: %s", err_name(en.rc), en.err.text, err_name(rc), part);
	assert_null(strchr(en.err.text, '\n'));
	assert_null(en.identity.key);
}

static void test_enrols(void **state)
{
	struct tls_identity leaf;
	unsigned char id[SHA256_SIZE];
	char machine[UUID_TEXT_MAX];

	(void)state;
	begin();
	run_until_done();
	if (en.rc < 0)
		fail_msg("%s", en.err.text);
	world_expect(&w, ">nobody >enrol done");
	uuid_format(&en.identity.machine, machine);
	assert_string_equal(machine, MACHINE_TEXT);
	assert_string_equal(en.identity.name, "Example & Co");
	assert_string_equal(en.identity.addresses[0], en.code.addresses[0]);
	assert_int_equal(en.identity.n_addresses, 1);
	assert_int_equal(en.identity.root.len, en.roots[2].len);
	assert_memory_equal(en.identity.root.data, en.roots[2].data, en.roots[2].len);
	assert_int_equal(
		tls_identity_parse(en.identity.chain.data, en.identity.chain.len, &leaf, NULL), 0);
	assert_int_equal(crypto_key_id(en.identity.key, id, NULL), 0);
	assert_memory_equal(id, leaf.spki_hash, sizeof(id));
	finish();
}

/* And what it gave is good for a session. */
static void test_then_syncs(void **state)
{
	(void)state;
	begin();
	run_until_done();
	assert_int_equal(en.rc, 0);
	w.server.on_message = NULL;
	w.config.identity = &en.identity;
	world_start(&w);
	world_until(&w, "up");
	world_stop_sync(&w);
	finish();
}

static void test_lies(void **state)
{
	static const struct {
		enum lie lie;
		int rc;
		const char *text;
	} table[] = {
		{OTHER_ORGANISATION, ERR_VERIFY, "another organisation's"},
		{OTHER_MACHINE, ERR_VERIFY, "for another machine"},
		{OTHER_KEY, ERR_VERIFY, "for another key"},
		{OTHER_ROOT, ERR_VERIFY, "not of this organisation"},
		{NO_ROOTS, ERR_INVALID, "no root"},
		{ROOT_OF_OTHERS, ERR_VERIFY, "a root of another organisation"},
		{ROOTS_WITH_A_HOLE, ERR_INVALID, ""},
		{ROOT_EXPIRED, ERR_EXPIRED, ""},
		{CERTIFICATE_EXPIRED, ERR_EXPIRED, "set the clock"},
	};
	static const struct uuid other = {{1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		begin();
		en.lie = table[i].lie;
		for (size_t k = 0; k < 3; k++) {
			buf_deinit(&en.roots[k]);
			make_root(k + 1,
				  en.lie == ROOT_OF_OTHERS ? &other : &pki_get()->organisation,
				  en.lie == ROOT_EXPIRED ? NOW_MS - 1 : NOW_MS + DAY_MS,
				  &en.roots[k]);
		}
		run_until_done();
		assert_failed(table[i].rc, table[i].text);
		finish();
	}
}

/* --- refused --- */

static bool refuse_code(struct world *world, const Envwarden__Sync__Envelope *e)
{
	(void)e;
	server_error(world, ERR_PERM, "", 0);
	return true;
}

static bool refuse_busy(struct world *world, const Envwarden__Sync__Envelope *e)
{
	(void)e;
	server_error(world, 0, "too many\nmachines", 1500);
	return true;
}

static bool hang_up(struct world *world, const Envwarden__Sync__Envelope *e)
{
	(void)e;
	server_drop(world);
	return true;
}

static bool talk_nonsense(struct world *world, const Envwarden__Sync__Envelope *e)
{
	(void)e;
	server_raw(world, "\x0a\xff\xff", 3);
	return true;
}

static bool push(struct world *world, const Envwarden__Sync__Envelope *e)
{
	(void)e;
	server_push(world, "T");
	return true;
}

static void test_refusals(void **state)
{
	static const struct {
		bool (*on_message)(struct world *world, const Envwarden__Sync__Envelope *e);
		int rc;
		const char *text;
	} table[] = {
		{refuse_code, ERR_PERM, "does not accept this join code"},
		{refuse_busy, ERR_BUSY, "too many\\x0amachines (try again in 2 s)"},
		{hang_up, ERR_CLOSED, "may be used up by this"},
		{talk_nonsense, ERR_PROTOCOL, "older or newer"},
		{push, ERR_PROTOCOL, "older or newer"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		begin();
		w.server.on_message = table[i].on_message;
		run_until_done();
		assert_failed(table[i].rc, table[i].text);
		assert_int_equal(w.server.accepted, 1); /* a code is not spent twice */
		finish();
	}
}

/* --- not the right server, or none --- */

static void test_wrong_server(void **state)
{
	(void)state;
	begin();
	en.code.root_hash[0] ^= 1;
	run_until_done();
	assert_failed(ERR_VERIFY, "is not the one this join code is for");
	assert_null(strstr(w.trace, ">enrol"));
	finish();
}

static void test_clock(void **state)
{
	(void)state;
	begin();
	en.config.now_ms = NOW_MS + 400 * DAY_MS;
	run_until_done();
	assert_failed(ERR_EXPIRED, "set the clock");
	assert_null(strstr(w.trace, ">enrol"));
	finish();
}

static void test_not_reachable(void **state)
{
	(void)state;
	begin();
	server_close(&w);
	run_until_done();
	assert_failed(ERR_UNREACHABLE, "check the network");
	finish();
}

static void test_second_address(void **state)
{
	(void)state;
	begin();
	memcpy(en.code.addresses[1], en.code.addresses[0], sizeof(en.code.addresses[0]));
	(void)snprintf(en.code.addresses[0], sizeof(en.code.addresses[0]), "127.0.0.1:1");
	en.code.n_addresses = 2;
	run_until_done();
	assert_int_equal(en.rc, 0);
	finish();
}

/* A server is up that is the wrong one: worth more than that the other is down. */
static void test_worst_is_told(void **state)
{
	(void)state;
	begin();
	en.code.root_hash[0] ^= 1;
	(void)snprintf(en.code.addresses[1], sizeof(en.code.addresses[1]), "127.0.0.1:1");
	en.code.n_addresses = 2;
	run_until_done();
	assert_failed(ERR_VERIFY, "is not the one this join code is for");
	assert_int_equal(w.server.accepted, 1);
	finish();
}

static void test_timeout(void **state)
{
	(void)state;
	begin();
	w.server.silent = true;
	en.config.timeout_ms = 2000; /* enough to connect on a busy machine */
	run_until_done();
	assert_failed(ERR_TIMEOUT, "took too long to answer");
	finish();
}

static void test_stop_anywhere(void **state)
{
	(void)state;
	for (unsigned steps = 0; steps < 40; steps++) {
		begin();
		start();
		for (unsigned i = 0; i < steps && en.enrol; i++)
			uv_run(&w.loop, UV_RUN_NOWAIT);
		if (en.enrol) {
			enrol_stop(en.enrol);
			if (steps % 2 == 1)
				enrol_stop(en.enrol);
		}
		world_until(&w, "done");
		assert_int_equal(en.done, 1);
		if (en.rc != 0)
			assert_failed(ERR_CANCELED, "stopped");
		finish();
	}
}

/* --- no memory --- */

static int start_and_stop(void *ctx)
{
	struct err err = ERR_INIT;
	int rc = enrol_start(&en.config, &en.enrol, &err);

	(void)ctx;
	assert_int_equal(rc, err.code);
	if (rc < 0)
		return rc;
	enrol_stop(en.enrol);
	while (en.enrol)
		uv_run(&w.loop, UV_RUN_ONCE);
	return 0;
}

static void test_no_memory_to_start(void **state)
{
	(void)state;
	begin();
	fault_each_alloc(start_and_stop, NULL, 5);
	trace_clear(&w);
	finish();
}

static long answers_budget;

/* From here on it is the agent that takes memory. */
static bool answer_and_fail(struct world *world, const Envwarden__Sync__Envelope *e)
{
	(void)answer(world, e);
	mem_fail_after(answers_budget);
	return true;
}

static void test_no_memory_for_the_answer(void **state)
{
	bool untouched = false;

	(void)state;
	for (answers_budget = 0; !untouched; answers_budget++) {
		begin();
		w.server.on_message = answer_and_fail;
		run_until_done();
		untouched = mem_fail_pending();
		mem_fail_after(-1);
		if (untouched)
			assert_int_equal(en.rc, 0);
		else if (en.rc != 0)
			assert_failed(ERR_NOMEM, "");
		finish();
	}
	assert_in_range(answers_budget, 5, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enrols),
		cmocka_unit_test(test_then_syncs),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_wrong_server),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_not_reachable),
		cmocka_unit_test(test_second_address),
		cmocka_unit_test(test_worst_is_told),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_stop_anywhere),
		cmocka_unit_test(test_no_memory_to_start),
		cmocka_unit_test(test_no_memory_for_the_answer),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, pki_free);
}
