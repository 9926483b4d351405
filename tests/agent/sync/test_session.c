/* The life of a session: greeting, silence, nonsense, refusals, certificates, stopping. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "platform/files.h"
#include "platform/secret.h"
#include "proto/convert.h"
#include "tests/agent/sync/world.h"
#include "tests/support/fault.h"

static struct world w;

static void assert_why(const char *part)
{
	if (!strstr(w.owner.why, part))
		fail_msg("\"%s\" is not in \"%s\"", part, w.owner.why);
}

/* --- greeting --- */

static void test_welcome(void **state)
{
	(void)state;
	for (int later = 0; later < 2; later++) {
		world_init(&w);
		w.owner.later = later == 1;
		w.server.timestamp = "T1";
		world_start(&w);
		world_until(&w, "read:0");
		world_expect(&w, ">good >hello:0 welcome up timestamp:T1 read:0");
		assert_true(w.owner.connected);
		world_run(&w, 50); /* idle: nothing more */
		world_expect(&w, "");
		world_end(&w);
	}
}

static void test_resumes(void **state)
{
	(void)state;
	world_init(&w);
	world_start(&w);
	world_until(&w, "read:0");
	server_drop(&w);
	world_until(&w, "down");
	sync_hurry(w.sync);
	world_until(&w, ">good+resumed >hello:0+token welcome up");
	world_stop_sync(&w);
	world_expect(&w, ">good >hello:0 welcome up read:0 down >good+resumed >hello:0+token "
			 "welcome up read:0 stopped");
	world_start(&w); /* from the file */
	world_until(&w, ">good+resumed >hello:0+token");
	world_end(&w);
}

static void test_damaged_ticket(void **state)
{
	(void)state;
	world_init(&w);
	tmpdir_write_text(&w.dir, "ticket", "nothing of the kind"); /* mode 0644, too */
	world_start(&w);
	world_until(&w, ">good >hello:0");
	world_end(&w);
}

/* Some of what is kept shows only in the handshake that it is wrong: that fails once, not for ever.
 */
static void test_session_that_does_not_fit(void **state)
{
	static const size_t places[] = {84, 100, 120, 300};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct buf kept;

		world_init(&w);
		world_start(&w);
		world_until(&w, "read:0");
		world_stop_sync(&w);
		buf_init(&kept, TLS_SESSION_MAX);
		assert_int_equal(secret_read(w.ticket_path, TLS_SESSION_MAX, &kept, NULL), 0);
		kept.data[places[i]] ^= 1;
		assert_int_equal(secret_write(w.ticket_path, kept.data, kept.len, NULL), 0);
		buf_deinit(&kept);
		trace_clear(&w);
		world_start(&w); /* from the file */
		world_until(&w, ">hello:0");
		world_end(&w);
	}
}

static void test_push(void **state)
{
	(void)state;
	world_init(&w);
	world_start(&w);
	world_until(&w, "read:0");
	server_push(&w, "T2");
	world_until(&w, "timestamp:T2");
	world_end(&w);
}

/* A push that comes while the Welcome is stored replaces the Welcome's timestamp. */
static void test_push_early(void **state)
{
	(void)state;
	world_init(&w);
	w.server.timestamp = "T1";
	w.owner.withhold = true;
	world_start(&w);
	world_until(&w, "welcome");
	server_push(&w, "T2");
	world_run(&w, 50);
	owner_answer(&w);
	world_expect(&w, ">good >hello:0 welcome up timestamp:T2 read:0");
	owner_answer(&w);
	world_end(&w);
}

static void test_new_epoch(void **state)
{
	(void)state;
	world_init(&w);
	w.owner.position.head = w.owner.position.acked = 9;
	w.server.new_epoch = true;
	world_start(&w);
	world_until(&w, "read:2");
	world_expect(&w, ">good >hello:9 welcome+epoch up read:0 >changes:1-2 acked:2 read:2");
	world_end(&w);
}

