#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/net/frame.h"
#include "lib/net/tcp.h"
#include "proto/convert.h"
#include "proto/limits.h"
#include "tests/agent/sync/world.h"

int64_t server_now_ms;

static int64_t get_now(void *ctx)
{
	(void)ctx;
	return server_now_ms;
}

/* --- saying --- */

void server_send(struct world *w, const Envwarden__Sync__Envelope *e)
{
	struct err err = ERR_INIT;
	struct buf frame;

	assert_non_null(w->server.conn);
	buf_init(&frame, FRAME_HEADER_SIZE + LIMIT_SYNC_FRAME);
	if (codec_pack_sync(e, &frame, &err) < 0)
		fail_msg("server: %s", err.text);
	assert_int_equal(conn_send(w->server.conn, frame.data + FRAME_HEADER_SIZE,
				   frame.len - FRAME_HEADER_SIZE, NULL),
			 0);
	buf_deinit(&frame);
}

void server_welcome(struct world *w)
{
	static const unsigned char token[16] = "continuity-token";
	Envwarden__Sync__Envelope e = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Welcome m = ENVWARDEN__SYNC__WELCOME__INIT;

	m.continuity = wire_bytes(token, sizeof(token));
	m.server_time_ms = NOW_MS;
	m.acked = w->server.acked;
	m.new_epoch = w->server.new_epoch;
	if (w->server.timestamp)
		m.timestamp = wire_bytes(w->server.timestamp, strlen(w->server.timestamp));
	e.kind_case = KIND(WELCOME);
	e.welcome = &m;
	server_send(w, &e);
}

void server_ack(struct world *w, const struct uuid *epoch, uint64_t seq)
{
	Envwarden__Sync__Envelope e = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Ack m = ENVWARDEN__SYNC__ACK__INIT;

	m.epoch = wire_bytes(epoch->b, UUID_SIZE);
	m.seq = seq;
	e.kind_case = KIND(ACK);
	e.ack = &m;
	server_send(w, &e);
}

void server_need(struct world *w, const unsigned char *keys, size_t n)
{
	Envwarden__Sync__Envelope e = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__PackageNeed m = ENVWARDEN__SYNC__PACKAGE_NEED__INIT;

	m.keys = wire_bytes(keys, n * 16);
	e.kind_case = KIND(PACKAGE_NEED);
	e.package_need = &m;
	server_send(w, &e);
}

void server_push(struct world *w, const char *timestamp)
{
	Envwarden__Sync__Envelope e = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Push m = ENVWARDEN__SYNC__PUSH__INIT;

	m.timestamp = wire_bytes(timestamp, strlen(timestamp));
	e.kind_case = KIND(PUSH);
	e.push = &m;
	server_send(w, &e);
}

void server_error(struct world *w, int code, const char *text, uint32_t retry_after_ms)
{
	Envwarden__Sync__Envelope e = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Error m = ENVWARDEN__SYNC__ERROR__INIT;

	m.code = code;
	m.text = wire_text(text);
	m.retry_after_ms = retry_after_ms;
	e.kind_case = KIND(ERROR);
	e.error = &m;
	server_send(w, &e);
}

void server_raw(struct world *w, const void *data, size_t n)
{
	assert_int_equal(conn_send(w->server.conn, data, n, NULL), 0);
}

void server_chunk(struct world *w, const char *role, uint64_t version, uint64_t offset,
		  uint64_t total, const char *data)
{
	Envwarden__Sync__Envelope e = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__BundleChunk m = ENVWARDEN__SYNC__BUNDLE_CHUNK__INIT;

	m.role = wire_text(role);
	m.version = version;
	m.offset = offset;
	m.total = total;
	m.data = wire_bytes(data, strlen(data));
	e.kind_case = KIND(BUNDLE_CHUNK);
	e.bundle_chunk = &m;
	server_send(w, &e);
}

void server_renewed(struct world *w, const struct test_cert *cert)
{
	Envwarden__Sync__Envelope e = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__RenewReply m = ENVWARDEN__SYNC__RENEW_REPLY__INIT;
	ProtobufCBinaryData chain[2];

	chain[0] = wire_bytes(cert->chain, cert->leaf_n);
	chain[1] = wire_bytes(cert->chain + cert->leaf_n, cert->chain_n - cert->leaf_n);
	m.chain = chain;
	m.n_chain = 2;
	e.kind_case = KIND(RENEW_REPLY);
	e.renew_reply = &m;
	server_send(w, &e);
}

/* --- hearing --- */

static void note(struct world *w, const Envwarden__Sync__Envelope *e)
{
	const Envwarden__Sync__Changes *c = e->changes;

	switch (e->kind_case) {
	case KIND(ENROL):
		trace_add(w, ">enrol");
		break;
	case KIND(RENEW):
		trace_add(w, ">renew");
		break;
	case KIND(HELLO):
		trace_add(w, ">hello:%d%s", (int)e->hello->head,
			  e->hello->continuity.len > 0 ? "+token" : "");
		break;
	case KIND(PACKAGE_OFFER):
		trace_add(w, ">offer:%d", (int)(e->package_offer->keys.len / 16));
		break;
	case KIND(PACKAGES):
		trace_add(w, ">packages:%d", (int)e->packages->n_packages);
		break;
	case KIND(CHANGES):
		trace_add(w, ">changes:%d-%d", (int)c->changes[0]->seq,
			  (int)c->changes[c->n_changes - 1]->seq);
		break;
	case KIND(BUNDLE_REQUEST):
		trace_add(w, ">want:%s/%d@%d", e->bundle_request->role,
			  (int)e->bundle_request->version, (int)e->bundle_request->offset);
		break;
	case KIND(BUNDLE_REPORT):
		trace_add(w, ">report:%s/%d%s%s", e->bundle_report->role,
			  (int)e->bundle_report->version, e->bundle_report->active ? "+" : "-",
			  e->bundle_report->reason);
		break;
	case KIND(PING):
		trace_add(w, ">ping");
		break;
	case KIND(UNSUPPORTED):
		trace_add(w, ">unsupported");
		break;
	default:
		trace_add(w, ">kind%d", (int)e->kind_case);
	}
}

