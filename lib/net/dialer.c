#include "lib/net/dialer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/mem.h"
#include "lib/net/backoff.h"
#include "lib/net/http_connect.h"
#include "lib/net/tcp.h"

#define CONNECT_TIMEOUT_MS 15000
#define READ_SIZE 512 /* a proxy's answer */

/*
 * One thing at a time: waiting, resolving a name, connecting to one of its IP addresses, asking the
 * proxy for a tunnel, closing a socket that failed (after which the next IP or address is tried),
 * or resting while the connection lives.
 */
enum dialer_state {
	DIALER_WAITING,
	DIALER_RESOLVING,
	DIALER_CONNECTING,
	DIALER_TUNNELLING,
	DIALER_CLOSING,
	DIALER_CONNECTED,
	DIALER_STOPPING
};

struct dialer {
	uv_loop_t *loop;
	struct address addresses[DIALER_ADDRESSES_MAX];
	size_t addresses_n;
	size_t at; /* the address being tried */
	bool has_proxy;
	struct address proxy;
	char *credentials;
	uint64_t connect_timeout_ms;
	const struct dialer_callbacks *callbacks;
	void *ctx;

	enum dialer_state state;
	unsigned pending; /* the timer, the socket if there is one, the look-up if it runs */
	uv_timer_t timer; /* waiting: the next round; else the attempt's deadline */
	uv_getaddrinfo_t lookup;
	bool lookup_active;
	struct addrinfo *found; /* what the look-up gave; next_ip of it is to be tried */
	struct addrinfo *next_ip;
	uv_tcp_t *tcp;
	uv_connect_t connect;
	uv_write_t write;
	bool write_active;
	struct buf request, answer; /* with a proxy */
	bool tunnel_open;
	struct err why; /* the last failure of this round */
	struct backoff backoff;
	uint64_t connected_at_ms;
};

static void try_address(struct dialer *d);
static void try_ip(struct dialer *d);
static void on_timer(uv_timer_t *timer);

/* --- the end --- */

static void dialer_free(struct dialer *d)
{
	uv_freeaddrinfo(d->found);
	if (d->credentials)
		crypto_wipe(d->credentials, strlen(d->credentials));
	mem_free(d->credentials);
	buf_deinit(&d->request);
	buf_deinit(&d->answer);
	mem_free(d);
}

static void release(struct dialer *d)
{
	const struct dialer_callbacks *callbacks = d->callbacks;
	void *ctx = d->ctx;

	if (--d->pending > 0)
		return;
	dialer_free(d);
	callbacks->on_stopped(ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
	release(handle->data);
}

/* A failed attempt's socket is gone: go on, or that was the last thing to wait for. */
static void on_tcp_closed(uv_handle_t *handle)
{
	struct dialer *d = handle->data;

	tcp_free_closed(handle);
	d->tcp = NULL;
	if (d->state == DIALER_STOPPING) {
		release(d);
		return;
	}
	d->pending--;
	try_ip(d);
}

void dialer_stop(struct dialer *dialer)
{
	enum dialer_state before = dialer->state;

	if (before == DIALER_STOPPING)
		return;
	dialer->state = DIALER_STOPPING;
	if (dialer->lookup_active)
		uv_cancel((uv_req_t *)&dialer
				  ->lookup); /* may be past that; the callback comes anyway */
	if (dialer->tcp && before != DIALER_CLOSING)
		uv_close((uv_handle_t *)dialer->tcp, on_tcp_closed);
	uv_close((uv_handle_t *)&dialer->timer, on_timer_closed);
}

/* --- rounds --- */

static uint32_t chance(void)
{
	uint32_t bits;

	crypto_random(&bits, sizeof(bits));
	return bits;
}

static int64_t wait_for_round(struct dialer *d, int64_t hint_ms)
{
	int64_t wait = backoff_next(&d->backoff, chance(), hint_ms);

	d->state = DIALER_WAITING;
	uv_timer_start(&d->timer, on_timer, (uint64_t)wait, 0);
	return wait;
}

static void round_failed(struct dialer *d)
{
	struct err why = d->why;
	int64_t wait = wait_for_round(d, 0);

	if (d->callbacks->on_failed)
		d->callbacks->on_failed(d, &why, wait, d->ctx);
}

static void start_round(struct dialer *d)
{
	d->at = 0;
	try_address(d);
}

static void next_address(struct dialer *d)
{
	uv_freeaddrinfo(d->found);
	d->found = d->next_ip = NULL;
	d->at++;
	if (d->at < d->addresses_n)
		try_address(d);
	else
		round_failed(d);
}

/* Remembers why this address failed; the socket, if any, closes before anything else is tried. */
static void attempt_failed(struct dialer *d, int code, const char *what)
{
	char name[ADDRESS_TEXT_MAX], via[ADDRESS_TEXT_MAX] = "";

	address_format(&d->addresses[d->at], name);
	if (d->has_proxy)
		address_format(&d->proxy, via);
	d->why = ERR_INIT;
	err_set(&d->why, code, "connect to %s%s%s: %s", name, d->has_proxy ? " by proxy " : "", via,
		what);
	if (!d->tcp) {
		try_ip(d);
		return;
	}
	d->state = DIALER_CLOSING;
	uv_close((uv_handle_t *)d->tcp, on_tcp_closed);
}

static void attempt_failed_uv(struct dialer *d, int rc)
{
	attempt_failed(d, rc, uv_strerror(rc));
}

/* --- the name --- */

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
	struct dialer *d = req->data;

	d->lookup_active = false;
	if (d->state == DIALER_STOPPING) {
		uv_freeaddrinfo(found);
		release(d);
		return;
	}
	d->pending--;
	if (status < 0) {
		if (status == UV_ECANCELED)
			attempt_failed(d, ERR_TIMEOUT, "looking up the name took too long");
		else
			attempt_failed_uv(d, status);
		return;
	}
	d->found = d->next_ip = found;
	try_ip(d);
}

