#include "server/session/session.h"

#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/frame.h"
#include "lib/net/tcp.h"
#include "proto/convert.h"
#include "proto/limits.h"
#include "server/session/session_impl.h"

#define STRANGER_RETRY_MS 5000
#define KIND(name) ENVWARDEN__SYNC__ENVELOPE__KIND_##name

/* --- sending --- */

int session_send(struct session *session, const Envwarden__Sync__Envelope *envelope)
{
	struct buf frame;
	int rc;

	if (!session->conn || session->stopping)
		return ERR_CLOSED;
	buf_init(&frame, FRAME_HEADER_SIZE + LIMIT_SYNC_FRAME);
	rc = codec_pack_sync(envelope, &frame, NULL);
	if (rc == 0)
		rc = conn_send(session->conn, frame.data + FRAME_HEADER_SIZE,
			       frame.len - FRAME_HEADER_SIZE, NULL);
	buf_deinit(&frame);
	return rc;
}

void session_finish(struct session *session)
{
	if (session->stopping || !session->conn)
		return;
	session->stopping = true;
	conn_finish(session->conn);
}

void session_stop(struct session *session)
{
	session->stopping = true;
	if (session->conn)
		conn_stop(session->conn);
}

/* What the agent can mend within the session: offer packages, begin an epoch, ask anew. */
static bool session_survives(int code)
{
	return code == ERR_NOTFOUND || code == ERR_CONFLICT || code == ERR_STALE;
}

void session_error(struct session *session, const struct err *err, int64_t retry_ms)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Error error = ENVWARDEN__SYNC__ERROR__INIT;

	if (!session->conn || session->stopping)
		return;
	error.code = err->code;
	error.text = wire_text(err->text);
	error.retry_after_ms = (uint32_t)retry_ms;
	envelope.kind_case = KIND(ERROR);
	envelope.error = &error;
	log_info("session", "refused", LOG_STR("peer", conn_peer_name(session->conn)),
		 LOG_STR("code", err_name(err->code)), LOG_ERR(err));
	if (session_send(session, &envelope) < 0)
		session_stop(session);
	else if (!session_survives(err->code))
		session_finish(session);
}

static void answer(struct session *session, Envwarden__Sync__Envelope__KindCase kind)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Pong pong = ENVWARDEN__SYNC__PONG__INIT;
	Envwarden__Sync__Unsupported unsupported = ENVWARDEN__SYNC__UNSUPPORTED__INIT;

	envelope.kind_case = kind;
	if (kind == KIND(PONG))
		envelope.pong = &pong;
	else
		envelope.unsupported = &unsupported;
	if (session_send(session, &envelope) < 0)
		session_stop(session);
}

/* --- messages --- */

static void enrol_after(struct session *session, struct task *task)
{
	(void)task;
	hub_enrolled(session->hub, conn_peer_name(session->conn));
}

static void hello_after(struct session *session, struct task *task)
{
	session->welcomed = true;
	session->timestamp_ms = task->now_ms;
	if (session->push_wanted)
		hub_push(session->hub, session);
}

static void renew_after(struct session *session, struct task *task)
{
	/* The key is the same: a session that was full stays so for as long as the new one. */
	if (session->class == SESSION_FULL)
		session->not_after_ms = task->not_after_ms;
}

static void bundle_after(struct session *session, struct task *task)
{
	session->sending = task;
	session->sent = (size_t)task->message->bundle_request->offset;
}

/*
 * Changes that contradict ours, where Hello could not show it (its head was beyond what is stored):
 * the next Hello of this epoch hears of it.
 */
static void changes_failed(struct session *session, struct task *task, int rc)
{
	struct uuid epoch;

	uuid_from_wire(&task->message->changes->epoch, &epoch);
	if (rc == ERR_CONFLICT)
		hub_conflict_note(session->hub, &session->machine, &epoch);
}

