#include "server/api/api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/address.h"
#include "platform/clock.h"
#include "server/api/api_impl.h"
#include "server/api/exchange.h"
#include "server/db/db_pool.h"

#define BACKLOG 128
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* --- libmicrohttpd inside the loop --- */

static void pump(struct api *api);

static void on_timer(uv_timer_t *timer)
{
	pump(timer->data);
}

static void pump(struct api *api)
{
	MHD_UNSIGNED_LONG_LONG ms;

	api->resumed = false;
	(void)MHD_run(api->daemon);
	if (MHD_get_timeout(api->daemon, &ms) == MHD_YES)
		CHECK(uv_timer_start(&api->timer, on_timer, ms, 0) == 0);
	else
		CHECK(uv_timer_stop(&api->timer) == 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	pump(poll->data);
}

/* Answers that came since: before the loop sleeps they are on their way. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct api *api = prepare->data;

	if (api->resumed && !api->closing)
		pump(api);
}

static void on_message(void *cls, const char *fmt, va_list ap) EW_PRINTF(2, 0);

static void on_message(void *cls, const char *fmt, va_list ap)
{
	char text[256];

	(void)cls;
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		return;
	text[strcspn(text, "\r\n")] = '\0';
	log_debug("api", "libmicrohttpd says", LOG_STR("text", text));
}

/* --- start --- */

static int bind_to(const struct sockaddr *addr, socklen_t n, int *out)
{
	int on = 1;
	int rc = 0;
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return uv_translate_sys_error(errno);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, addr, n) < 0 || listen(fd, BACKLOG) < 0)
		rc = uv_translate_sys_error(errno);
	if (rc == 0)
		*out = fd;
	else
		(void)close(fd);
	return rc;
}

static int listen_at(const char *text, int *fd, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct address address;
	uv_getaddrinfo_t found;
	char port[8];
	int rc = address_parse(text, 0, &address, err);

	if (rc < 0)
		return rc;
	(void)snprintf(port, sizeof(port), "%u", (unsigned)address.port);
	memset(&found, 0, sizeof(found));
	rc = uv_getaddrinfo(uv_default_loop(), &found, NULL, address.host, port, &hints);
	if (rc < 0)
		return err_set(err, ERR_INVALID, "%s: %s", text, uv_strerror(rc));
	rc = bind_to(found.addrinfo->ai_addr, found.addrinfo->ai_addrlen, fd);
	uv_freeaddrinfo(found.addrinfo);
	if (rc < 0)
		return err_set(err, rc == UV_EADDRINUSE ? ERR_EXISTS : rc, "listen on %s: %s", text,
			       uv_strerror(rc));
	return 0;
}

static unsigned or_default(unsigned value, unsigned fallback)
{
	return value ? value : fallback;
}

/* Takes the socket, also when it fails. */
static int start_daemon(struct api *api, int fd, struct err *err)
{
	const struct api_config *c = &api->config;

	api->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
		NULL, exchange_handle, api, MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_HTTPS_MEM_CERT, c->certificate,
		MHD_OPTION_HTTPS_MEM_KEY, c->key, MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES,
		MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, api,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(2 * API_HEADERS_MAX),
		MHD_OPTION_CONNECTION_LIMIT, or_default(c->connections, API_CONNECTIONS),
		MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		or_default(c->connections_peer, API_CONNECTIONS_PEER),
		MHD_OPTION_CONNECTION_TIMEOUT, or_default(c->idle_s, API_IDLE_S),
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (api->daemon)
		return 0;
	(void)close(fd);
	return err_set(err, ERR_INVALID, "the certificate or its key cannot be used");
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage addr;
	socklen_t n = sizeof(addr);

	memset(&addr, 0, sizeof(addr));
	if (getsockname(fd, (struct sockaddr *)&addr, &n) < 0)
		return 0;
	if (addr.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)(void *)&addr)->sin6_port);
	return ntohs(((struct sockaddr_in *)(void *)&addr)->sin_port);
}

static void on_stop(uv_async_t *async);

/* From here on only memory could be missing, and handles of a fresh loop do not fail. */
static void start_handles(struct api *api)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	CHECK(info != NULL);
	CHECK(uv_async_init(&api->loop, &api->stop, on_stop) == 0);
	CHECK(uv_timer_init(&api->loop, &api->timer) == 0);
	CHECK(uv_prepare_init(&api->loop, &api->prepare) == 0);
	CHECK(uv_poll_init(&api->loop, &api->poll, info->epoll_fd) == 0);
	api->stop.data = api;
	api->timer.data = api;
	api->prepare.data = api;
	api->poll.data = api;
	CHECK(uv_prepare_start(&api->prepare, on_prepare) == 0);
	CHECK(uv_poll_start(&api->poll, UV_READABLE, on_readable) == 0);
	pump(api);
}