static void try_address(struct dialer *d)
{
	const struct address *target = d->has_proxy ? &d->proxy : &d->addresses[d->at];
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%u", (unsigned)target->port);
	d->state = DIALER_RESOLVING;
	uv_timer_start(&d->timer, on_timer, d->connect_timeout_ms, 0);
	d->lookup.data = d;
	rc = uv_getaddrinfo(d->loop, &d->lookup, on_resolved, target->host, port, &hints);
	if (rc < 0) {
		attempt_failed_uv(d, rc);
		return;
	}
	d->lookup_active = true;
	d->pending++;
}

/* --- the connection --- */

static void connected(struct dialer *d)
{
	uv_tcp_t *tcp = d->tcp;

	uv_timer_stop(&d->timer);
	uv_freeaddrinfo(d->found);
	d->found = d->next_ip = NULL;
	d->tcp = NULL;
	d->pending--;
	tcp->data = NULL;
	d->state = DIALER_CONNECTED;
	d->connected_at_ms = uv_now(d->loop);
	d->callbacks->on_connected(d, tcp, &d->addresses[d->at], d->ctx);
}

/* The write may end after the answer came; the handle is handed over with nothing in flight. */
static void tunnel_step(struct dialer *d)
{
	if (d->state == DIALER_TUNNELLING && d->tunnel_open && !d->write_active)
		connected(d);
}

static void on_request_written(uv_write_t *req, int status)
{
	struct dialer *d = req->data;

	d->write_active = false;
	if (d->state != DIALER_TUNNELLING)
		return;
	if (status < 0)
		attempt_failed_uv(d, status);
	else
		tunnel_step(d);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct dialer *d = handle->data;
	char *room = buf_reserve(&d->answer, READ_SIZE);

	(void)hint;
	*buf = uv_buf_init(room, room ? READ_SIZE : 0);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
	struct dialer *d = stream->data;
	struct err err = ERR_INIT;
	bool done = false;

	(void)buf;
	if (d->state != DIALER_TUNNELLING || nread == 0)
		return;
	if (nread == UV_EOF) {
		attempt_failed(d, ERR_CLOSED, "the proxy closed the connection");
		return;
	}
	if (nread < 0) {
		attempt_failed_uv(d, (int)nread);
		return;
	}
	d->answer.len += (size_t)nread;
	if (http_connect_parse(d->answer.data, d->answer.len, &done, &err) < 0) {
		attempt_failed(d, err.code, err.text);
		return;
	}
	if (done) {
		uv_read_stop(stream);
		d->tunnel_open = true;
		tunnel_step(d);
	}
}

