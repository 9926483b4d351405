/*
 * Both ends of TLS in one process, joined by memory, with a clock that the test turns. Every class
 * of peer, everything that must be refused, and resuming.
 */
#include "lib/net/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/fault.h"
#include "tests/support/test_pki.h"

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))
#define T0 (20000 * DAY_MS)
#define NAME "server.org.envwarden.internal"
#define MACHINE "7d2f0a52-6c1b-4b0e-9a57-0f3f0f5b7c11"

/* Made once: keys and certificates are slow. */
static struct test_cert root, other_root, server, machine, stranger, nameless, server_as_client;
static unsigned char root_hash[SHA256_SIZE], other_hash[SHA256_SIZE];

static int64_t get_now(void *ctx)
{
	return *(int64_t *)ctx;
}

static int make_certs(void **state)
{
	(void)state;
	test_root_make("CN=Example root", T0 - 100 * DAY_MS, T0 + 3650 * DAY_MS, &root);
	test_root_make("CN=Example root", T0 - 100 * DAY_MS, T0 + 3650 * DAY_MS, &other_root);
	test_server_make(&root, NAME, T0 - DAY_MS, T0 + 90 * DAY_MS, &server);
	test_machine_make(&root, MACHINE, T0 - DAY_MS, T0 + 30 * DAY_MS, &machine);
	test_machine_make(&other_root, MACHINE, T0 - DAY_MS, T0 + 30 * DAY_MS, &stranger);
	test_cert_make(&(struct test_cert_spec){.subject = "CN=m",
						.usage = TEST_USAGE_CLIENT,
						.not_before_ms = T0 - DAY_MS,
						.not_after_ms = T0 + 30 * DAY_MS},
		       &root, &nameless);
	test_cert_make(&(struct test_cert_spec){.subject = "CN=s",
						.uri = "urn:envwarden:machine:" MACHINE,
						.usage = TEST_USAGE_SERVER,
						.not_before_ms = T0 - DAY_MS,
						.not_after_ms = T0 + 30 * DAY_MS},
		       &root, &server_as_client);
	assert_int_equal(crypto_key_id(root.key, root_hash, NULL), 0);
	assert_int_equal(crypto_key_id(other_root.key, other_hash, NULL), 0);
	return 0;
}

static int free_certs(void **state)
{
	(void)state;
	test_cert_free(&root);
	test_cert_free(&other_root);
	test_cert_free(&server);
	test_cert_free(&machine);
	test_cert_free(&stranger);
	test_cert_free(&nameless);
	test_cert_free(&server_as_client);
	return 0;
}

/* --- a pair --- */

struct pair {
	int64_t client_now, server_now;
	struct tls_context *client_context, *server_context;
	struct tls *client, *server;
	int client_rc, server_rc;
	struct err client_err, server_err;
};

struct how {
	const struct test_cert *machine; /* NULL = no certificate */
	const struct test_cert *server;	 /* NULL = the usual one */
	const struct test_cert *root;	 /* the client's; NULL = the usual one */
	const unsigned char *pin;	 /* instead of a root */
	const char *name;		 /* NULL = the right one */
	int64_t now;			 /* both; 0 = T0 */
	int64_t client_now;		 /* 0 = now */
};

static void pair_contexts(struct pair *p, const struct how *how)
{
	const struct test_cert *s = how->server ? how->server : &server;
	const struct test_cert *r = how->root ? how->root : &root;
	struct tls_client_config client = {
		.root = how->pin ? NULL : r->chain,
		.root_n = r->chain_n,
		.root_spki_hash = how->pin,
		.chain = how->machine ? how->machine->chain : NULL,
		.chain_n = how->machine ? how->machine->chain_n : 0,
		.key = how->machine ? how->machine->key : NULL,
		.server_name = how->name ? how->name : NAME,
		.now_ms = get_now,
		.now_ctx = &p->client_now,
	};
	struct tls_server_config config = {
		.chain = s->chain,
		.chain_n = s->chain_n,
		.key = s->key,
		.client_root = root.chain,
		.client_root_n = root.chain_n,
		.now_ms = get_now,
		.now_ctx = &p->server_now,
	};

	memset(p, 0, sizeof(*p));
	p->server_now = how->now ? how->now : T0;
	p->client_now = how->client_now ? how->client_now : p->server_now;
	assert_int_equal(tls_context_new_client(&client, &p->client_context, NULL), 0);
	assert_int_equal(tls_context_new_server(&config, &p->server_context, NULL), 0);
}

