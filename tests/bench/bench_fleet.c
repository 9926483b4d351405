/*
 * Many agents in one process, for bench_fleet.py: what they cost the server, not the machine they
 * run on. They speak the sync protocol over TLS as agents do, but verify no signature and keep
 * nothing.
 *
 *   bench_fleet rows STATE-DIR N           puts N machines into a server's store (none serves it)
 *   bench_fleet run STATE-DIR PORT N       connects the first; "ready"; then what standard input
 * says
 *
 * All machines have one key. The first one's handshake is whole; the others resume sessions whose
 * tickets were made of its ticket with the server's own ticket key, by writing another machine's
 * id over the one in the certificate: 10,000 whole handshakes would take minutes that are no
 * concern of what is measured.
 *
 * Commands, one a line; each prints lines "what SECONDS" (of CLOCK_MONOTONIC):
 *   connect      ends all sessions, then all dial at once: "begin", "welcomed" (the last one)
 *   arm K        "armed"; then "pushed" when K agents had a Push, "whole" when as many hold and
 *                have reported all that their timestamp names
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/conn.h"
#include "lib/net/frame.h"
#include "lib/net/tcp.h"
#include "lib/net/tls_identity.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "proto/codec.h"
#include "proto/convert.h"
#include "proto/limits.h"
#include "proto/signed.h"
#include "server/db/db_bundle.h"
#include "server/db/db_machine.h"
#include "server/db/db_org.h"
#include "server/pki/ca.h"

#define KIND(name) ENVWARDEN__SYNC__ENVELOPE__KIND_##name
#define KEY_FILE "bench.key"
#define OPEN_FILES 1048576
#define FRAME_ARENA (8U << 20)

enum {
	HELD_STATUS,
	HELD_POLICY,
	HELD_N
};
static const char *const held_roles[HELD_N] = {ROLE_STATUS, ROLE_POLICY};

struct held {
	uint64_t version;
	unsigned char hash[SHA256_SIZE];
};

struct sim {
	struct fleet *fleet;
	struct uuid machine;
	struct buf session;
	unsigned char token[DB_CONTINUITY_SIZE];
	bool has_token;
	struct conn *conn;
	uv_connect_t dialling;
	struct held held[HELD_N];
	struct held named[HELD_N]; /* by the newest timestamp */
	size_t fetched;		   /* bytes of the bundle on its way */
	bool welcomed;
	bool pushed; /* since the last arm */
	bool whole;
};

struct fleet {
	uv_loop_t loop;
	uv_pipe_t input;
	struct buf lines;
	const struct clock *clock;
	struct ca *ca;
	struct uuid org;
	struct crypto_key *key;
	struct tls_context *context;
	unsigned char ticket_key[DB_TICKET_KEY_SIZE];
	struct sockaddr_in address;
	struct sim *sims;
	size_t n;
	size_t open;
	size_t welcomed;
	size_t wanted; /* 0 = not armed */
	size_t pushed;
	size_t whole;
	bool dial_wanted;
	struct arena arena; /* of the frame in hand */
};

static void must(int rc, const struct err *err, const char *what)
{
	if (rc >= 0)
		return;
	(void)fprintf(stderr, "bench_fleet: %s: %s\n", what,
		      err && err->code ? err->text : err_text(rc));
	exit(1);
}

static void tell(const char *what)
{
	(void)printf("%s %.6f\n", what, (double)uv_hrtime() / 1e9);
	(void)fflush(stdout);
}

static int64_t wall_ms(void *ctx)
{
	const struct clock *clock = ctx;

	return clock->wall_ms(clock);
}

/* Machine k's id: made of its number, so that both commands know it. */
static void machine_id(size_t k, struct uuid *out)
{
	unsigned char hash[SHA256_SIZE];

	sha256(&k, sizeof(k), hash);
	memcpy(out->b, hash, sizeof(out->b));
	out->b[6] = (unsigned char)(0x40 | (out->b[6] & 0x0f));
	out->b[8] = (unsigned char)(0x80 | (out->b[8] & 0x3f));
}

static void in_dir(const char *dir, const char *name, char out[4096])
{
	(void)snprintf(out, 4096, "%s/%s", dir, name);
}

/* --- rows --- */