/* What each kind of message does; Ping needs no database. */
static const struct {
	Envwarden__Sync__Envelope__KindCase kind;
	int (*run)(struct db_conn *conn, struct task *task, struct err *err);
	void (*after)(struct session *session, struct task *task);
	bool write;
	bool after_hello; /* only in a session that was welcomed */
} handlers[] = {
	{KIND(ENROL), enrol_run, enrol_after, true, false},
	{KIND(RENEW), renew_run, renew_after, true, false},
	{KIND(HELLO), hello_run, hello_after, true, false},
	{KIND(PACKAGE_OFFER), offer_run, NULL, false, true},
	{KIND(PACKAGES), packages_run, NULL, true, true},
	{KIND(CHANGES), changes_run, NULL, true, true},
	{KIND(BUNDLE_REQUEST), bundle_run, bundle_after, false, true},
	{KIND(BUNDLE_REPORT), report_run, NULL, true, true},
	{KIND(DECISION_REPORT), decisions_run, NULL, true, true},
	{KIND(EXCEPTION_REQUEST), request_run, NULL, true, true},
};

/* What the order of messages forbids. */
static int order_check(struct session *session, Envwarden__Sync__Envelope__KindCase kind,
		       bool after_hello, struct err *err)
{
	if (after_hello && !session->welcomed)
		return err_set(err, ERR_PROTOCOL, "Hello comes first");
	if (kind == KIND(HELLO) && session->greeted)
		return err_set(err, ERR_PROTOCOL, "only one Hello in a session");
	return 0;
}

static int enrol_check(struct session *session, int64_t *wait_ms, struct err *err)
{
	if (hub_may_enrol(session->hub, conn_peer_name(session->conn), wait_ms))
		return 0;
	return err_set(err, ERR_BUSY,
		       "too many machines try to enrol from this address; try again in a moment");
}

/* Hands a message to its handler; takes the task. */
static void dispatch(struct session *session, struct task *task)
{
	Envwarden__Sync__Envelope__KindCase kind = task->message->kind_case;
	struct err err = ERR_INIT;
	int64_t wait_ms = 0;
	size_t i = 0;
	int rc;

	while (i < ARRAY_SIZE(handlers) && handlers[i].kind != kind)
		i++;
	if (i == ARRAY_SIZE(handlers)) {
		if (kind == KIND(PING))
			answer(session, KIND(PONG));
		task_free(task);
		return;
	}
	rc = order_check(session, kind, handlers[i].after_hello, &err);
	if (rc == 0 && kind == KIND(ENROL))
		rc = enrol_check(session, &wait_ms, &err);
	if (rc < 0) {
		session_error(session, &err, wait_ms);
		task_free(task);
		return;
	}
	if (kind == KIND(CHANGES))
		task->failed = changes_failed;
	if (kind == KIND(HELLO)) {
		struct uuid epoch;

		uuid_from_wire(&task->message->hello->epoch, &epoch);
		task->conflicted = hub_conflict_known(session->hub, &session->machine, &epoch);
		session->greeted = true;
		/* Before the work: what is changed while it runs must not be missed. */
		hub_register(session->hub, session);
	}
	task->run = handlers[i].run;
	task->after = handlers[i].after;
	task->paused = true;
	task_start(task, handlers[i].write);
}

/* An expired certificate does not become better, but a good one may expire meanwhile. */
static enum session_class class_now(const struct session *session)
{
	if (session->class == SESSION_FULL && hub_now_ms(session->hub) > session->not_after_ms)
		return SESSION_EXPIRED;
	return session->class;
}

static void on_frame(struct conn *conn, const void *payload, size_t n, void *ctx)
{
	struct session *session = ctx;
	Envwarden__Sync__Envelope *message;
	struct err err = ERR_INIT;
	struct task *task = NULL;
	int rc = task_new(session, &task);

	(void)conn;
	session->heard_ms = (int64_t)uv_now(hub_config(session->hub)->loop);
	if (rc < 0)
		(void)err_nomem(&err);
	else
		rc = codec_unpack_sync(payload, n, &task->arena, &message, &err);
	if (rc == 0)
		rc = class_check(message->kind_case, class_now(session), &err);
	if (rc == ERR_UNSUPPORTED) {
		answer(session, KIND(UNSUPPORTED));
		task_free(task);
	} else if (rc < 0) {
		session_error(session, &err, 0);
		if (!session->stopping)
			session_finish(session);
		task_free(task);
	} else {
		task->message = message;
		dispatch(session, task);
	}
}