static void pair_new(struct pair *p)
{
	p->client_rc = p->server_rc = 0;
	p->client_err = p->server_err = ERR_INIT;
	assert_int_equal(tls_new(p->client_context, &p->client, NULL), 0);
	assert_int_equal(tls_new(p->server_context, &p->server, NULL), 0);
}

static void pair_end(struct pair *p)
{
	tls_free(p->client);
	tls_free(p->server);
	p->client = p->server = NULL;
}

static void pair_free(struct pair *p)
{
	pair_end(p);
	tls_context_free(p->client_context);
	tls_context_free(p->server_context);
}

/* Carries what one end has to say to the other, `step` bytes at once; false if there was nothing.
 */
static bool carry(struct tls *from, struct tls *to, size_t step, int *rc, struct err *err)
{
	struct buf *out = tls_out(from);
	size_t n = out->len < step ? out->len : step;

	if (n == 0)
		return false;
	if (*rc == 0)
		*rc = tls_feed(to, out->data, n, err);
	buf_consume(out, n);
	return true;
}

static void pair_run(struct pair *p, size_t step)
{
	bool moved = true;

	assert_int_equal(tls_handshake(p->client, NULL), 0);
	while (moved) {
		moved = carry(p->client, p->server, step, &p->server_rc, &p->server_err);
		moved |= carry(p->server, p->client, step, &p->client_rc, &p->client_err);
	}
}

static void pair_connect(struct pair *p, const struct how *how)
{
	pair_contexts(p, how);
	pair_new(p);
	pair_run(p, 65536);
}

static void assert_open(const struct pair *p)
{
	if (p->client_rc < 0 || p->server_rc < 0)
		fail_msg("client: %s; server: %s", p->client_err.text, p->server_err.text);
	assert_int_equal(tls_state(p->client), TLS_OPEN);
	assert_int_equal(tls_state(p->server), TLS_OPEN);
}

static struct tls_peer peer_of(const struct tls *tls)
{
	struct tls_peer peer = {0};

	assert_int_equal(tls_peer(tls, &peer, NULL), 0);
	return peer;
}

static void assert_machine_facts(const struct tls_peer *peer)
{
	unsigned char id[SHA256_SIZE];
	struct uuid uuid;

	assert_true(peer->has_machine);
	assert_int_equal(uuid_parse(MACHINE, &uuid), 0);
	assert_int_equal(uuid_cmp(&peer->machine, &uuid), 0);
	assert_int_equal(crypto_key_id(machine.key, id, NULL), 0);
	assert_memory_equal(peer->spki_hash, id, SHA256_SIZE);
	assert_int_equal(peer->not_after_ms, T0 + 30 * DAY_MS);
}

/* --- classes --- */

static void test_good(void **state)
{
	static const size_t steps[] = {1, 7, 1000, 65536};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct pair p;
		struct tls_peer peer;

		pair_contexts(&p, &(struct how){.machine = &machine});
		pair_new(&p);
		pair_run(&p, steps[i]);
		assert_open(&p);
		peer = peer_of(p.server);
		assert_int_equal(peer.class, TLS_PEER_GOOD);
		assert_false(peer.resumed);
		assert_machine_facts(&peer);
		peer = peer_of(p.client);
		assert_int_equal(peer.class, TLS_PEER_GOOD);
		assert_false(peer.has_machine);
		assert_int_equal(peer.not_after_ms, T0 + 90 * DAY_MS);
		pair_free(&p);
	}
}

static void test_no_certificate(void **state)
{
	struct tls_peer peer;
	struct pair p;

	(void)state;
	pair_connect(&p, &(struct how){0});
	assert_open(&p);
	peer = peer_of(p.server);
	assert_int_equal(peer.class, TLS_PEER_NONE);
	assert_false(peer.has_machine);
	pair_free(&p);
}

static void test_expired_only(void **state)
{
	struct tls_peer peer;
	struct pair p;

	(void)state;
	pair_connect(&p, &(struct how){.machine = &machine, .now = T0 + 31 * DAY_MS});
	assert_open(&p);
	peer = peer_of(p.server);
	assert_int_equal(peer.class, TLS_PEER_EXPIRED);
	assert_machine_facts(&peer);
	pair_free(&p);
}

