#include "agent/sync/sync.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/sync/sync_impl.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/frame.h"
#include "lib/net/tls_identity.h"

#define ANSWER_TIMEOUT_MS (2 * 60 * 1000)
#define PING_MS (15 * 60 * 1000)

/* --- states --- */

#define TO(state) (1u << SYNC_##state)

static const struct {
	const char *name;
	unsigned next;
} states[] = {
	[SYNC_WAITING] = {"waiting", TO(DIALLING) | TO(STOPPING)},
	[SYNC_DIALLING] = {"dialling",
			   TO(RENEWING) | TO(HELLO) | TO(CLOSING) | TO(WAITING) | TO(STOPPING)},
	[SYNC_RENEWING] = {"renewing", TO(CLOSING) | TO(WAITING) | TO(STOPPING)},
	[SYNC_HELLO] = {"hello", TO(WELCOMING) | TO(CLOSING) | TO(WAITING) | TO(STOPPING)},
	[SYNC_WELCOMING] = {"welcoming", TO(LIVE) | TO(CLOSING) | TO(WAITING) | TO(STOPPING)},
	[SYNC_LIVE] = {"live", TO(CLOSING) | TO(WAITING) | TO(STOPPING)},
	[SYNC_CLOSING] = {"closing", TO(WAITING) | TO(STOPPING)},
	[SYNC_STOPPING] = {"stopping", 0},
};

void sync_set_state(struct sync *sync, enum sync_state state)
{
	CHECK((states[sync->state].next & 1u << state) != 0);
	log_debug("sync", "state", LOG_STR("from", states[sync->state].name),
		  LOG_STR("to", states[state].name));
	sync->state = state;
}

/* --- awaited answers, open questions --- */

void sync_await(struct sync *sync, enum answer answer)
{
	CHECK(!sync_awaits(sync, answer));
	sync->awaited[sync->n_awaited++] = answer;
}

bool sync_awaits(const struct sync *sync, enum answer answer)
{
	for (size_t i = 0; i < sync->n_awaited; i++) {
		if (sync->awaited[i] == answer)
			return true;
	}
	return false;
}

bool sync_answered(struct sync *sync, enum answer answer)
{
	size_t i = 0;

	while (i < sync->n_awaited && sync->awaited[i] != answer)
		i++;
	if (i == sync->n_awaited)
		return false;
	sync->n_awaited--;
	memmove(&sync->awaited[i], &sync->awaited[i + 1],
		(sync->n_awaited - i) * sizeof(sync->awaited[0]));
	return true;
}

void sync_ask(struct sync *sync, enum question question)
{
	CHECK((sync->open & (unsigned)question) == 0);
	sync->open |= (unsigned)question;
}

/* --- the connection --- */

void sync_lose(struct sync *sync, int code, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	if (!sync->conn || sync->state == SYNC_CLOSING || sync->state == SYNC_STOPPING)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)err_set(&sync->why, code, "%s", text);
	sync_set_state(sync, SYNC_CLOSING);
	conn_stop(sync->conn);
}

/* What conn_send said; a full queue is no trouble, since it empties. */
static bool sent(struct sync *sync, int rc, const struct err *err)
{
	if (rc < 0 && rc != ERR_LIMIT)
		sync_lose(sync, rc, "%s", err->text);
	return rc == 0;
}

static bool may_send(const struct sync *sync)
{
	return sync->conn && sync->state != SYNC_CLOSING && sync->state != SYNC_STOPPING;
}

bool sync_send(struct sync *sync, const Envwarden__Sync__Envelope *envelope)
{
	struct err err = ERR_INIT;
	struct buf frame;
	bool went = false;

	if (!may_send(sync))
		return false;
	buf_init(&frame, FRAME_HEADER_SIZE + LIMIT_SYNC_FRAME);
	if (codec_pack_sync(envelope, &frame, &err) < 0)
		(void)sent(sync, err.code, &err);
	else
		went = sync_send_frame(sync, frame.data + FRAME_HEADER_SIZE,
				       frame.len - FRAME_HEADER_SIZE);
	buf_deinit(&frame);
	return went;
}

