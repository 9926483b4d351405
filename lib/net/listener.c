#include "lib/net/listener.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/tcp.h"

#define BACKLOG 4096 /* a storm of agents waits here, in order */
#define RETRY_MS 100 /* after running out of memory in an accept */

struct listener {
	uv_tcp_t tcp;
	uv_timer_t retry;
	struct listener_config config;
	unsigned free_slots;
	bool waiting; /* libuv holds a connection that nobody accepted yet, and polls no further */
	bool stopping;
	unsigned pending; /* open handles */
	uint16_t port;
};

static void on_handle_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;
	struct listener_config config = l->config;

	if (--l->pending > 0)
		return;
	mem_free(l);
	config.callbacks->on_stopped(config.ctx);
}

static void on_retry(uv_timer_t *timer);

/* Accepts what libuv holds, as long as there is a slot. */
static void accept_waiting(struct listener *l)
{
	uv_tcp_t *tcp = NULL;

	if (!l->waiting || l->free_slots == 0 || l->stopping)
		return;
	if (tcp_new(l->config.loop, &tcp, NULL) < 0) {
		uv_timer_start(&l->retry, on_retry, RETRY_MS, 0);
		return;
	}
	l->waiting = false;
	if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)tcp) < 0) {
		tcp_discard(tcp); /* it went away while it waited */
		return;
	}
	l->free_slots--;
	l->config.callbacks->on_accepted(l, tcp, l->config.ctx);
}

static void on_retry(uv_timer_t *timer)
{
	accept_waiting(timer->data);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct listener *l = stream->data;

	if (status < 0) /* of one connection or for want of descriptors: the next try is libuv's */
		return;
	l->waiting = true;
	accept_waiting(l);
}

static int bind_address(struct listener *l, const struct address *address, struct err *err)
{
	struct sockaddr_storage addr;
	int rc;

	memset(&addr, 0, sizeof(addr));
	if (uv_ip4_addr(address->host, address->port, (struct sockaddr_in *)&addr) < 0 &&
	    uv_ip6_addr(address->host, address->port, (struct sockaddr_in6 *)&addr) < 0)
		return err_set(err, ERR_INVALID, "not an IP address");
	rc = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&addr, 0);
	return rc < 0 ? err_set(err, rc, "%s", uv_strerror(rc)) : 0;
}

static uint16_t bound_port(const uv_tcp_t *tcp)
{
	struct sockaddr_storage addr;
	struct sockaddr_in in4;
	int n = sizeof(addr);

	memset(&addr, 0, sizeof(addr));
	if (uv_tcp_getsockname(tcp, (struct sockaddr *)&addr, &n) < 0)
		return 0;
	memcpy(&in4, &addr, sizeof(in4)); /* the port stands at the same place for IPv6 */
	return ntohs(in4.sin_port);
}

static int bind_and_listen(struct listener *l, struct err *err)
{
	const struct listener_config *config = &l->config;
	int rc;

	if (config->socket) {
		rc = uv_tcp_open(&l->tcp, *config->socket);
		if (rc < 0)
			return err_set(err, rc, "%s", uv_strerror(rc));
	} else {
		rc = bind_address(l, config->address, err);
		if (rc < 0)
			return rc;
	}
	rc = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
	return rc < 0 ? err_set(err, rc, "%s", uv_strerror(rc)) : 0;
}

/* A start that failed calls nobody back, but the handles still close in the loop. */
static void ignore_stopped(void *ctx)
{
	(void)ctx;
}
static const struct listener_callbacks ignore_callbacks = {.on_stopped = ignore_stopped};

int listener_start(const struct listener_config *config, struct listener **out, struct err *err)
{
	struct listener *l = mem_calloc(1, sizeof(*l));
	char name[ADDRESS_TEXT_MAX] = "socket";
	int rc;

	if (!l)
		return err_nomem(err);
	l->config = *config;
	l->free_slots = config->slots > 0 ? config->slots : LISTENER_SLOTS;
	rc = uv_tcp_init(config->loop, &l->tcp);
	if (rc < 0) {
		mem_free(l);
		return err_set(err, rc, "listen: %s", uv_strerror(rc));
	}
	uv_timer_init(config->loop, &l->retry);
	l->tcp.data = l;
	l->retry.data = l;
	l->pending = 2;
	rc = bind_and_listen(l, err);
	if (rc < 0) {
		if (!config->socket)
			address_format(config->address, name);
		err_context(err, "listen on %s", name);
		l->config.callbacks = &ignore_callbacks;
		listener_stop(l);
		return rc;
	}
	l->port = bound_port(&l->tcp);
	*out = l;
	return 0;
}

uint16_t listener_port(const struct listener *listener)
{
	return listener->port;
}

void listener_release(struct listener *listener)
{
	listener->free_slots++;
	accept_waiting(listener);
}

void listener_stop(struct listener *listener)
{
	if (listener->stopping)
		return;
	listener->stopping = true;
	uv_close((uv_handle_t *)&listener->tcp, on_handle_closed);
	uv_close((uv_handle_t *)&listener->retry, on_handle_closed);
}