static void key_save(const char *dir, const struct crypto_key *key)
{
	unsigned char der[CRYPTO_KEY_MAX];
	char path[4096];
	size_t n = 0;
	FILE *file;

	must(crypto_key_to_der(key, der, sizeof(der), &n, NULL), NULL, "key");
	in_dir(dir, KEY_FILE, path);
	file = fopen(path, "wb");
	if (!file || fwrite(der, 1, n, file) != n || fclose(file) != 0)
		must(ERR_IO, NULL, path);
}

static int rows(const char *dir, size_t n)
{
	struct crypto_key *key = NULL;
	struct db_conn *conn = NULL;
	struct db *db = NULL;
	struct err err = ERR_INIT;
	struct db_machine_new machine = {.info = {.hostname = "bench",
						  .platform = "linux-64",
						  .os = "",
						  .agent_version = ""}};
	int64_t now_ms = clock_system()->wall_ms(clock_system());
	char path[4096];

	must(crypto_key_new(&key, &err), &err, "key");
	must(crypto_key_id(key, machine.cert.key_hash, &err), &err, "key");
	machine.cert.not_after_ms = now_ms + INT64_C(30) * 86400000;
	key_save(dir, key);
	in_dir(dir, "envwarden.db", path);
	must(db_open(path, &db, &err), &err, path);
	must(db_conn_open(db, true, &conn, &err), &err, path);
	must(db_begin(conn, &err), &err, "begin");
	for (size_t i = 0; i < n; i++) {
		machine_id(i, &machine.id);
		crypto_random(machine.cert.serial, sizeof(machine.cert.serial));
		must(db_machine_insert(conn, &machine, now_ms, &err), &err, "machine");
	}
	must(db_commit(conn, &err), &err, "commit");
	db_conn_close(conn);
	db_close(db);
	crypto_key_free(key);
	return 0;
}

/* --- sending --- */

static void message_send(struct sim *s, const Envwarden__Sync__Envelope *envelope)
{
	struct err err = ERR_INIT;
	struct buf frame;

	buf_init(&frame, LIMIT_SYNC_FRAME + FRAME_HEADER_SIZE);
	must(codec_pack_sync(envelope, &frame, &err), &err, "pack");
	must(conn_send(s->conn, frame.data + FRAME_HEADER_SIZE, frame.len - FRAME_HEADER_SIZE,
		       &err),
	     &err, "send");
	buf_deinit(&frame);
}

static void hello_send(struct sim *s)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Hello hello = ENVWARDEN__SYNC__HELLO__INIT;
	Envwarden__Bundle__Held items[HELD_N], *list[HELD_N];
	static const unsigned char zero[SHA256_SIZE];

	hello.protocol = 1;
	hello.epoch = wire_uuid(&s->machine);
	hello.head_hash = wire_bytes(zero, SHA256_SIZE);
	if (s->has_token)
		hello.continuity = wire_bytes(s->token, sizeof(s->token));
	for (size_t i = 0; i < HELD_N; i++) {
		if (s->held[i].version == 0)
			continue;
		envwarden__bundle__held__init(&items[i]);
		items[i].role = wire_text(held_roles[i]);
		items[i].version = s->held[i].version;
		items[i].hash = wire_bytes(s->held[i].hash, SHA256_SIZE);
		list[hello.n_held++] = &items[i];
	}
	hello.held = list;
	envelope.kind_case = KIND(HELLO);
	envelope.hello = &hello;
	message_send(s, &envelope);
}

static void report_send(struct sim *s, size_t role)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__BundleReport report = ENVWARDEN__SYNC__BUNDLE_REPORT__INIT;

	report.role = wire_text(held_roles[role]);
	report.version = s->held[role].version;
	report.active = true;
	envelope.kind_case = KIND(BUNDLE_REPORT);
	envelope.bundle_report = &report;
	message_send(s, &envelope);
}

/* Asks for the next bundle it lacks; else it is whole. */
static void fetch_next(struct sim *s)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__BundleRequest request = ENVWARDEN__SYNC__BUNDLE_REQUEST__INIT;

	for (size_t i = 0; i < HELD_N; i++) {
		if (s->named[i].version == s->held[i].version)
			continue;
		s->fetched = 0;
		request.role = wire_text(held_roles[i]);
		request.version = s->named[i].version;
		envelope.kind_case = KIND(BUNDLE_REQUEST);
		envelope.bundle_request = &request;
		message_send(s, &envelope);
		return;
	}
	if (s->pushed && !s->whole) {
		s->whole = true;
		if (++s->fleet->whole == s->fleet->wanted)
			tell("whole");
	}
}

/* --- hearing --- */

