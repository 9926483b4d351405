#include "agent/local/server.h"

#include "agent/local/internal.h"
#include "lib/base/compiler.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

const struct local_limits local_limits_default = {
	.connections = 512,
	.connections_per_uid = 64,
	.calls_per_connection = 64,
	.calls_per_uid = 128,
	.queue_bytes = 1048576,
	.frame_ms = 10000,
	.idle_ms = 60000,
	.stall_ms = 300000,
	.stopping_ms = 1000,
};

static void on_waiting(void *ctx, struct local_server *server)
{
	(void)server;
	(void)conn_accept(ctx);
}

/* --- the end --- */

void local_maybe_stopped(struct local *local)
{
	void (*stopped)(void *) = local->stopped;
	void *owner = local->owner;

	if (!local->listener_stopped || local->n_conns > 0 || local->open_handles > 0)
		return;
	CHECK(!local->peers);
	arena_deinit(&local->arena);
	mem_free(local);
	if (stopped)
		stopped(owner);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct local *local = handle->data;

	local->open_handles--;
	local_maybe_stopped(local);
}

static void close_handles(struct local *local)
{
	if (!uv_is_closing((uv_handle_t *)&local->grace))
		uv_close((uv_handle_t *)&local->grace, on_handle_closed);
	if (!uv_is_closing((uv_handle_t *)&local->turns))
		uv_close((uv_handle_t *)&local->turns, on_handle_closed);
}

static void forget_peer(struct local *local, struct peer *peer)
{
	struct peer **at = &local->peers;

	if (!peer || --peer->n_conns > 0)
		return;
	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	mem_free(peer);
}

void local_conn_gone(struct local *local, struct peer *peer)
{
	forget_peer(local, peer);
	local->n_conns--;
	if (!local->stopping || local->n_conns > 0)
		return;
	close_handles(local);
	local_maybe_stopped(local);
}

static void on_grace(uv_timer_t *timer)
{
	struct local *local = timer->data;

	while (local->conns)
		conn_close(local->conns);
}

/* Those with nothing to wait for go at once. */
static void close_done(struct local *local)
{
	struct conn *next;

	for (struct conn *conn = local->conns; conn; conn = next) {
		next = conn->next;
		if (conn->n_calls == 0 && conn_unsent(conn) == 0)
			conn_close(conn);
	}
}

static void on_listener_stopped(void *owner)
{
	struct local *local = owner;

	local->listener_stopped = true;
	local_maybe_stopped(local);
}

void local_stop(struct local *local, void (*stopped)(void *owner), void *owner)
{
	if (local->stopping)
		return;
	local->stopping = true;
	local->stopped = stopped;
	local->owner = owner;
	(void)uv_timer_start(&local->grace, on_grace, local->limits.stopping_ms, 0);
	close_done(local);
	if (local->n_conns == 0)
		close_handles(local);
	local_server_stop(local->listener, on_listener_stopped, local);
}

/* --- the beginning --- */

int local_start(const struct local_config *config, struct local **out, struct err *err)
{
	struct local_server_options options = {
		.loop = config->loop,
		.path = config->path,
		.for_everybody = config->for_everybody,
		.waiting = on_waiting,
	};
	struct local *local = mem_calloc(1, sizeof(*local));
	int rc;

	if (!local)
		return err_nomem(err);
	options.ctx = local;
	rc = local_server_start(&options, &local->listener, err);
	if (rc < 0) {
		mem_free(local);
		return rc;
	}
	local->loop = config->loop;
	local->handlers = *config->handlers;
	local->ctx = config->ctx;
	local->limits = config->limits ? *config->limits : local_limits_default;
	local->for_everybody = config->for_everybody;
	arena_init(&local->arena, LIMIT_LOCAL_MEMORY);
	CHECK(uv_idle_init(local->loop, &local->turns) == 0);
	CHECK(uv_timer_init(local->loop, &local->grace) == 0);
	local->turns.data = local;
	local->grace.data = local;
	local->open_handles = 2;
	*out = local;
	return 0;
}
