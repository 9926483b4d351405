#include "tests/server/session/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/net/frame.h"
#include "lib/net/tcp.h"
#include "lib/net/tls_identity.h"
#include "proto/canonical.h"
#include "proto/limits.h"
#include "server/db/db_bundle.h"
#include "server/db/db_org.h"
#include "server/db/db_outbox.h"

#define WAIT_MS 20000
#define START_MS INT64_C(1900000000000)

/* --- the server --- */

static int org_make(struct db_conn *conn, void *ctx)
{
	struct world *w = ctx;
	struct signer_org org = {
		.id = w->org, .name = "Test", .contact = "", .when_agent_down = "allow"};
	struct buf root;
	int rc;

	buf_init(&root, LIMIT_SMALL_SIGNED);
	rc = signer_create(w->dir.path, &org, w->clock.wall_ms, &w->signer, &root, NULL);
	assert_int_equal(rc, 0);
	assert_int_equal(root_first(root.data, root.len, &w->root, NULL), 0);
	rc = db_org_create(
		conn,
		&(struct db_org){
			.id = w->org, .name = "Test", .contact = "", .when_agent_down = "allow"},
		NULL);
	if (rc == 0)
		rc = db_bundle_put(conn,
				   &(struct db_bundle){.role = ROLE_ROOT,
						       .version = 1,
						       .data = (unsigned char *)root.data,
						       .n = root.len,
						       .created_ms = w->clock.wall_ms},
				   NULL);
	buf_deinit(&root);
	return rc;
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
}

void world_init(struct world *w)
{
	char path[TMPDIR_PATH_MAX];

	memset(w, 0, sizeof(*w));
	clock_fixed_init(&w->clock, START_MS);
	tmpdir_make(&w->dir);
	uuid_new(&w->org);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(uv_timer_init(&w->loop, &w->timer), 0);
	assert_int_equal(uv_timer_start(&w->timer, on_timer, 10, 10), 0);
	assert_int_equal(ca_create(w->dir.path, &w->org, w->clock.wall_ms, &w->ca, NULL), 0);
	assert_int_equal(ca_server_identity(w->ca, &w->org, w->clock.wall_ms, &w->identity, NULL),
			 0);
	tmpdir_path(&w->dir, "db", path);
	assert_int_equal(db_open(path, &w->db, NULL), 0);
	assert_int_equal(db_conn_open(w->db, true, &w->conn, NULL), 0);
	world_write(w, org_make, w);
	assert_int_equal(db_pool_start(w->db,
				       &(struct db_pool_config){.readers = 2, .queue_max = 1000},
				       &w->pool, NULL),
			 0);
}

void world_hub_start(struct world *w, int64_t enrol_burst)
{
	static const struct address anywhere = {.host = "127.0.0.1"};
	struct hub_config config = {.loop = &w->loop,
				    .pool = w->pool,
				    .ca = w->ca,
				    .signer = w->signer,
				    .identity = &w->identity,
				    .clock = &w->clock.clock,
				    .address = &anywhere,
				    .strangers_max = w->strangers_max,
				    .enrol_burst = enrol_burst,
				    .enrol_each_ms = 600000};

	assert_int_equal(db_outbox_head(w->conn, &config.outbox_from, NULL), 0);
	assert_int_equal(hub_start(&config, &w->hub, NULL), 0);
	w->hub_stopped = false;
	w->port = hub_port(w->hub);
}

static void on_hub_stopped(void *ctx)
{
	((struct world *)ctx)->hub_stopped = true;
}

void world_hub_stop(struct world *w)
{
	hub_stop(w->hub, on_hub_stopped, w);
	hub_stop(w->hub, NULL, NULL);
	while (!w->hub_stopped)
		uv_run(&w->loop, UV_RUN_ONCE);
	w->hub = NULL;
}