static void timestamp_take(struct sim *s, const ProtobufCBinaryData *bytes)
{
	struct fleet *f = s->fleet;
	Envwarden__Bundle__Signed *wire;
	Envwarden__Bundle__Body *body;
	struct err err = ERR_INIT;

	must(codec_unpack_signed(bytes->data, bytes->len, &f->arena, &wire, &err), &err, "signed");
	must(codec_unpack_body(wire->body.data, wire->body.len, &f->arena, &body, &err), &err,
	     "body");
	for (size_t i = 0; i < body->timestamp->n_roles; i++) {
		const Envwarden__Bundle__Held *role = body->timestamp->roles[i];

		for (size_t k = 0; k < HELD_N; k++) {
			if (strcmp(role->role, held_roles[k]) != 0)
				continue;
			s->named[k].version = role->version;
			hash_from_wire(&role->hash, s->named[k].hash);
		}
	}
}

static void chunk_take(struct sim *s, const Envwarden__Sync__BundleChunk *chunk)
{
	s->fetched += chunk->data.len;
	if (s->fetched < chunk->total)
		return;
	for (size_t i = 0; i < HELD_N; i++) {
		if (strcmp(chunk->role, held_roles[i]) != 0)
			continue;
		s->held[i] = s->named[i];
		report_send(s, i);
	}
	fetch_next(s);
}

static void welcome_take(struct sim *s, const Envwarden__Sync__Welcome *welcome)
{
	struct fleet *f = s->fleet;

	memcpy(s->token, welcome->continuity.data, sizeof(s->token));
	s->has_token = s->welcomed = true;
	timestamp_take(s, &welcome->timestamp);
	if (++f->welcomed == f->n)
		tell("welcomed");
	fetch_next(s);
}

static void push_take(struct sim *s, const Envwarden__Sync__Push *push)
{
	struct fleet *f = s->fleet;

	timestamp_take(s, &push->timestamp);
	if (f->wanted > 0 && !s->pushed) {
		s->pushed = true;
		if (++f->pushed == f->wanted)
			tell("pushed");
	}
	fetch_next(s);
}

static void on_frame(struct conn *conn, const void *payload, size_t n, void *ctx)
{
	struct sim *s = ctx;
	Envwarden__Sync__Envelope *message;
	struct err err = ERR_INIT;

	(void)conn;
	arena_reset(&s->fleet->arena);
	must(codec_unpack_sync(payload, n, &s->fleet->arena, &message, &err), &err, "message");
	if (message->kind_case == KIND(WELCOME))
		welcome_take(s, message->welcome);
	else if (message->kind_case == KIND(PUSH))
		push_take(s, message->push);
	else if (message->kind_case == KIND(BUNDLE_CHUNK))
		chunk_take(s, message->bundle_chunk);
	else if (message->kind_case == KIND(ERROR))
		must(ERR_PROTOCOL,
		     &(struct err){.code = message->error->code, .text = "the server refused"},
		     message->error->text);
}

/* --- sessions --- */

static unsigned char *find(void *data, size_t n, const void *what, size_t what_n)
{
	unsigned char *at = memmem(data, n, what, what_n);

	must(at ? 0 : ERR_NOTFOUND, NULL, "the session: no ticket of the server's present key");
	return at;
}

/*
 * The first machine's session, with its ticket made out to another machine. A ticket is
 * name | nonce | sealed text | tag, and keeps its length.
 */
static void session_forge(struct sim *s, const struct buf *first, const struct uuid *id)
{
	unsigned char name[SHA256_SIZE], plain[TLS_SESSION_MAX];
	char old[UUID_TEXT_MAX], new[UUID_TEXT_MAX];
	unsigned char *ticket, *sealed, *at;
	size_t n, plain_n = 0;

	buf_clear(&s->session);
	buf_add(&s->session, first->data, first->len);
	must(buf_rc(&s->session), NULL, "session");
	sha256(s->fleet->ticket_key, DB_TICKET_KEY_SIZE, name);
	ticket = find(s->session.data, s->session.len, name, TLS_TICKET_NAME_SIZE);
	sealed = ticket + TLS_TICKET_NAME_SIZE;
	/* How long it is stands before it: 32 bits. */
	n = ((size_t)ticket[-2] << 8 | ticket[-1]) - TLS_TICKET_NAME_SIZE;
	must(crypto_open(s->fleet->ticket_key, sealed, n, plain, sizeof(plain), &plain_n), NULL,
	     "ticket");
	uuid_format(id, old);
	uuid_format(&s->machine, new);
	at = find(plain, plain_n, old, strlen(old));
	memcpy(at, new, strlen(new));
	must(crypto_seal(s->fleet->ticket_key, plain, plain_n, sealed, n), NULL, "ticket");
}