/* --- stop --- */

static void close_daemon(void *ctx)
{
	struct api *api = ctx;

	api->closing = true;
	(void)MHD_run(api->daemon); /* what has been answered leaves */
	uv_close((uv_handle_t *)&api->poll, NULL);
	uv_close((uv_handle_t *)&api->timer, NULL);
	uv_close((uv_handle_t *)&api->prepare, NULL);
	uv_close((uv_handle_t *)&api->stop, NULL);
	MHD_stop_daemon(api->daemon);
	if (api->quiet != MHD_INVALID_SOCKET)
		(void)close(api->quiet);
}

static void stop_if_idle(struct api *api)
{
	struct db_port *port = api->port;

	if (!api->stopping || api->working > 0 || !port)
		return;
	api->port = NULL;
	db_port_stop(port, close_daemon, api);
}

void api_worked(struct api *api)
{
	CHECK(api->working > 0);
	api->working--;
	stop_if_idle(api);
}

static void on_stop(uv_async_t *async)
{
	struct api *api = async->data;

	api->stopping = true;
	api->quiet = MHD_quiesce_daemon(api->daemon);
	stop_if_idle(api);
}

static void run(void *arg)
{
	struct api *api = arg;

	(void)uv_run(&api->loop, UV_RUN_DEFAULT);
}

/* --- both --- */

/* They are as the server program checked them; what does not fit a join code fails there. */
static void keep_addresses(struct api *api)
{
	struct api_config *c = &api->config;
	size_t i;

	if (c->n_agent_addresses > JOIN_CODE_ADDRESSES_MAX)
		c->n_agent_addresses = JOIN_CODE_ADDRESSES_MAX;
	for (i = 0; i < c->n_agent_addresses; i++) {
		(void)snprintf(api->address_texts[i], sizeof(api->address_texts[i]), "%s",
			       c->agent_addresses[i]);
		api->addresses[i] = api->address_texts[i];
	}
	c->agent_addresses = api->addresses;
}

static struct api *api_new(const struct api_config *config)
{
	struct api *api = mem_calloc(1, sizeof(*api));

	if (!api)
		return NULL;
	api->config = *config;
	keep_addresses(api);
	if (!api->config.clock)
		api->config.clock = clock_system();
	api->waiting_end = &api->waiting;
	api->quiet = MHD_INVALID_SOCKET;
	login_rate_init(&api->login_rate);
	return api;
}

static void api_free(struct api *api)
{
	CHECK(uv_loop_close(&api->loop) == 0);
	mem_free(api);
}

static int start_in(struct api *api, uint16_t *port, struct err *err)
{
	uint16_t bound;
	int fd = -1;
	int rc = listen_at(api->config.address, &fd, err);

	if (rc < 0)
		return rc;
	bound = port_of(fd);
	rc = start_daemon(api, fd, err);
	if (rc < 0)
		return rc;
	rc = db_port_open(api->config.pool, &api->loop, NULL, NULL, &api->port, err);
	if (rc < 0) {
		MHD_stop_daemon(api->daemon);
		return rc;
	}
	start_handles(api);
	/* They were the caller's. */
	api->config.address = api->config.certificate = api->config.key = "";
	rc = uv_thread_create(&api->thread, run, api);
	if (rc < 0) {
		on_stop(&api->stop);
		run(api); /* what was begun closes there */
		return err_set(err, rc, "start a thread: %s", uv_strerror(rc));
	}
	if (port)
		*port = bound;
	return 0;
}

int api_start(const struct api_config *config, struct api **out, uint16_t *port, struct err *err)
{
	struct api *api = api_new(config);
	int rc;

	if (!api)
		return err_nomem(err);
	rc = uv_loop_init(&api->loop);
	if (rc < 0) {
		mem_free(api);
		return err_set(err, rc, "make a loop: %s", uv_strerror(rc));
	}
	rc = start_in(api, port, err);
	if (rc < 0) {
		api_free(api);
		return err_context(err, "start the admin API");
	}
	*out = api;
	return 0;
}

void api_stop(struct api *api)
{
	if (!api)
		return;
	CHECK(uv_async_send(&api->stop) == 0);
	CHECK(uv_thread_join(&api->thread) == 0);
	api_free(api);
}