bool sync_send_frame(struct sync *sync, const void *payload, size_t n)
{
	struct err err = ERR_INIT;

	if (!may_send(sync) || !sent(sync, conn_send(sync->conn, payload, n, &err), &err))
		return false;
	if (sync->ops->sent)
		sync->ops->sent(sync->ctx, payload, n);
	return true;
}

static void on_silence(uv_timer_t *timer)
{
	sync_lose(timer->data, ERR_TIMEOUT, "the server does not answer");
}

void sync_settle(struct sync *sync)
{
	if (sync->state == SYNC_HELLO) {
		hello_try(sync);
	} else if (sync->state == SYNC_LIVE) {
		download_pump(sync);
		upload_pump(sync);
	}
	if (sync->state == SYNC_STOPPING)
		return;
	if (!may_send(sync) || (sync->n_awaited == 0 && !upload_blocked(&sync->upload)))
		uv_timer_stop(&sync->silence);
	else if (!uv_is_active((uv_handle_t *)&sync->silence))
		uv_timer_start(&sync->silence, on_silence, sync->config.answer_timeout_ms, 0);
}

/* The server lives: its time to answer begins anew. */
static void heard(struct sync *sync)
{
	if (sync->state != SYNC_STOPPING)
		uv_timer_stop(&sync->silence);
}

static void on_tick(uv_timer_t *timer)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Ping ping = ENVWARDEN__SYNC__PING__INIT;
	struct sync *sync = timer->data;

	if (sync->state != SYNC_LIVE)
		return;
	envelope.kind_case = CLIENT_KIND(PING);
	envelope.ping = &ping;
	if (!sync_awaits(sync, ANSWER_PONG) && sync_send(sync, &envelope))
		sync_await(sync, ANSWER_PONG);
	renew_if_due(sync);
	sync_settle(sync);
}

static void on_ready(struct conn *conn, void *ctx)
{
	struct sync *sync = ctx;

	(void)conn;
	ticket_save(sync);
	uv_timer_start(&sync->tick, on_tick, sync->config.ping_ms, sync->config.ping_ms);
	if (renew_expired(sync)) {
		sync_set_state(sync, SYNC_RENEWING);
		renew_send(sync);
	} else {
		sync_set_state(sync, SYNC_HELLO);
	}
	sync_settle(sync);
}

static void on_frame(struct conn *conn, const void *payload, size_t n, void *ctx)
{
	struct sync *sync = ctx;

	(void)conn;
	heard(sync);
	sync_message(sync, payload, n);
	sync_settle(sync);
}

static void on_drain(struct conn *conn, void *ctx)
{
	(void)conn;
	heard(ctx);
	sync_settle(ctx);
}

static void release(struct sync *sync);

/* Why a connection ended that we did not end. */
static void explain(struct sync *sync, int rc, const char *reason)
{
	if (sync->state == SYNC_DIALLING && rc == ERR_VERIFY)
		(void)err_set(&sync->why, rc, "the server at %s is not this organisation's: %s",
			      sync->server, reason);
	else
		(void)err_set(&sync->why, rc, "%s: %s", sync->server, reason);
}

static void on_closed(void *ctx, int rc, const char *reason)
{
	struct sync *sync = ctx;
	bool hurry = sync->hurry;

	sync->conn = NULL;
	if (sync->state == SYNC_STOPPING) {
		release(sync);
		return;
	}
	sync->pending--;
	if (sync->state == SYNC_DIALLING && rc == ERR_PROTOCOL)
		ticket_drop(sync); /* whatever is wrong, it is not tried twice */
	if (sync->why.code == 0)
		explain(sync, rc, reason);
	sync->n_awaited = 0;
	sync->hurry = false;
	upload_reset(sync);
	uv_timer_stop(&sync->silence);
	uv_timer_stop(&sync->tick);
	sync_set_state(sync, SYNC_WAITING);
	dialer_lost(sync->dialer, sync->retry_after_ms);
	if (hurry)
		dialer_hurry(sync->dialer);
	sync->ops->state(sync->ctx, false, sync->server, sync->why.text);
}