/* --- who it is --- */

static int check_run(struct db_conn *conn, struct task *task, struct err *err)
{
	struct db_machine machine;

	return task_machine(conn, task, &machine, err);
}

static void check_start(struct session *session, bool paused)
{
	struct task *task;

	if (task_new(session, &task) < 0) {
		session_stop(session);
		return;
	}
	task->run = check_run;
	task->paused = paused;
	task_start(task, false);
}

void session_check(struct session *session)
{
	if (session->conn && !session->stopping && session->class != SESSION_NONE)
		check_start(session, false);
}

/* Who has shown nothing costs memory like everybody: there are only so many of them. */
static void admit_stranger(struct session *session)
{
	struct err err = ERR_INIT;

	if (hub_admit_stranger(session->hub, session))
		return;
	(void)err_set(&err, ERR_BUSY,
		      "too many machines enrol at this time; try again in a moment");
	session_error(session, &err, STRANGER_RETRY_MS);
}

static void on_ready(struct conn *conn, void *ctx)
{
	struct session *session = ctx;
	struct tls_peer peer;

	session->ready = true;
	hub_handshake_over(session->hub);
	if (tls_peer(conn_tls(conn), &peer, NULL) < 0) {
		session_stop(session);
		return;
	}
	session->heard_ms = (int64_t)uv_now(hub_config(session->hub)->loop);
	session->class = peer.class == TLS_PEER_GOOD	  ? SESSION_FULL
			 : peer.class == TLS_PEER_EXPIRED ? SESSION_EXPIRED
							  : SESSION_NONE;
	if (session->class == SESSION_NONE) {
		admit_stranger(session);
		return;
	}
	session->machine = peer.machine;
	session->not_after_ms = peer.not_after_ms;
	memcpy(session->key_hash, peer.spki_hash, sizeof(session->key_hash));
	check_start(session, true);
}

static void on_drain(struct conn *conn, void *ctx)
{
	(void)conn;
	bundle_send(ctx);
}

static void on_closed(void *ctx, int rc, const char *reason)
{
	struct session *session = ctx;
	struct hub *hub = session->hub;

	if (!session->ready)
		hub_handshake_over(hub);
	if (rc < 0 && rc != ERR_CLOSED)
		log_debug("session", "lost", LOG_STR("code", err_name(rc)),
			  LOG_STR("reason", reason));
	session->conn = NULL;
	session->stopping = true;
	hub_session_closed(hub, session);
	task_free(session->sending);
	session->sending = NULL;
	if (session->tasks > 0)
		return;
	mem_free(session);
	hub_session_freed(hub);
}

static const struct conn_callbacks callbacks = {
	.on_ready = on_ready, .on_frame = on_frame, .on_drain = on_drain, .on_closed = on_closed};

int session_start(struct hub *hub, uv_tcp_t *tcp, struct err *err)
{
	struct session *session = mem_calloc(1, sizeof(*session));
	int rc;

	if (!session) {
		tcp_discard(tcp);
		return err_nomem(err);
	}
	session->hub = hub;
	session->heard_ms = (int64_t)uv_now(hub_config(hub)->loop);
	rc = conn_start(&(struct conn_config){.context = hub_tls(hub),
					      .callbacks = &callbacks,
					      .ctx = session,
					      .frame_max = LIMIT_SYNC_FRAME},
			tcp, &session->conn, err);
	if (rc < 0) {
		mem_free(session);
		return rc;
	}
	hub_add(hub, session);
	return 0;
}