static void test_expires_while_open(void **state)
{
	struct pair p;

	(void)state;
	pair_connect(&p, &(struct how){.machine = &machine});
	assert_int_equal(peer_of(p.server).class, TLS_PEER_GOOD);
	p.server_now = T0 + 30 * DAY_MS;
	assert_int_equal(peer_of(p.server).class, TLS_PEER_GOOD); /* the last moment */
	p.server_now++;
	assert_int_equal(peer_of(p.server).class, TLS_PEER_EXPIRED);
	pair_free(&p);
}

static void test_bad_machines(void **state)
{
	static const struct {
		const struct test_cert *cert;
		int64_t now;
		const char *reason;
	} cases[] = {
		{&stranger, 0, "the machine's certificate is not signed by this organisation"},
		{&stranger, T0 + 31 * DAY_MS,
		 "the machine's certificate is not signed by this organisation"},
		{&nameless, 0, "the machine's certificate names no machine"},
		{&server_as_client, 0, "the machine's certificate is not meant for this purpose"},
		{&machine, T0 - 2 * DAY_MS, "the machine's certificate is not valid yet"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tls_peer peer;
		struct pair p;

		pair_connect(&p, &(struct how){.machine = cases[i].cert, .now = cases[i].now});
		assert_int_equal(p.server_rc, ERR_VERIFY);
		assert_string_equal(p.server_err.text, cases[i].reason);
		assert_int_equal(tls_state(p.server), TLS_FAILED);
		assert_int_equal(tls_peer(p.server, &peer, NULL), ERR_INVALID);
		assert_int_equal(tls_write(p.server, "x", 1, NULL), ERR_INVALID);
		/* and the client is told */
		assert_int_equal(p.client_rc, ERR_PROTOCOL);
		assert_non_null(strstr(p.client_err.text, "refused by the peer"));
		pair_free(&p);
	}
}

static void test_bad_servers(void **state)
{
	static const struct {
		struct how how;
		int rc;
		const char *reason;
	} cases[] = {
		{{.root = &other_root},
		 ERR_VERIFY,
		 "the server's certificate is not signed by this organisation"},
		{{.pin = other_hash},
		 ERR_VERIFY,
		 "the server's certificate is not signed by this organisation"},
		{{.name = "server.other.envwarden.internal"},
		 ERR_VERIFY,
		 "the server's certificate is for another name"},
		{{.pin = root_hash, .name = "server.other.envwarden.internal"},
		 ERR_VERIFY,
		 "the server's certificate is for another name"},
		{{.now = T0 + 91 * DAY_MS},
		 ERR_EXPIRED,
		 "the server's certificate expired on 2025-01-02T00:00:00.000Z"},
		{{.pin = root_hash, .now = T0 + 91 * DAY_MS},
		 ERR_EXPIRED,
		 "the server's certificate expired on 2025-01-02T00:00:00.000Z"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pair p;

		pair_connect(&p, &cases[i].how);
		if (p.client_rc != cases[i].rc || tls_state(p.client) != TLS_FAILED)
			fail_msg("%zu: %d %s", i, p.client_rc, p.client_err.text);
		assert_string_equal(p.client_err.text, cases[i].reason);
		assert_int_not_equal(tls_state(p.server), TLS_OPEN);
		pair_free(&p);
	}
}

static void test_pinned(void **state)
{
	struct pair p;

	(void)state;
	pair_connect(&p, &(struct how){.pin = root_hash});
	assert_open(&p);
	assert_int_equal(peer_of(p.client).class, TLS_PEER_GOOD);
	pair_free(&p);
}

/* The right root's certificate behind a leaf that another root of the same name has signed. */
static void test_pinned_root_must_have_signed(void **state)
{
	struct test_cert forged, made;
	struct pair p;

	(void)state;
	test_server_make(&other_root, NAME, T0 - DAY_MS, T0 + 90 * DAY_MS, &forged);
	made = forged;
	memcpy(made.chain + made.leaf_n, root.chain, root.chain_n);
	made.chain_n = made.leaf_n + root.chain_n;
	pair_connect(&p, &(struct how){.pin = root_hash, .server = &made});
	assert_int_equal(p.client_rc, ERR_VERIFY);
	pair_free(&p);
	test_cert_free(&forged);
}

/* Without the root in the chain there is nothing to compare the pin with. */
static void test_pinned_needs_the_root(void **state)
{
	struct test_cert bare = server;
	struct pair p;

	(void)state;
	bare.chain_n = bare.leaf_n;
	pair_connect(&p, &(struct how){.pin = root_hash, .server = &bare});
	assert_int_equal(p.client_rc, ERR_VERIFY);
	pair_free(&p);
}

/* A machine that slept long has an old lower bound of the time: a new certificate is still good. */
static void test_client_clock_behind(void **state)
{
	struct pair p;

	(void)state;
	pair_connect(&p, &(struct how){.client_now = T0 - 50 * DAY_MS});
	assert_open(&p);
	pair_free(&p);
}

/* --- data --- */

static void test_data_both_ways(void **state)
{
	static unsigned char sent[100000], got[100000];
	struct pair p;
	size_t n, have = 0;

	(void)state;
	crypto_random(sent, sizeof(sent));
	pair_connect(&p, &(struct how){.machine = &machine});
	assert_int_equal(tls_write(p.client, sent, sizeof(sent), NULL), 0);
	while (carry(p.client, p.server, 3000, &p.server_rc, &p.server_err)) {
		do {
			assert_int_equal(
				tls_read(p.server, got + have, sizeof(got) - have, &n, NULL), 0);
			have += n;
		} while (n > 0 && have < sizeof(got));
	}
	assert_int_equal(have, sizeof(sent));
	assert_memory_equal(sent, got, sizeof(sent));
	assert_int_equal(tls_write(p.server, "pong", 4, NULL), 0);
	carry(p.server, p.client, 65536, &p.client_rc, &p.client_err);
	assert_int_equal(tls_read(p.client, got, sizeof(got), &n, NULL), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(got, "pong", 4);
	pair_free(&p);
}

static void test_goodbye(void **state)
{
	struct pair p;
	char got[16];
	size_t n;

	(void)state;
	pair_connect(&p, &(struct how){.machine = &machine});
	assert_int_equal(tls_write(p.client, "last", 4, NULL), 0);
	tls_close_notify(p.client);
	assert_int_not_equal(tls_write(p.client, "more", 4, NULL), 0);
	carry(p.client, p.server, 65536, &p.server_rc, &p.server_err);
	assert_int_equal(tls_read(p.server, got, sizeof(got), &n, NULL), 0);
	assert_int_equal(n, 4);
	assert_int_equal(tls_read(p.server, got, sizeof(got), &n, NULL), ERR_CLOSED);
	assert_int_equal(tls_state(p.server), TLS_CLOSED);
	pair_free(&p);
}

static void test_bounds(void **state)
{
	static unsigned char data[TLS_OUT_MAX];
	struct pair p;
	size_t before;

	(void)state;
	pair_connect(&p, &(struct how){.machine = &machine});
	assert_int_equal(tls_write(p.client, data, sizeof(data), NULL), ERR_LIMIT);
	assert_int_equal(tls_out(p.client)->len, 0);
	assert_int_equal(tls_write(p.client, data, sizeof(data) / 2, NULL), 0);
	before = tls_out(p.client)->len;
	assert_int_equal(tls_write(p.client, data, sizeof(data) / 2, NULL), ERR_LIMIT);
	assert_int_equal(tls_out(p.client)->len, before);
	assert_int_equal(tls_state(p.client), TLS_OPEN);
	assert_int_equal(tls_feed(p.server, tls_out(p.client)->data, TLS_IN_MAX, NULL), 0);
	assert_int_equal(tls_feed(p.server, tls_out(p.client)->data, 1, NULL), ERR_LIMIT);
	assert_int_equal(tls_state(p.server), TLS_OPEN);
	pair_free(&p);
}

static void test_forged_record(void **state)
{
	struct pair p;
	char got[16];
	size_t n;

	(void)state;
	pair_connect(&p, &(struct how){.machine = &machine});
	assert_int_equal(tls_write(p.client, "hello", 5, NULL), 0);
	tls_out(p.client)->data[tls_out(p.client)->len - 1] ^= 1;
	carry(p.client, p.server, 65536, &p.server_rc, &p.server_err);
	assert_int_equal(tls_read(p.server, got, sizeof(got), &n, &p.server_err), ERR_PROTOCOL);
	assert_int_equal(tls_state(p.server), TLS_FAILED);
	assert_int_not_equal(tls_feed(p.server, "x", 1, NULL), 0);
	pair_free(&p);
}

static void test_not_tls(void **state)
{
	static const char *const inputs[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x00\x05hello, this is no hello",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
		struct pair p;

		pair_contexts(&p, &(struct how){0});
		pair_new(&p);
		assert_int_equal(
			tls_feed(p.server, inputs[i], strlen(inputs[i] + 5) + 5, &p.server_err),
			ERR_PROTOCOL);
		assert_int_equal(tls_state(p.server), TLS_FAILED);
		pair_free(&p);
	}
}

/* --- resuming --- */

static const struct tls_ticket_key key_a = {.name = "key a", .key = "a", .created_ms = T0};
static const struct tls_ticket_key key_b = {.name = "key b", .key = "b", .created_ms = T0};
static const struct tls_ticket_key key_c = {.name = "key c", .key = "c", .created_ms = T0};

/* A full handshake that leaves a session in `session`; both contexts stay. */
static void first_connection(struct pair *p, const struct how *how, struct buf *session)
{
	pair_contexts(p, how);
	tls_context_set_ticket_keys(p->server_context, &key_a, 1);
	pair_new(p);
	pair_run(p, 65536);
	assert_open(p);
	buf_init(session, TLS_SESSION_MAX);
	assert_int_equal(tls_session_export(p->client, session, NULL), 0);
	pair_end(p);
}

static void reconnect(struct pair *p, const struct buf *session)
{
	pair_new(p);
	assert_int_equal(tls_session_import(p->client, session->data, session->len, NULL), 0);
	pair_run(p, 65536);
}

static void test_resume(void **state)
{
	struct buf session, again;
	struct tls_peer peer;
	struct pair p;
	size_t n;
	char got[8];

	(void)state;
	first_connection(&p, &(struct how){.machine = &machine}, &session);
	reconnect(&p, &session);
	assert_open(&p);
	peer = peer_of(p.server);
	assert_true(peer.resumed);
	assert_int_equal(peer.class, TLS_PEER_GOOD);
	assert_machine_facts(&peer);
	assert_true(peer_of(p.client).resumed);
	assert_int_equal(peer_of(p.client).class, TLS_PEER_GOOD);
	assert_int_equal(tls_write(p.client, "ping", 4, NULL), 0);
	carry(p.client, p.server, 65536, &p.server_rc, &p.server_err);
	assert_int_equal(tls_read(p.server, got, sizeof(got), &n, NULL), 0);
	assert_int_equal(n, 4);
	/* the resumed session can be kept as well */
	buf_init(&again, TLS_SESSION_MAX);
	assert_int_equal(tls_session_export(p.client, &again, NULL), 0);
	pair_end(&p);
	reconnect(&p, &again);
	assert_open(&p);
	assert_true(peer_of(p.server).resumed);
	/* and what expires while it lives is seen */
	p.server_now = T0 + 31 * DAY_MS;
	assert_int_equal(peer_of(p.server).class, TLS_PEER_EXPIRED);
	pair_free(&p);
	buf_deinit(&session);
	buf_deinit(&again);
}

static void test_resume_times(void **state)
{
	static const struct {
		int64_t first, second;
		bool resumed;
		enum tls_peer_class class;
	} cases[] = {
		{T0, T0 + DAY_MS - 1, true, TLS_PEER_GOOD},
		{T0, T0 + DAY_MS, false, TLS_PEER_GOOD}, /* the ticket's life is over */
		/* a ticket made in the certificate's last hour ends with it */
		{T0 + 30 * DAY_MS - 3600000, T0 + 30 * DAY_MS - 1, true, TLS_PEER_GOOD},
		{T0 + 30 * DAY_MS - 3600000, T0 + 30 * DAY_MS + 1, false, TLS_PEER_EXPIRED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tls_ticket_key key = key_a;
		struct buf session;
		struct tls_peer peer;
		struct pair p;

		first_connection(&p, &(struct how){.machine = &machine, .now = cases[i].first},
				 &session);
		key.created_ms = cases[i].first;
		tls_context_set_ticket_keys(p.server_context, &key, 1);
		p.server_now = p.client_now = cases[i].second;
		reconnect(&p, &session);
		assert_open(&p);
		peer = peer_of(p.server);
		if (peer.resumed != cases[i].resumed || peer.class != cases[i].class)
			fail_msg("%zu: resumed %d class %d", i, peer.resumed, (int)peer.class);
		assert_machine_facts(&peer);
		pair_free(&p);
		buf_deinit(&session);
	}
}

static void test_ticket_keys(void **state)
{
	const struct {
		struct tls_ticket_key keys[2];
		size_t n;
		bool resumed;
	} cases[] = {
		{{key_a}, 1, true},
		{{key_b, key_a}, 2, true}, /* the one before is still good */
		{{key_c, key_b}, 2, false},
		{{key_b}, 1, false},
		{{key_a}, 0, false},
		{{{.name = "key a", .key = "not it", .created_ms = T0}, key_b}, 1, false},
		{{{.name = "key a", .key = "a", .created_ms = T0 - 2 * DAY_MS}, key_b}, 1, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf session;
		struct pair p;

		first_connection(&p, &(struct how){.machine = &machine}, &session);
		tls_context_set_ticket_keys(p.server_context, cases[i].keys, cases[i].n);
		reconnect(&p, &session);
		assert_open(&p);
		if (peer_of(p.server).resumed != cases[i].resumed)
			fail_msg("case %zu", i);
		assert_int_equal(peer_of(p.server).class, TLS_PEER_GOOD);
		pair_free(&p);
		buf_deinit(&session);
	}
}

/* Where the ticket lies in an exported session: behind the name of its key. */
static size_t find_ticket(const struct buf *session)
{
	for (size_t i = 0; i + TLS_TICKET_NAME_SIZE <= session->len; i++) {
		if (memcmp(session->data + i, key_a.name, TLS_TICKET_NAME_SIZE) == 0)
			return i;
	}
	fail_msg("no ticket in the session");
	return 0;
}

static void test_tampered_ticket(void **state)
{
	static const size_t places[] = {0, 16, 30, 60, 200};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct buf session;
		struct pair p;

		first_connection(&p, &(struct how){.machine = &machine}, &session);
		session.data[find_ticket(&session) + places[i]] ^= 1;
		reconnect(&p, &session);
		assert_open(&p);
		assert_false(peer_of(p.server).resumed);
		assert_int_equal(peer_of(p.server).class, TLS_PEER_GOOD);
		pair_free(&p);
		buf_deinit(&session);
	}
}

static void test_no_ticket_for_some(void **state)
{
	static const struct how cases[] = {
		{0},						/* who enrols */
		{.machine = &machine, .now = T0 + 31 * DAY_MS}, /* who must renew */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tls_ticket_key key = key_a;
		struct buf session;
		struct pair p;

		pair_contexts(&p, &cases[i]);
		key.created_ms = p.server_now;
		tls_context_set_ticket_keys(p.server_context, &key, 1);
		pair_new(&p);
		pair_run(&p, 65536);
		assert_open(&p);
		buf_init(&session, TLS_SESSION_MAX);
		assert_int_equal(tls_session_export(p.client, &session, NULL), ERR_NOTFOUND);
		buf_deinit(&session);
		pair_free(&p);
	}
}

/* A server that has just started may know no key yet: the old ticket is not for the new session. */
static void test_no_ticket_on_reconnect(void **state)
{
	struct buf session, none;
	struct pair p;

	(void)state;
	buf_init(&none, TLS_SESSION_MAX);
	first_connection(&p, &(struct how){.machine = &machine}, &session);
	tls_context_set_ticket_keys(p.server_context, NULL, 0);
	reconnect(&p, &session);
	assert_open(&p);
	assert_false(peer_of(p.server).resumed);
	assert_int_equal(tls_session_export(p.client, &none, NULL), ERR_NOTFOUND);
	pair_end(&p);
	/* The old one is as good as it was. */
	tls_context_set_ticket_keys(p.server_context, &key_a, 1);
	reconnect(&p, &session);
	assert_open(&p);
	assert_true(peer_of(p.server).resumed);
	pair_free(&p);
	buf_deinit(&session);
}

static void test_session_is_bound(void **state)
{
	struct test_cert renewed;
	struct how cases[] = {
		{.machine = &renewed},
		{.machine = NULL},
		{.machine = &machine, .root = &other_root},
		{.machine = &machine, .name = "other.example"},
	};
	struct buf session;
	struct pair p, q;

	(void)state;
	test_machine_make(&root, MACHINE, T0 - DAY_MS, T0 + 60 * DAY_MS, &renewed);
	first_connection(&p, &(struct how){.machine = &machine}, &session);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pair_contexts(&q, &cases[i]);
		pair_new(&q);
		assert_int_equal(tls_session_import(q.client, session.data, session.len, NULL),
				 ERR_STALE);
		pair_free(&q);
	}
	/* damaged or short ones leave the connection as it was */
	for (size_t n = 0; n < session.len; n += 13) {
		pair_new(&p);
		assert_int_equal(tls_session_import(p.client, session.data, n, NULL), ERR_STALE);
		if (n % 5 == 0) {
			pair_run(&p, 65536);
			assert_open(&p);
			assert_false(peer_of(p.server).resumed);
		}
		pair_end(&p);
	}
	pair_free(&p);
	buf_deinit(&session);
	test_cert_free(&renewed);
}

/* A resumed handshake shows no certificate: the client judges the one it remembers. */
static void test_resumed_server_expired(void **state)
{
	struct test_cert brief;
	struct buf session;
	struct pair p;

	(void)state;
	test_server_make(&root, NAME, T0 - DAY_MS, T0 + DAY_MS / 2, &brief);
	first_connection(&p, &(struct how){.machine = &machine, .server = &brief}, &session);
	p.client_now = p.server_now = T0 + DAY_MS / 2 + 1;
	reconnect(&p, &session);
	assert_int_equal(p.client_rc, ERR_EXPIRED);
	assert_int_equal(tls_state(p.client), TLS_FAILED);
	pair_free(&p);
	buf_deinit(&session);
	test_cert_free(&brief);
}

/* --- contexts --- */

static void test_context_refuses(void **state)
{
	struct tls_server_config config = {
		.chain = server.chain,
		.chain_n = server.chain_n,
		.key = machine.key, /* not its key */
		.client_root = root.chain,
		.client_root_n = root.chain_n,
		.now_ms = get_now,
	};
	struct tls_context *context = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(tls_context_new_server(&config, &context, &err), ERR_INVALID);
	assert_string_equal(err.text, "certificate is not for this key");
	config.key = server.key;
	config.client_root = machine.chain; /* two certificates */
	config.client_root_n = machine.chain_n;
	assert_int_equal(tls_context_new_server(&config, &context, &err), ERR_INVALID);
	config.client_root = "root";
	config.client_root_n = 4;
	assert_int_equal(tls_context_new_server(&config, &context, &err), ERR_INVALID);
	assert_null(context);
}

/* A server replaces its context while a connection of the old one lives. */
static void test_context_outlives_its_maker(void **state)
{
	struct pair p;

	(void)state;
	pair_contexts(&p, &(struct how){.machine = &machine});
	pair_new(&p);
	tls_context_free(p.client_context);
	tls_context_free(p.server_context);
	p.client_context = p.server_context = NULL;
	pair_run(&p, 65536);
	assert_open(&p);
	pair_free(&p);
}

static int set_up_body(void *ctx)
{
	int64_t now = T0;
	struct tls_client_config config = {
		.root = root.chain,
		.root_n = root.chain_n,
		.chain = machine.chain,
		.chain_n = machine.chain_n,
		.key = machine.key,
		.server_name = NAME,
		.now_ms = get_now,
		.now_ctx = &now,
	};
	struct tls_context *context = NULL;
	struct tls *tls = NULL;
	int rc = tls_context_new_client(&config, &context, NULL);

	(void)ctx;
	if (rc == 0)
		rc = tls_new(context, &tls, NULL);
	if (rc == 0)
		rc = tls_handshake(tls, NULL);
	tls_free(tls);
	tls_context_free(context);
	return rc;
}

static void test_no_memory(void **state)
{
	(void)state;
	fault_each_alloc(set_up_body, NULL, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_no_certificate),
		cmocka_unit_test(test_expired_only),
		cmocka_unit_test(test_expires_while_open),
		cmocka_unit_test(test_bad_machines),
		cmocka_unit_test(test_bad_servers),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_pinned_root_must_have_signed),
		cmocka_unit_test(test_pinned_needs_the_root),
		cmocka_unit_test(test_client_clock_behind),
		cmocka_unit_test(test_data_both_ways),
		cmocka_unit_test(test_goodbye),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_forged_record),
		cmocka_unit_test(test_not_tls),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_resume_times),
		cmocka_unit_test(test_ticket_keys),
		cmocka_unit_test(test_tampered_ticket),
		cmocka_unit_test(test_no_ticket_for_some),
		cmocka_unit_test(test_no_ticket_on_reconnect),
		cmocka_unit_test(test_session_is_bound),
		cmocka_unit_test(test_resumed_server_expired),
		cmocka_unit_test(test_context_refuses),
		cmocka_unit_test(test_context_outlives_its_maker),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, make_certs, free_certs);
}