static const struct conn_callbacks conn_callbacks = {
	.on_ready = on_ready, .on_frame = on_frame, .on_drain = on_drain, .on_closed = on_closed};

/* --- the dialer --- */

static void on_connected(struct dialer *dialer, uv_tcp_t *tcp, const struct address *address,
			 void *ctx)
{
	struct sync *sync = ctx;

	address_format(address, sync->server);
	sync->why = ERR_INIT;
	sync->retry_after_ms = 0;
	if (conn_start(&(struct conn_config){.context = sync->tls,
					     .callbacks = &conn_callbacks,
					     .ctx = sync,
					     .frame_max = LIMIT_SYNC_FRAME,
					     .session = sync->ticket.data,
					     .session_n = sync->ticket.len},
		       tcp, &sync->conn, &sync->why) < 0) {
		dialer_lost(dialer, 0);
		sync->ops->state(sync->ctx, false, sync->server, sync->why.text);
		return;
	}
	sync->pending++;
	sync_set_state(sync, SYNC_DIALLING);
}

static void on_failed(struct dialer *dialer, const struct err *why, int64_t next_ms, void *ctx)
{
	struct sync *sync = ctx;

	(void)dialer;
	(void)next_ms;
	sync->ops->state(sync->ctx, false, sync->server, why->text);
}

static void on_dialer_stopped(void *ctx)
{
	struct sync *sync = ctx;

	sync->dialer = NULL;
	release(sync);
}

static const struct dialer_callbacks dialer_callbacks = {
	.on_connected = on_connected, .on_failed = on_failed, .on_stopped = on_dialer_stopped};

void sync_hurry(struct sync *sync)
{
	if (sync->state == SYNC_WAITING)
		dialer_hurry(sync->dialer);
}

/* --- the start --- */

static int64_t on_now(void *ctx)
{
	struct sync *sync = ctx;

	return sync->ops->trusted_ms(sync->ctx);
}

int sync_use_identity(struct sync *sync, struct err *err)
{
	const struct sync_identity *id = sync->config.identity;
	char name[CLIENT_SERVER_NAME_MAX];
	struct tls_identity leaf = {.certs = 0};
	struct tls_context *context;
	struct tls_client_config config = {.chain = id->chain.data,
					   .chain_n = id->chain.len,
					   .key = id->key,
					   .server_name = name,
					   .now_ms = on_now,
					   .now_ctx = sync};
	int rc = tls_identity_parse(id->chain.data, id->chain.len, &leaf, err);

	if (rc < 0)
		return rc;
	client_server_name(&id->organisation, name);
	config.root = id->chain.data + leaf.root_offset;
	config.root_n = id->chain.len - leaf.root_offset;
	rc = tls_context_new_client(&config, &context, err);
	if (rc < 0)
		return rc;
	tls_context_free(sync->tls);
	sync->tls = context;
	sync->renewal.not_after_ms = leaf.not_after_ms;
	sync->renewal.due_ms =
		leaf.not_before_ms + (leaf.not_after_ms - leaf.not_before_ms) / 3 * 2;
	return 0;
}

static int find_addresses(const struct sync_config *config, struct address *out, size_t *n,
			  struct err *err)
{
	bool own = config->n_addresses > 0;
	size_t count = own ? config->n_addresses : config->identity->n_addresses;

	if (count == 0 || count > DIALER_ADDRESSES_MAX)
		return err_set(err, ERR_INVALID, "server: 1 to %d addresses, not %zu",
			       DIALER_ADDRESSES_MAX, count);
	for (size_t i = 0; i < count; i++) {
		const char *text = own ? config->addresses[i] : config->identity->addresses[i];
		int rc = address_parse(text, CLIENT_DEFAULT_PORT, &out[i], err);

		if (rc < 0) {
			(void)err_context(err, "server: %s", text);
			return rc;
		}
	}
	*n = count;
	return 0;
}