static void test_welcome_not_stored(void **state)
{
	(void)state;
	world_init(&w);
	w.owner.fail = ERR_FULL;
	world_start(&w);
	world_until(&w, "down");
	assert_why("could not be stored: no space left");
	world_until(&w, ">hello:0 welcome up");
	world_end(&w);
}

/* --- silence --- */

static bool deaf_to_all_but_hello(struct world *world, const Envwarden__Sync__Envelope *e)
{
	(void)world;
	return e->kind_case != KIND(HELLO);
}

static void test_silence(void **state)
{
	static const struct {
		const char *what;
		bool hello;
		size_t changes, keys;
		uint64_t ping_ms;
		const char *want;
		const char *trace;
	} table[] = {
		{"hello", false, 0, 0, 0, NULL, ">hello"},
		{"offer", true, 1, 9, 0, NULL, ">offer"},
		{"changes", true, 1, 0, 0, NULL, ">changes"},
		{"ping", true, 0, 0, 20, NULL, ">ping"},
		{"bundle", true, 0, 0, 0, "policy", ">want"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		world_init(&w);
		w.server.silent = !table[i].hello;
		w.server.on_message = deaf_to_all_but_hello;
		w.server.timestamp = "T";
		w.owner.position.head = table[i].changes;
		w.owner.keys = table[i].keys;
		w.owner.want = table[i].want;
		w.config.answer_timeout_ms = 400;
		w.config.ping_ms = table[i].ping_ms;
		world_start(&w);
		world_until(&w, "down");
		assert_why("does not answer");
		if (!strstr(w.trace, table[i].trace))
			fail_msg("%s: %s", table[i].what, w.trace);
		world_end(&w);
	}
}

/* The owner may take its time: that is not the server's silence. */
static void test_slow_owner(void **state)
{
	(void)state;
	world_init(&w);
	w.config.answer_timeout_ms = 600;
	w.owner.withhold = true;
	w.owner.position.head = 1;
	world_start(&w);
	world_until(&w, "welcome");
	world_run(&w, 700);
	owner_answer(&w);
	world_until(&w, "read:0");
	world_run(&w, 700);
	owner_answer(&w);
	world_until(&w, "acked:1");
	world_run(&w, 700);
	assert_null(strstr(w.trace, "down"));
	world_end(&w);
}

static void test_ping(void **state)
{
	(void)state;
	world_init(&w);
	w.config.ping_ms = 20;
	w.config.answer_timeout_ms = 3000;
	world_start(&w);
	world_until(&w, ">ping >ping >ping");
	assert_null(strstr(w.trace, "down"));
	world_end(&w);
}

/* --- nonsense --- */

static void test_garbage(void **state)
{
	(void)state;
	world_init(&w);
	world_start(&w);
	world_until(&w, "read:0");
	server_raw(&w, "\x0a\xff\xff", 3);
	world_until(&w, "down");
	assert_why("is not good");
	world_end(&w);
}

static void test_unknown_kind(void **state)
{
	(void)state;
	world_init(&w);
	world_start(&w);
	world_until(&w, "read:0");
	server_raw(&w, "\xa2\x06\x00", 3); /* field 100, of a later version */
	world_until(&w, ">unsupported");
	server_push(&w, "T");
	world_until(&w, "timestamp:T");
	world_end(&w);
}

enum when {
	AT_HELLO,
	LIVE
};

/* Whole messages in places where they do not belong: bytes of an Envelope. */
static void test_out_of_place(void **state)
{
	static const unsigned char need[] = {0x9a, 0x02, 0x00};
	static const unsigned char chunk[] = {0xb2, 0x02, 0x00};
	static const unsigned char pong[] = {0xba, 0x02, 0x00};
	static const unsigned char push[] = {0xaa, 0x02, 0x00};
	static const unsigned char renew_reply[] = {0x8a, 0x02, 0x00};
	static const unsigned char ping[] = {0x4a, 0x00};
	static const struct {
		const unsigned char *bytes;
		size_t n;
		enum when when;
		bool stays;
	} table[] = {
		{need, sizeof(need), AT_HELLO, false},
		{chunk, sizeof(chunk), AT_HELLO, false},
		{push, sizeof(push), AT_HELLO, false},
		{renew_reply, sizeof(renew_reply), AT_HELLO, false},
		{ping, sizeof(ping), AT_HELLO, false},
		{need, sizeof(need), LIVE, false},
		{chunk, sizeof(chunk), LIVE, false},
		{renew_reply, sizeof(renew_reply), LIVE, false},
		{ping, sizeof(ping), LIVE, false},
		{pong, sizeof(pong), LIVE, true},
		{push, sizeof(push), LIVE, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		world_init(&w);
		w.server.silent = table[i].when == AT_HELLO;
		world_start(&w);
		world_until(&w, table[i].when == AT_HELLO ? ">hello" : "read:0");
		server_raw(&w, table[i].bytes, table[i].n);
		if (table[i].stays) {
			world_run(&w, 30);
			assert_null(strstr(w.trace, "down"));
		} else {
			world_until(&w, "down");
		}
		world_end(&w);
	}
}

static void test_second_welcome(void **state)
{
	(void)state;
	world_init(&w);
	world_start(&w);
	world_until(&w, "read:0");
	server_welcome(&w);
	world_until(&w, "down");
	assert_why("no place");
	world_end(&w);
}

/* --- refusals --- */

static bool refuse(struct world *world, const Envwarden__Sync__Envelope *e)
{
	if (e->kind_case != KIND(HELLO) || world->server.accepted > 1)
		return false;
	server_error(world, ERR_BUSY, "come back\nlater", 1500);
	return true;
}

static void test_retry_after(void **state)
{
	uint64_t begun;

	(void)state;
	world_init(&w);
	w.server.on_message = refuse;
	world_start(&w);
	world_until(&w, "down");
	begun = uv_hrtime();
	assert_string_equal(w.owner.why, "come back\\x0alater");
	world_until(&w, "up");
	assert_in_range((uv_hrtime() - begun) / 1000000, 1400, 10000);
	world_end(&w);
}

static void test_wrong_server(void **state)
{
	(void)state;
	world_init(&w);
	server_close(&w);
	uv_run(&w.loop, UV_RUN_NOWAIT);
	tls_context_free(w.server.tls);
	assert_int_equal(server_open(&w, &pki_get()->impostor, NOW_MS), 0);
	sync_identity_deinit(&w.identity);
	pki_identity(&pki_get()->machine, w.server.port, &w.identity);
	world_start(&w);
	world_until(&w, "down");
	assert_why("is not this organisation's");
	assert_null(strstr(w.trace, ">hello"));
	world_end(&w);
}

static void test_not_reachable(void **state)
{
	(void)state;
	world_init(&w);
	server_close(&w);
	world_start(&w);
	world_until(&w, "down");
	assert_why("connection refused");
	world_end(&w);
}

static void test_override(void **state)
{
	const char *bad[] = {"no address at all"}, *good[1];
	char text[32];

	(void)state;
	world_init(&w);
	w.config.addresses = bad;
	w.config.n_addresses = 1;
	assert_int_equal(sync_start(&w.config, &w.sync, NULL), ERR_INVALID);
	w.config.proxy = "half:";
	assert_int_equal(sync_start(&w.config, &w.sync, NULL), ERR_INVALID);
	w.config.proxy = "";
	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", w.server.port);
	good[0] = text;
	w.config.addresses = good;
	(void)snprintf(w.identity.addresses[0], sizeof(w.identity.addresses[0]), "127.0.0.1:1");
	world_start(&w);
	world_until(&w, "up");
	world_end(&w);
}

/* --- certificates --- */

static struct test_cert renewal;

static bool renew(struct world *world, const Envwarden__Sync__Envelope *e)
{
	if (e->kind_case != KIND(RENEW))
		return false;
	server_renewed(world, &renewal);
	return true;
}

static void test_renews_in_time(void **state)
{
	(void)state;
	pki_machine_cert(18, 48, &renewal);
	world_init(&w);
	w.server.on_message = renew;
	server_now_ms = w.owner.trusted_ms = NOW_MS + 18 * DAY_MS;
	w.config.ping_ms = 20;
	world_start(&w);
	world_until(&w, ">ping >ping");
	assert_null(strstr(w.trace, "renew")); /* before two thirds */
	assert_true(files_exists(w.ticket_path));
	w.owner.trusted_ms = NOW_MS + 20 * DAY_MS;
	world_until(&w, "renewed");
	assert_false(files_exists(w.ticket_path));
	trace_clear(&w);
	world_until(&w, ">ping >ping");
	assert_null(strstr(w.trace, "renew"));
	assert_true(w.owner.connected);
	server_drop(&w);
	world_until(&w, ">good >hello"); /* with the new one, not resumed */
	world_end(&w);
}

static void test_renewed_badly(void **state)
{
	struct test_cert other_key, other_root, other_machine, expired;
	const struct {
		const struct test_cert *cert;
		const char *why;
	} table[] = {
		{&other_key, "another key"},
		{&other_root, "not signed by this organisation"},
		{&other_machine, "another machine"},
		{&expired, "expired already"},
	};
	struct test_cert_spec spec = {.subject = "CN=envwarden machine",
				      .uri = "urn:envwarden:machine:" MACHINE_TEXT,
				      .usage = TEST_USAGE_CLIENT,
				      .not_before_ms = NOW_MS,
				      .not_after_ms = NOW_MS + 60 * DAY_MS};

	(void)state;
	test_cert_make(&spec, &pki_get()->root, &other_key);
	test_cert_issue(&spec, pki_get()->machine.key, &pki_get()->other_root, &other_root);
	spec.uri = "urn:envwarden:machine:7d2f0a52-6c1b-4b0e-9a57-0f3f0f5b7c12";
	test_cert_issue(&spec, pki_get()->machine.key, &pki_get()->root, &other_machine);
	pki_machine_cert(0, 10, &expired);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		renewal = *table[i].cert;
		world_init(&w);
		w.server.on_message = renew;
		w.owner.trusted_ms = NOW_MS + 20 * DAY_MS;
		world_start(&w);
		world_until(&w, "down");
		assert_why(table[i].why);
		assert_null(strstr(w.trace, "renewed"));
		world_end(&w);
	}
	test_cert_free(&other_key);
}

static void test_expired(void **state)
{
	(void)state;
	pki_machine_cert(29, 59, &renewal);
	world_init(&w);
	server_now_ms = w.owner.trusted_ms = NOW_MS + 30 * DAY_MS;
	w.server.on_message = renew;
	world_start(&w);
	world_until(&w, "read:0");
	world_expect(&w, ">expired >renew renewed down >good >hello:0 welcome up read:0");
	world_end(&w);
}

static bool refuse_expired(struct world *world, const Envwarden__Sync__Envelope *e)
{
	if (e->kind_case == KIND(HELLO) && world->server.accepted == 1) {
		server_error(world, ERR_PERM, "the machine's certificate has expired: renew it", 0);
		return true;
	}
	return renew(world, e);
}

/* An agent that slept does not know how late it is; the server does. */
static void test_expired_unknowingly(void **state)
{
	(void)state;
	pki_machine_cert(29, 59, &renewal);
	world_init(&w);
	server_now_ms = NOW_MS + 30 * DAY_MS;
	w.server.on_message = refuse_expired;
	world_start(&w);
	world_until(&w, "read:0");
	world_expect(&w, ">expired >hello:0 down >expired >renew renewed down >good >hello:0 "
			 "welcome up read:0");
	world_end(&w);
}

/* --- late answers --- */

/* No Hello while the owner still works for the connection before; its answer is dropped then. */
static void test_answers_across_connections(void **state)
{
	(void)state;
	world_init(&w);
	w.owner.position.head = 1;
	world_start(&w);
	w.owner.withhold = true;
	world_until(&w, "welcome");
	owner_answer(&w);
	server_drop(&w);
	world_until(&w, "down");
	sync_hurry(w.sync);
	world_until(&w, ">good+resumed");
	world_run(&w, 50);
	world_expect(&w, ">good >hello:1 welcome up read:0 down >good+resumed");
	owner_answer(&w);
	world_until(&w, "welcome");
	world_expect(&w, ">hello:1+token welcome");
	owner_answer(&w);
	owner_answer(&w);
	world_until(&w, "acked:1");
	world_expect(&w, "up read:0 >changes:1-1 acked:1");
	world_end(&w);
}

/* --- stopping --- */

static bool slow_bundle(struct world *world, const Envwarden__Sync__Envelope *e)
{
	if (e->kind_case == KIND(BUNDLE_REQUEST))
		server_chunk(world, "policy", e->bundle_request->version, e->bundle_request->offset,
			     100, "x");
	return false;
}

static void test_stop_anywhere(void **state)
{
	(void)state;
	for (unsigned steps = 0; steps < 80; steps++) {
		world_init(&w);
		w.owner.later = steps % 2 == 1;
		w.owner.keys = 9;
		w.owner.position.head = 20;
		w.owner.want = "policy";
		w.server.timestamp = "T";
		w.server.on_message = slow_bundle;
		world_start(&w);
		for (unsigned i = 0; i < steps; i++)
			uv_run(&w.loop, UV_RUN_NOWAIT);
		world_end(&w);
	}
}

/* Answers that come while it stops. */
static void test_stop_with_questions(void **state)
{
	static const char *const at[] = {"welcome", "read:0", "fetch:1", "acked:1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		world_init(&w);
		w.owner.keys = 1;
		w.owner.position.head = 1;
		w.owner.withhold = true;
		world_start(&w);
		for (size_t k = 0; k <= i; k++) {
			world_until(&w, at[k]);
			if (k < i)
				owner_answer(&w);
		}
		world_stop_begin(&w);
		owner_answer(&w);
		world_end(&w);
	}
}

static int start_and_stop(void *ctx)
{
	struct err err = ERR_INIT;
	int rc = sync_start(&w.config, &w.sync, &err);

	(void)ctx;
	assert_int_equal(rc, err.code);
	if (rc < 0)
		return rc;
	trace_clear(&w);
	world_stop_sync(&w);
	return 0;
}

static void test_no_memory_to_start(void **state)
{
	(void)state;
	world_init(&w);
	fault_each_alloc(start_and_stop, NULL, 5);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_welcome),
		cmocka_unit_test(test_resumes),
		cmocka_unit_test(test_damaged_ticket),
		cmocka_unit_test(test_session_that_does_not_fit),
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_push_early),
		cmocka_unit_test(test_new_epoch),
		cmocka_unit_test(test_welcome_not_stored),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_slow_owner),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_unknown_kind),
		cmocka_unit_test(test_out_of_place),
		cmocka_unit_test(test_second_welcome),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_wrong_server),
		cmocka_unit_test(test_not_reachable),
		cmocka_unit_test(test_override),
		cmocka_unit_test(test_renews_in_time),
		cmocka_unit_test(test_renewed_badly),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_expired_unknowingly),
		cmocka_unit_test(test_answers_across_connections),
		cmocka_unit_test(test_stop_anywhere),
		cmocka_unit_test(test_stop_with_questions),
		cmocka_unit_test(test_no_memory_to_start),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, pki_free);
}
