#include "server/agents.h"

#include <uv.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"

struct agents {
	uv_loop_t loop;
	uv_async_t stop;
	uv_thread_t thread;
	struct hub *hub;
};

static void on_stop(uv_async_t *async)
{
	struct agents *agents = async->data;

	hub_stop(agents->hub, NULL, NULL);
	uv_close((uv_handle_t *)&agents->stop, NULL);
}

static void run(void *arg)
{
	struct agents *agents = arg;

	(void)uv_run(&agents->loop, UV_RUN_DEFAULT);
}

static int start_in(struct agents *agents, const struct hub_config *config, struct err *err)
{
	struct hub_config own = *config;
	int rc;

	own.loop = &agents->loop;
	rc = hub_start(&own, &agents->hub, err);
	if (rc < 0)
		return rc;
	CHECK(uv_async_init(&agents->loop, &agents->stop, on_stop) == 0);
	agents->stop.data = agents;
	rc = uv_thread_create(&agents->thread, run, agents);
	if (rc < 0) {
		on_stop(&agents->stop);
		return err_set(err, rc, "start a thread: %s", uv_strerror(rc));
	}
	return 0;
}

int agents_start(const struct hub_config *config, struct agents **out, uint16_t *port,
		 struct err *err)
{
	struct agents *agents = mem_calloc(1, sizeof(*agents));
	int rc;

	if (!agents)
		return err_nomem(err);
	rc = uv_loop_init(&agents->loop);
	if (rc < 0) {
		mem_free(agents);
		return err_set(err, rc, "make a loop: %s", uv_strerror(rc));
	}
	rc = start_in(agents, config, err);
	if (rc < 0) {
		run(agents); /* what was begun closes there */
		CHECK(uv_loop_close(&agents->loop) == 0);
		mem_free(agents);
		return rc;
	}
	*port = hub_port(agents->hub);
	*out = agents;
	return 0;
}

bool agents_connected(const struct agents *agents, const struct uuid *machine)
{
	return hub_connected(agents->hub, machine);
}

void agents_stop(struct agents *agents)
{
	if (!agents)
		return;
	CHECK(uv_async_send(&agents->stop) == 0);
	CHECK(uv_thread_join(&agents->thread) == 0);
	CHECK(uv_loop_close(&agents->loop) == 0);
	mem_free(agents);
}