void world_deinit(struct world *w)
{
	if (w->hub)
		world_hub_stop(w);
	db_pool_stop(w->pool);
	db_pool_free(w->pool);
	db_conn_close(w->conn);
	db_close(w->db);
	signer_free(w->signer);
	ca_identity_wipe(&w->identity);
	ca_free(w->ca);
	uv_close((uv_handle_t *)&w->timer, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	tmpdir_remove(&w->dir);
}

void world_write(struct world *w, int (*work)(struct db_conn *conn, void *ctx), void *ctx)
{
	assert_int_equal(db_begin(w->conn, NULL), 0);
	assert_int_equal(work(w->conn, ctx), 0);
	assert_int_equal(db_commit(w->conn, NULL), 0);
}

struct code_spec {
	const unsigned char *hash;
	struct db_join_code row;
};

static int code_make(struct db_conn *conn, void *ctx)
{
	struct code_spec *spec = ctx;
	int64_t id;

	return db_join_create(conn, spec->hash, &spec->row, &id, NULL);
}

void world_join_code(struct world *w, int64_t uses, int64_t expires_ms,
		     unsigned char secret[JOIN_CODE_SECRET_SIZE])
{
	static const char *const labels[] = {"lab"};
	unsigned char hash[SHA256_SIZE];
	struct code_spec spec = {.hash = hash,
				 .row = {.title = "",
					 .created_by = "test",
					 .uses = uses,
					 .labels = {labels, 1},
					 .expires_ms = expires_ms,
					 .created_ms = w->clock.wall_ms}};

	crypto_random(secret, JOIN_CODE_SECRET_SIZE);
	sha256(secret, JOIN_CODE_SECRET_SIZE, hash);
	world_write(w, code_make, &spec);
}

/* --- the agent's connection --- */

static int64_t agent_now(void *ctx)
{
	return ((struct world *)ctx)->clock.wall_ms;
}

static void on_ready(struct conn *conn, void *ctx)
{
	struct agent *a = ctx;
	struct tls_peer peer;

	assert_int_equal(tls_peer(conn_tls(conn), &peer, NULL), 0);
	a->resumed = peer.resumed;
	buf_clear(&a->session);
	(void)tls_session_export(conn_tls(conn), &a->session, NULL);
	a->ready = true;
}

static void on_frame(struct conn *conn, const void *payload, size_t n, void *ctx)
{
	struct agent *a = ctx;

	(void)conn;
	assert_int_equal(frame_encode(&a->frames, payload, n, LIMIT_SYNC_FRAME), 0);
}

static void on_closed(void *ctx, int rc, const char *reason)
{
	struct agent *a = ctx;

	(void)reason;
	a->conn = NULL;
	a->closed = true;
	a->rc = rc;
}

static const struct conn_callbacks callbacks = {
	.on_ready = on_ready, .on_frame = on_frame, .on_closed = on_closed};

static void on_connect(uv_connect_t *req, int status)
{
	*(int *)req->data = status;
}

static uv_tcp_t *dial(struct world *w)
{
	struct sockaddr_in addr;
	uv_connect_t req;
	uv_tcp_t *tcp;
	int status = 1;

	assert_int_equal(uv_ip4_addr("127.0.0.1", w->port, &addr), 0);
	assert_int_equal(tcp_new(&w->loop, &tcp, NULL), 0);
	req.data = &status;
	assert_int_equal(uv_tcp_connect(&req, tcp, (struct sockaddr *)&addr, on_connect), 0);
	while (status == 1)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_int_equal(status, 0);
	return tcp;
}

static void context_make(struct agent *a)
{
	char name[CA_SERVER_NAME_MAX];
	const struct ca_cert *root = ca_root(a->world->ca);
	struct tls_client_config config = {.root = root->der,
					   .root_n = root->n,
					   .server_name = name,
					   .now_ms = agent_now,
					   .now_ctx = a->world};

	ca_server_name(&a->world->org, name);
	if (a->chain.len > 0) {
		config.chain = a->chain.data;
		config.chain_n = a->chain.len;
		config.key = a->key;
	}
	assert_int_equal(tls_context_new_client(&config, &a->context, NULL), 0);
}

static void wait_for(struct agent *a, const bool *flag)
{
	uint64_t end = uv_hrtime() + WAIT_MS * UINT64_C(1000000);

	while (!*flag) {
		assert_true(uv_hrtime() < end);
		uv_run(&a->world->loop, UV_RUN_ONCE);
	}
}

void agent_connect(struct agent *a)
{
	uv_tcp_t *tcp = dial(a->world);

	assert_null(a->conn);
	tls_context_free(a->context);
	context_make(a);
	a->ready = a->closed = false;
	buf_clear(&a->frames);
	assert_int_equal(conn_start(&(struct conn_config){.context = a->context,
							  .callbacks = &callbacks,
							  .ctx = a,
							  .session = a->session.data,
							  .session_n = a->session.len},
				    tcp, &a->conn, NULL),
			 0);
	wait_for(a, &a->ready);
}

void agent_drop(struct agent *a)
{
	if (!a->conn)
		return;
	conn_stop(a->conn);
	wait_for(a, &a->closed);
}

void agent_send_raw(struct agent *a, const void *data, size_t n)
{
	assert_int_equal(conn_send(a->conn, data, n, NULL), 0);
}

void agent_send(struct agent *a, Envwarden__Sync__Envelope *envelope)
{
	struct buf frame;

	buf_init(&frame, LIMIT_SYNC_FRAME + 4);
	assert_int_equal(codec_pack_sync(envelope, &frame, NULL), 0);
	agent_send_raw(a, frame.data + 4, frame.len - 4);
	buf_deinit(&frame);
}

/* One whole frame out of those that came; false: none yet. */
static bool frame_take(struct agent *a)
{
	struct rd r;
	size_t n;
	const void *payload;
	struct err err = ERR_INIT;

	if (a->frames.len < 4)
		return false;
	rd_init(&r, a->frames.data, a->frames.len);
	payload = rd_lp(&r, LIMIT_SYNC_FRAME, &n);
	assert_non_null(payload);
	arena_reset(&a->arena);
	if (codec_unpack_sync(payload, n, &a->arena, &a->message, &err) < 0)
		fail_msg("%s", err.text);
	buf_consume(&a->frames, n + 4);
	return true;
}

void agent_expect(struct agent *a, Envwarden__Sync__Envelope__KindCase kind)
{
	uint64_t end = uv_hrtime() + WAIT_MS * UINT64_C(1000000);

	while (!frame_take(a)) {
		assert_false(a->closed);
		assert_true(uv_hrtime() < end);
		uv_run(&a->world->loop, UV_RUN_ONCE);
	}
	if (a->message->kind_case != kind && a->message->kind_case == KIND(ERROR))
		fail_msg("error %d: %s", a->message->error->code, a->message->error->text);
	assert_int_equal(a->message->kind_case, kind);
}

void agent_expect_error(struct agent *a, int code)
{
	agent_expect(a, KIND(ERROR));
	if (a->message->error->code != code)
		fail_msg("error %d: %s", a->message->error->code, a->message->error->text);
}

void agent_expect_closed(struct agent *a)
{
	wait_for(a, &a->closed);
	assert_int_equal(a->frames.len, 0);
}

/* --- the agent --- */

void agent_init(struct agent *a, struct world *w)
{
	memset(a, 0, sizeof(*a));
	a->world = w;
	uuid_new(&a->epoch);
	assert_int_equal(crypto_key_new(&a->key, NULL), 0);
	buf_init(&a->chain, TLS_CHAIN_MAX);
	buf_init(&a->session, TLS_SESSION_MAX);
	buf_init(&a->frames, 64U << 20);
	arena_init(&a->arena, LIMIT_SYNC_MEMORY);
}

void agent_deinit(struct agent *a)
{
	agent_drop(a);
	tls_context_free(a->context);
	crypto_key_free(a->key);
	buf_deinit(&a->chain);
	buf_deinit(&a->session);
	buf_deinit(&a->frames);
	arena_deinit(&a->arena);
}

void agent_enrol(struct agent *a, const unsigned char secret[JOIN_CODE_SECRET_SIZE])
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Enrol enrol = ENVWARDEN__SYNC__ENROL__INIT;
	Envwarden__Sync__MachineInfo info = ENVWARDEN__SYNC__MACHINE_INFO__INIT;
	struct buf csr;

	buf_init(&csr, TLS_CSR_MAX);
	assert_int_equal(tls_identity_csr(a->key, &csr, NULL), 0);
	info.hostname = wire_text("host-1");
	info.platform = wire_text("linux-64");
	enrol.secret = wire_bytes(secret, JOIN_CODE_SECRET_SIZE);
	enrol.csr = wire_bytes(csr.data, csr.len);
	enrol.machine = &info;
	envelope.kind_case = KIND(ENROL);
	envelope.enrol = &enrol;
	agent_send(a, &envelope);
	buf_deinit(&csr);
}