static void on_ready(struct conn *conn, void *ctx)
{
	struct sim *s = ctx;
	struct fleet *f = s->fleet;
	struct err err = ERR_INIT;
	struct tls_peer peer;
	bool first = s == &f->sims[0] && s->session.len == 0;

	must(tls_peer(conn_tls(conn), &peer, &err), &err, "peer");
	if (!first && !peer.resumed)
		must(ERR_STALE, NULL, "a session was not resumed");
	if (first) {
		must(tls_session_export(conn_tls(conn), &s->session, &err), &err, "session");
		for (size_t i = 1; i < f->n; i++)
			session_forge(&f->sims[i], &s->session, &s->machine);
		tell("ready");
	}
	hello_send(s);
}

static void dial(struct sim *s);

static void dial_all(struct fleet *f)
{
	f->dial_wanted = false;
	f->welcomed = 0;
	tell("begin");
	for (size_t i = 0; i < f->n; i++)
		dial(&f->sims[i]);
}

static void on_closed(void *ctx, int rc, const char *reason)
{
	struct sim *s = ctx;
	struct fleet *f = s->fleet;

	s->conn = NULL;
	if (!f->dial_wanted)
		must(ERR_CLOSED, &(struct err){.code = rc, .text = "the server closed"}, reason);
	if (--f->open == 0)
		dial_all(f);
}

static const struct conn_callbacks callbacks = {
	.on_ready = on_ready, .on_frame = on_frame, .on_closed = on_closed};

static void on_connect(uv_connect_t *req, int status)
{
	struct sim *s = container_of(req, struct sim, dialling);
	struct err err = ERR_INIT;

	must(status, NULL, "connect");
	must(conn_start(&(struct conn_config){.context = s->fleet->context,
					      .callbacks = &callbacks,
					      .ctx = s,
					      .session = s->session.data,
					      .session_n = s->session.len,
					      .handshake_timeout_ms = 120000},
			(uv_tcp_t *)req->handle, &s->conn, &err),
	     &err, "conn");
	s->fleet->open++;
}

static void dial(struct sim *s)
{
	struct err err = ERR_INIT;
	uv_tcp_t *tcp = NULL;

	s->welcomed = false;
	must(tcp_new(&s->fleet->loop, &tcp, &err), &err, "socket");
	must(uv_tcp_connect(&s->dialling, tcp, (struct sockaddr *)&s->fleet->address, on_connect),
	     NULL, "connect");
}

/* --- commands --- */

static void arm(struct fleet *f, size_t k)
{
	for (size_t i = 0; i < f->n; i++)
		f->sims[i].pushed = f->sims[i].whole = false;
	f->wanted = k;
	f->pushed = f->whole = 0;
	tell("armed");
}

static void command(struct fleet *f, const char *line)
{
	if (strncmp(line, "arm ", 4) == 0) {
		arm(f, strtoul(line + 4, NULL, 10));
		return;
	}
	if (strcmp(line, "connect") != 0)
		must(ERR_INVALID, NULL, line);
	f->dial_wanted = true;
	if (f->open == 0)
		dial_all(f);
	for (size_t i = 0; i < f->n && f->dial_wanted; i++)
		if (f->sims[i].conn)
			conn_stop(f->sims[i].conn);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	static char room[4096];

	(void)handle;
	(void)suggested;
	*out = uv_buf_init(room, sizeof(room));
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *data)
{
	struct fleet *f = stream->data;
	char *end;

	if (n < 0)
		exit(0); /* the driver is done */
	buf_add(&f->lines, data->base, (size_t)n);
	must(buf_rc(&f->lines), NULL, "input");
	while ((end = memchr(f->lines.data, '\n', f->lines.len))) {
		*end = '\0';
		command(f, (const char *)f->lines.data);
		buf_consume(&f->lines, (size_t)(end + 1 - (char *)f->lines.data));
		if (f->lines.len == 0)
			break;
	}
}

/* --- the start --- */