static void open_tunnel(struct dialer *d)
{
	uv_stream_t *stream = (uv_stream_t *)d->tcp;
	struct err err = ERR_INIT;
	uv_buf_t bytes;
	int rc;

	d->state = DIALER_TUNNELLING;
	d->tunnel_open = false;
	buf_clear(&d->request);
	buf_clear(&d->answer);
	if (http_connect_request(&d->addresses[d->at], d->credentials, &d->request, &err) < 0) {
		attempt_failed(d, err.code, err.text);
		return;
	}
	bytes = uv_buf_init(d->request.data, (unsigned)d->request.len);
	d->write.data = d;
	rc = uv_write(&d->write, stream, &bytes, 1, on_request_written);
	if (rc == 0) {
		d->write_active = true;
		rc = uv_read_start(stream, on_alloc, on_read);
	}
	if (rc < 0)
		attempt_failed_uv(d, rc);
}

static void on_connect(uv_connect_t *req, int status)
{
	struct dialer *d = req->data;

	if (d->state != DIALER_CONNECTING) /* given up: the socket is closing */
		return;
	if (status < 0)
		attempt_failed_uv(d, status);
	else if (d->has_proxy)
		open_tunnel(d);
	else
		connected(d);
}

static void try_ip(struct dialer *d)
{
	struct addrinfo *ip = d->next_ip;
	struct err err = ERR_INIT;
	int rc;

	if (!ip) {
		next_address(d);
		return;
	}
	d->next_ip = ip->ai_next;
	if (tcp_new(d->loop, &d->tcp, &err) < 0) {
		attempt_failed(d, err.code, err.text);
		return;
	}
	d->pending++;
	d->tcp->data = d;
	d->connect.data = d;
	d->state = DIALER_CONNECTING;
	uv_timer_start(&d->timer, on_timer, d->connect_timeout_ms, 0);
	rc = uv_tcp_connect(&d->connect, d->tcp, ip->ai_addr, on_connect);
	if (rc < 0)
		attempt_failed_uv(d, rc);
}

static void on_timer(uv_timer_t *timer)
{
	struct dialer *d = timer->data;

	if (d->state == DIALER_WAITING)
		start_round(d);
	else if (d->state == DIALER_RESOLVING)
		uv_cancel((uv_req_t *)&d->lookup);
	else if (d->state == DIALER_CONNECTING || d->state == DIALER_TUNNELLING)
		attempt_failed(d, ERR_TIMEOUT, "timed out");
}

/* --- for the owner --- */

static int dialer_fill(struct dialer *d, const struct dialer_config *config, struct err *err)
{
	d->loop = config->loop;
	d->addresses_n = config->addresses_n;
	memcpy(d->addresses, config->addresses, config->addresses_n * sizeof(*config->addresses));
	d->connect_timeout_ms =
		config->connect_timeout_ms > 0 ? config->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	d->callbacks = config->callbacks;
	d->ctx = config->ctx;
	buf_init(&d->request, HTTP_CONNECT_HEAD_MAX);
	buf_init(&d->answer, HTTP_CONNECT_HEAD_MAX + READ_SIZE);
	if (config->proxy) {
		d->has_proxy = true;
		d->proxy = *config->proxy;
	}
	if (config->proxy_credentials) {
		d->credentials = mem_strdup(config->proxy_credentials);
		if (!d->credentials)
			return err_nomem(err);
	}
	return 0;
}

int dialer_start(const struct dialer_config *config, struct dialer **out, struct err *err)
{
	struct dialer *d;
	int rc;

	CHECK(config->addresses_n > 0 && config->addresses_n <= DIALER_ADDRESSES_MAX);
	d = mem_calloc(1, sizeof(*d));
	if (!d)
		return err_nomem(err);
	rc = dialer_fill(d, config, err);
	if (rc < 0) {
		dialer_free(d);
		return rc;
	}
	uv_timer_init(d->loop, &d->timer);
	d->timer.data = d;
	d->pending = 1;
	d->state = DIALER_WAITING;
	uv_timer_start(&d->timer, on_timer,
		       config->first_delay_ms > 0 ? (uint64_t)config->first_delay_ms : 0, 0);
	*out = d;
	return 0;
}

void dialer_lost(struct dialer *dialer, int64_t retry_after_ms)
{
	if (dialer->state != DIALER_CONNECTED)
		return;
	backoff_ended(&dialer->backoff, (int64_t)(uv_now(dialer->loop) - dialer->connected_at_ms));
	wait_for_round(dialer, retry_after_ms);
}

void dialer_hurry(struct dialer *dialer)
{
	if (dialer->state == DIALER_WAITING)
		uv_timer_start(&dialer->timer, on_timer, 0, 0);
}