void agent_enrolled(struct agent *a)
{
	const Envwarden__Sync__EnrolReply *reply = a->message->enrol_reply;

	buf_clear(&a->chain);
	for (size_t i = 0; i < reply->n_chain; i++)
		buf_add(&a->chain, reply->chain[i].data, reply->chain[i].len);
	uuid_from_wire(&reply->machine, &a->machine);
	agent_drop(a);
	buf_clear(&a->session);
}

void agent_make(struct agent *a, struct world *w)
{
	unsigned char secret[JOIN_CODE_SECRET_SIZE];

	agent_init(a, w);
	world_join_code(w, 1, 0, secret);
	agent_connect(a);
	agent_enrol(a, secret);
	agent_expect(a, KIND(ENROL_REPLY));
	agent_enrolled(a);
}

void agent_hello(struct agent *a)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Hello hello = ENVWARDEN__SYNC__HELLO__INIT;
	Envwarden__Bundle__Held status = ENVWARDEN__BUNDLE__HELD__INIT;
	Envwarden__Bundle__Held *held[] = {&status};

	hello.protocol = 1;
	hello.epoch = wire_uuid(&a->epoch);
	hello.head = a->head;
	hello.head_hash = wire_bytes(a->head_hash, SHA256_SIZE);
	if (a->has_token)
		hello.continuity = wire_bytes(a->token, sizeof(a->token));
	if (a->held_status.version > 0) {
		status.role = wire_text(ROLE_STATUS);
		status.version = a->held_status.version;
		status.hash = wire_bytes(a->held_status.hash, SHA256_SIZE);
		hello.held = held;
		hello.n_held = 1;
	}
	envelope.kind_case = KIND(HELLO);
	envelope.hello = &hello;
	agent_send(a, &envelope);
}