static int start_dialer(struct sync *sync, struct err *err)
{
	struct address addresses[DIALER_ADDRESSES_MAX], proxy;
	struct dialer_config config = {.loop = sync->loop,
				       .addresses = addresses,
				       .callbacks = &dialer_callbacks,
				       .ctx = sync};
	bool has_proxy = false;
	int rc = find_addresses(&sync->config, addresses, &config.addresses_n, err);

	if (rc == 0)
		rc = client_proxy(sync->config.proxy, &proxy, &has_proxy, err);
	if (rc < 0)
		return rc;
	config.proxy = has_proxy ? &proxy : NULL;
	return dialer_start(&config, &sync->dialer, err);
}

static int sync_fill(struct sync *sync, const struct sync_config *config, struct err *err)
{
	int n = snprintf(sync->ticket_path, sizeof(sync->ticket_path), "%s", config->ticket_path);

	sync->config = *config;
	sync->loop = config->loop;
	sync->ops = config->ops;
	sync->ctx = config->ctx;
	if (sync->config.answer_timeout_ms == 0)
		sync->config.answer_timeout_ms = ANSWER_TIMEOUT_MS;
	if (sync->config.ping_ms == 0)
		sync->config.ping_ms = PING_MS;
	arena_init(&sync->arena, LIMIT_SYNC_MEMORY);
	buf_init(&sync->timestamp, LIMIT_SMALL_SIGNED);
	buf_init(&sync->ticket, TLS_SESSION_MAX);
	upload_init(&sync->upload);
	if (n < 0 || (size_t)n >= sizeof(sync->ticket_path))
		return err_set(err, ERR_LIMIT, "%s: path too long", config->ticket_path);
	return client_machine_get(&sync->machine, err);
}

static void sync_free(struct sync *sync)
{
	upload_reset(sync);
	download_deinit(&sync->download);
	arena_deinit(&sync->arena);
	buf_deinit(&sync->timestamp);
	if (sync->ticket.data)
		crypto_wipe(sync->ticket.data, sync->ticket.cap);
	buf_deinit(&sync->ticket);
	tls_context_free(sync->tls);
	mem_free(sync);
}

int sync_start(const struct sync_config *config, struct sync **out, struct err *err)
{
	struct sync *sync = mem_calloc(1, sizeof(*sync));
	int rc;

	if (!sync)
		return err_nomem(err);
	rc = sync_fill(sync, config, err);
	if (rc == 0)
		rc = sync_use_identity(sync, err);
	if (rc == 0)
		rc = start_dialer(sync, err);
	if (rc < 0) {
		sync_free(sync);
		return rc;
	}
	sync->config.addresses = NULL;
	sync->config.n_addresses = 0;
	ticket_load(sync);
	CHECK(uv_timer_init(sync->loop, &sync->silence) == 0);
	CHECK(uv_timer_init(sync->loop, &sync->tick) == 0);
	sync->silence.data = sync->tick.data = sync;
	sync->pending = 3; /* the timers and the dialer */
	*out = sync;
	return 0;
}

/* --- the end --- */

static void release(struct sync *sync)
{
	void (*stopped)(void *owner) = sync->stopped;
	void *owner = sync->owner;

	if (--sync->pending > 0)
		return;
	sync_free(sync);
	stopped(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
	release(handle->data);
}

void sync_stop(struct sync *sync, void (*stopped)(void *owner), void *owner)
{
	if (sync->state == SYNC_STOPPING)
		return;
	sync_set_state(sync, SYNC_STOPPING);
	sync->stopped = stopped;
	sync->owner = owner;
	if (sync->conn)
		conn_stop(sync->conn);
	dialer_stop(sync->dialer);
	uv_close((uv_handle_t *)&sync->silence, on_timer_closed);
	uv_close((uv_handle_t *)&sync->tick, on_timer_closed);
}