static void keys_read(struct fleet *f, const char *dir)
{
	struct db_ticket_key keys[2];
	struct err err = ERR_INIT;
	struct db_conn *conn = NULL;
	struct db *db = NULL;
	struct db_org org;
	struct arena arena;
	char path[4096];
	size_t n = 0;

	arena_init(&arena, 1 << 20);
	in_dir(dir, "envwarden.db", path);
	must(db_open(path, &db, &err), &err, path);
	must(db_conn_open(db, false, &conn, &err), &err, path);
	must(db_ticket_keys(conn, keys, &n, &err), &err, "ticket keys");
	if (n == 0)
		must(ERR_NOTFOUND, NULL, "ticket keys: the server has not begun");
	memcpy(f->ticket_key, keys[0].key, DB_TICKET_KEY_SIZE);
	must(db_org_get(conn, &arena, &org, &err), &err, "organisation");
	f->org = org.id;
	db_conn_close(conn);
	db_close(db);
	arena_deinit(&arena);
}

static void key_load(struct fleet *f, const char *dir)
{
	unsigned char der[CRYPTO_KEY_MAX];
	struct err err = ERR_INIT;
	char path[4096];
	FILE *file;
	size_t n;

	in_dir(dir, KEY_FILE, path);
	file = fopen(path, "rb");
	if (!file)
		must(ERR_IO, NULL, path);
	n = fread(der, 1, sizeof(der), file);
	(void)fclose(file);
	must(crypto_key_from_der(der, n, &f->key, &err), &err, path);
	must(ca_load(dir, &f->ca, &err), &err, "ca");
}

/* The first machine's certificate is all that is needed of any. */
static void context_make(struct fleet *f)
{
	const struct ca_cert *root = ca_root(f->ca);
	struct err err = ERR_INIT;
	char name[CA_SERVER_NAME_MAX];
	struct ca_issued issued;
	struct buf csr, chain;

	buf_init(&csr, TLS_CSR_MAX);
	buf_init(&chain, TLS_CHAIN_MAX);
	must(tls_identity_csr(f->key, &csr, &err), &err, "request");
	must(ca_issue_machine(f->ca, csr.data, csr.len, &f->sims[0].machine, false,
			      f->clock->wall_ms(f->clock), &issued, &err),
	     &err, "certificate");
	buf_add(&chain, issued.cert.der, issued.cert.n);
	buf_add(&chain, root->der, root->n);
	ca_server_name(&f->org, name);
	must(tls_context_new_client(
		     &(struct tls_client_config){.root = root->der,
						 .root_n = root->n,
						 .chain = chain.data,
						 .chain_n = chain.len,
						 .key = f->key,
						 .server_name = name,
						 .now_ms = wall_ms,
						 .now_ctx = (void *)(uintptr_t)f->clock},
		     &f->context, &err),
	     &err, "context");
	buf_deinit(&csr);
	buf_deinit(&chain);
}

static int run(const char *dir, const char *port, size_t n)
{
	struct fleet fleet = {.clock = clock_system(), .n = n};

	(void)process_set_limits(&(struct process_limits){.open_files = OPEN_FILES}, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	arena_init(&fleet.arena, FRAME_ARENA);
	buf_init(&fleet.lines, 65536);
	fleet.sims = mem_calloc(n, sizeof(*fleet.sims));
	must(fleet.sims ? 0 : ERR_NOMEM, NULL, "agents");
	for (size_t i = 0; i < n; i++) {
		fleet.sims[i].fleet = &fleet;
		machine_id(i, &fleet.sims[i].machine);
		buf_init(&fleet.sims[i].session, TLS_SESSION_MAX);
	}
	keys_read(&fleet, dir);
	key_load(&fleet, dir);
	context_make(&fleet);
	must(uv_ip4_addr("127.0.0.1", (int)strtol(port, NULL, 10), &fleet.address), NULL, port);
	must(uv_loop_init(&fleet.loop), NULL, "loop");
	must(uv_pipe_init(&fleet.loop, &fleet.input, 0), NULL, "input");
	fleet.input.data = &fleet;
	must(uv_pipe_open(&fleet.input, 0), NULL, "input");
	must(uv_read_start((uv_stream_t *)&fleet.input, on_alloc, on_input), NULL, "input");
	dial(&fleet.sims[0]); /* its ticket is the others' */
	fleet.dial_wanted = false;
	return uv_run(&fleet.loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "rows") == 0)
		return rows(argv[2], strtoul(argv[3], NULL, 10));
	if (argc == 5 && strcmp(argv[1], "run") == 0)
		return run(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	(void)fprintf(stderr, "usage: bench_fleet rows STATE-DIR N | run STATE-DIR PORT N\n");
	return 2;
}