static void follow_script(struct world *w, const Envwarden__Sync__Envelope *e)
{
	Envwarden__Sync__Envelope reply = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Pong pong = ENVWARDEN__SYNC__PONG__INIT;
	const ProtobufCBinaryData *keys;
	struct uuid epoch;

	switch (e->kind_case) {
	case KIND(HELLO):
		server_welcome(w);
		break;
	case KIND(PACKAGE_OFFER):
		keys = &e->package_offer->keys;
		server_need(w, keys->data, w->server.need_none ? 0 : keys->len / 16);
		break;
	case KIND(CHANGES):
		if (w->server.hold_ack)
			break;
		uuid_from_wire(&e->changes->epoch, &epoch);
		w->server.acked = e->changes->changes[e->changes->n_changes - 1]->seq;
		server_ack(w, &epoch, w->server.acked);
		break;
	case KIND(PING):
		reply.kind_case = KIND(PONG);
		reply.pong = &pong;
		server_send(w, &reply);
		break;
	default:
		break;
	}
}

/* One connection; the world's is the last one. */
struct peer {
	struct world *w;
	unsigned number;
};

static void on_frame(struct conn *conn, const void *payload, size_t n, void *ctx)
{
	struct world *w = ((struct peer *)ctx)->w;
	Envwarden__Sync__Envelope *e;
	struct err err = ERR_INIT;

	(void)conn;
	if (codec_unpack_sync(payload, n, &w->server.arena, &e, &err) < 0)
		fail_msg("server heard: %s", err.text);
	note(w, e);
	if (!w->server.silent && !(w->server.on_message && w->server.on_message(w, e)))
		follow_script(w, e);
	arena_reset(&w->server.arena);
}

static void on_ready(struct conn *conn, void *ctx)
{
	struct world *w = ((struct peer *)ctx)->w;
	struct tls_peer peer;

	assert_int_equal(tls_peer(conn_tls(conn), &peer, NULL), 0);
	trace_add(w, ">%s%s",
		  peer.class == TLS_PEER_GOOD	   ? "good"
		  : peer.class == TLS_PEER_EXPIRED ? "expired"
						   : "nobody",
		  peer.resumed ? "+resumed" : "");
}

static void on_closed(void *ctx, int rc, const char *reason)
{
	struct peer *peer = ctx;

	(void)rc;
	(void)reason;
	if (peer->number == peer->w->server.accepted)
		peer->w->server.conn = NULL;
	mem_free(peer);
}

static const struct conn_callbacks callbacks = {
	.on_ready = on_ready, .on_frame = on_frame, .on_closed = on_closed};

static void on_accepted(struct listener *listener, uv_tcp_t *tcp, void *ctx)
{
	struct world *w = ctx;
	struct peer *peer = mem_alloc(sizeof(*peer));

	listener_release(listener);
	if (!peer) {
		tcp_discard(tcp);
		return;
	}
	*peer = (struct peer){w, ++w->server.accepted};
	w->server.conn = NULL;
	if (conn_start(&(struct conn_config){.context = w->server.tls,
					     .callbacks = &callbacks,
					     .ctx = peer,
					     .frame_max = LIMIT_SYNC_FRAME},
		       tcp, &w->server.conn, NULL) < 0)
		mem_free(peer);
}

static void on_stopped(void *ctx)
{
	(void)ctx;
}

static const struct listener_callbacks listener_callbacks = {on_accepted, on_stopped};

int server_open(struct world *w, const struct test_cert *cert, int64_t now_ms)
{
	static const struct address anywhere = {.host = "127.0.0.1", .port = 0};
	static const struct tls_ticket_key key = {"name", "key", NOW_MS};
	const struct tls_server_config config = {.chain = cert->chain,
						 .chain_n = cert->chain_n,
						 .key = cert->key,
						 .client_root = pki_get()->root.chain,
						 .client_root_n = pki_get()->root.chain_n,
						 .now_ms = get_now};
	const struct listener_config listen = {
		.callbacks = &listener_callbacks, .address = &anywhere, .loop = &w->loop, .ctx = w};
	int rc = tls_context_new_server(&config, &w->server.tls, NULL);

	if (rc < 0)
		return rc;
	server_now_ms = now_ms;
	tls_context_set_ticket_keys(w->server.tls, &key, 1);
	arena_init(&w->server.arena, LIMIT_SYNC_MEMORY);
	rc = listener_start(&listen, &w->server.listener, NULL);
	if (rc == 0)
		w->server.port = listener_port(w->server.listener);
	return rc;
}

void server_drop(struct world *w)
{
	if (w->server.conn)
		conn_stop(w->server.conn);
}

void server_close(struct world *w)
{
	server_drop(w);
	if (w->server.listener)
		listener_stop(w->server.listener);
	w->server.listener = NULL;
}