void agent_welcome(struct agent *a)
{
	agent_connect(a);
	agent_hello(a);
	agent_expect(a, KIND(WELCOME));
	assert_int_equal(a->message->welcome->continuity.len, sizeof(a->token));
	memcpy(a->token, a->message->welcome->continuity.data, sizeof(a->token));
	a->has_token = true;
}

void agent_timestamp(struct agent *a, const ProtobufCBinaryData *timestamp,
		     struct agent_held *status)
{
	struct signed_check check = {.keys = root_role(&a->world->root, ROLE_TIMESTAMP),
				     .now_ms = a->world->clock.wall_ms};
	Envwarden__Bundle__Body *body;
	bool root = false;

	memset(status, 0, sizeof(*status));
	assert_int_equal(
		signed_verify(timestamp->data, timestamp->len, &check, &a->arena, &body, NULL), 0);
	assert_int_equal(body->content_case, ENVWARDEN__BUNDLE__BODY__CONTENT_TIMESTAMP);
	assert_memory_equal(body->timestamp->machine.data, a->machine.b, UUID_SIZE);
	for (size_t i = 0; i < body->timestamp->n_roles; i++) {
		const Envwarden__Bundle__Held *held = body->timestamp->roles[i];

		if (strcmp(held->role, ROLE_ROOT) == 0 && held->version == 1)
			root = true;
		if (strcmp(held->role, ROLE_STATUS) == 0) {
			status->version = held->version;
			memcpy(status->hash, held->hash.data, SHA256_SIZE);
		}
	}
	assert_true(root);
	assert_int_not_equal(status->version, 0);
}

/* --- its journal --- */

struct package agent_package(const char *name)
{
	return (struct package){.manager = "conda",
				.name = name,
				.version = "1.0",
				.build = "h0_0",
				.channel = "https://conda.example.org/main",
				.subdir = "linux-64",
				.license = "",
				.url = ""};
}

/* An environment created with one package. */
static void change_make(struct change *c, const struct uuid *epoch, uint64_t seq,
			const char *package)
{
	change_init(c);
	c->epoch = *epoch;
	c->seq = seq;
	c->time_ms = 1000 + (int64_t)seq;
	c->kind = CHANGE_CREATED;
	memset(c->environment.b, (int)seq, UUID_SIZE);
	c->prefix = seq % 2 ? "/home/a/envs/one" : "/home/a/envs/two";
	c->owner.name = "ana";
	c->platform = "linux-64";
	if (package) {
		struct package p = agent_package(package);

		assert_int_equal(package_list_add(&c->added, &p), 0);
	}
}

void agent_changes(struct agent *a, uint64_t first, uint64_t last, const char *package, bool spoil)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Changes message = ENVWARDEN__SYNC__CHANGES__INIT;
	Envwarden__Sync__JournalChange *wire[8];
	unsigned char chain[8][SHA256_SIZE], previous[SHA256_SIZE];
	struct change changes[8];
	struct arena arena;
	size_t n = (size_t)(last - first + 1);

	arena_init(&arena, 1 << 20);
	memcpy(previous, a->head_hash, SHA256_SIZE);
	for (size_t i = 0; i < n; i++) {
		change_make(&changes[i], &a->epoch, first + i, package);
		change_chain(i ? chain[i - 1] : previous, &changes[i], chain[i]);
		if (spoil && i == n - 1)
			chain[i][5] ^= 1;
		assert_int_equal(journal_change_to_wire(&changes[i], chain[i], &arena, &wire[i]),
				 0);
		wire[i]->created_ms = INT64_MAX; /* no clock tells that */
	}
	message.epoch = wire_uuid(&a->epoch);
	message.previous_hash = wire_bytes(previous, SHA256_SIZE);
	message.changes = wire;
	message.n_changes = n;
	envelope.kind_case = KIND(CHANGES);
	envelope.changes = &message;
	agent_send(a, &envelope);
	for (size_t i = 0; i < n; i++)
		change_deinit(&changes[i]);
	arena_deinit(&arena);
	a->head = last;
	memcpy(a->head_hash, chain[n - 1], SHA256_SIZE);
}

void agent_expect_ack(struct agent *a, uint64_t seq)
{
	agent_expect(a, KIND(ACK));
	assert_int_equal(a->message->ack->seq, seq);
	assert_memory_equal(a->message->ack->epoch.data, a->epoch.b, UUID_SIZE);
}
