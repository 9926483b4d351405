/*
 * The link to the reader. The supervisor hands over one end of it whenever it starts a reader; the
 * newest one counts, after the one before has ended.
 */
#include <stdio.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/fd_pass.h"
#include "platform/process.h"
#include "platform/users.h"

/* --- what it says --- */

static void keep_denied(struct engine *e, char *const *paths, size_t n)
{
	for (size_t i = 0; i < e->n_denied_paths; i++)
		mem_free(e->denied_paths[i]);
	mem_free(e->denied_paths);
	e->n_denied_paths = 0;
	e->denied_paths = n > 0 ? mem_calloc(n, sizeof *e->denied_paths) : NULL;
	for (size_t i = 0; e->denied_paths != NULL && i < n; i++) {
		char *path = mem_strdup(paths[i]);

		if (path != NULL)
			e->denied_paths[e->n_denied_paths++] = path;
	}
}

static void on_health(struct engine *e, const Envwarden__Reader__Health *health)
{
	e->watched = health->watched;
	e->polled = health->polled;
	e->remote = health->remote;
	e->late_ms = health->late_ms;
	e->denied = health->denied;
	keep_denied(e, health->denied_paths, health->n_denied_paths);
	e->n_reader_trouble = 0;
	for (size_t i = 0; i < health->n_degraded && i < ARRAY_SIZE(e->reader_trouble); i++)
		(void)snprintf(e->reader_trouble[e->n_reader_trouble++].text, ENGINE_TEXT_MAX, "%s",
			       health->degraded[i]);
}

static void on_away(struct engine *e, const Envwarden__Reader__Away *away)
{
	struct env *env = envs_by_path(&e->envs, away->prefix);

	if (env != NULL && env->lives)
		env->away = away->away;
}

static void on_running(struct engine *e, const Envwarden__Reader__Running *running)
{
	for (size_t i = 0; i < running->n_programs; i++) {
		const Envwarden__Reader__RunningProgram *program = running->programs[i];
		struct env *env = envs_by_path(&e->envs, program->prefix);

		if (env == NULL || !env->lives)
			continue;
		use_runs(e, env);
		ran_seen(e, env,
			 &(struct ran_sight){.uid = program->uid,
					     .how = program->repair ? RAN_REPAIR : RAN_PROGRAM,
					     .started_ms = program->started_ms});
	}
}

static int on_message(void *ctx, const Envwarden__Reader__Envelope *message)
{
	struct engine *e = ctx;

	switch (message->kind_case) {
	case ENVWARDEN__READER__ENVELOPE__KIND_RUNNING:
		on_running(e, message->running);
		return 0;
	case ENVWARDEN__READER__ENVELOPE__KIND_PROBE_REPLY:
		lookups_probe_reply(e, message->probe_reply);
		return 0;
	case ENVWARDEN__READER__ENVELOPE__KIND_RECALL:
		return known_recall(e, message->recall);
	case ENVWARDEN__READER__ENVELOPE__KIND_AWAY:
		on_away(e, message->away);
		return 0;
	case ENVWARDEN__READER__ENVELOPE__KIND_HEALTH:
		on_health(e, message->health);
		return 0;
	default:
		return facts_message(e, message);
	}
}

static void connect_reader(struct engine *e, int fd, struct lease_ends *lease);

static void on_link_closed(void *ctx, int rc)
{
	struct engine *e = ctx;
	struct lease_ends lease = e->next_lease;
	int next = e->next_fd;

	(void)rc;
	e->link = NULL;
	lease_holder_close(&e->lease);
	e->next_fd = -1;
	e->next_lease = (struct lease_ends){-1, -1};
	e->scan_done = false;
	e->scan_stored = false;
	e->watched = 0;
	e->polled = 0;
	e->n_reader_trouble = 0;
	e->denied = 0;
	keep_denied(e, NULL, 0);
	facts_link_lost(e);
	lookups_link_lost(e);
	if (!e->stopping)
		log_warn("core", "the reader has gone, a new one will come", LOG_NONE);
	if (next >= 0)
		connect_reader(e, next, &lease);
}

/* --- what it is told --- */

static void forget_seen(void *ctx, struct env *env)
{
	(void)ctx;
	env->seen = false;
	env->away = false;
	env->lease = LEASE_NONE;
}

/* What to watch. A user's own agent looks at that user's home alone. */
static int configure(struct engine *e)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Configure configure = ENVWARDEN__READER__CONFIGURE__INIT;
	Envwarden__Reader__Home home = ENVWARDEN__READER__HOME__INIT;
	Envwarden__Reader__Home *homes[] = {&home};
	char path[PATHS_MAX];

	configure.watch = engine_logging(e);
	configure.roots = (char **)e->config.roots.items;
	configure.n_roots = e->config.roots.n;
	configure.exclude = (char **)e->config.exclude.items;
	configure.n_exclude = e->config.exclude.n;
	configure.settle_ms = (uint32_t)e->config.settle_ms;
	configure.sweep_s = (uint32_t)e->config.sweep_s;
	configure.poll_s = (uint32_t)e->config.poll_s;
	configure.running = e->config.running;
	configure.blocked_look_s = (uint32_t)e->config.blocked_look_s;
	if (e->options->user && paths_home(path, NULL) == 0) {
		home.path = path;
		home.uid = (int64_t)users_current();
		configure.homes = homes;
		configure.n_homes = 1;
	}
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_CONFIGURE;
	envelope.configure = &configure;
	return link_send(e->link, &envelope);
}

bool readers_account(struct engine *e, uint32_t uid)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Account account = ENVWARDEN__READER__ACCOUNT__INIT;

	for (size_t i = 0; i < e->n_accounts; i++)
		if (e->accounts[i] == uid)
			return true;
	if (e->link == NULL || !engine_logging(e) || e->n_accounts == ENGINE_ACCOUNTS_MAX)
		return false;
	e->accounts[e->n_accounts++] = uid;
	account.uid = uid;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_ACCOUNT;
	envelope.account = &account;
	if (link_send(e->link, &envelope) == 0)
		return true;
	link_stop(e->link);
	return false;
}

static void connect_reader(struct engine *e, int fd, struct lease_ends *lease)
{
	static const struct link_callbacks callbacks = {.message = on_message,
							.closed = on_link_closed};
	struct err err = ERR_INIT;

	if (e->stopping) {
		process_close(fd);
		lease_ends_close(lease);
		return;
	}
	if (e->link != NULL) { /* a new one comes when the old one has ended */
		process_close(e->next_fd);
		lease_ends_close(&e->next_lease);
		e->next_fd = fd;
		e->next_lease = *lease;
		link_stop(e->link);
		return;
	}
	e->n_accounts = 0;
	envs_each(&e->envs, forget_seen, e);
	if (lease_holder_open(&e->lease, lease, &err) < 0)
		log_warn("core", "every check will ask the reader", LOG_ERR(&err));
	if (link_new(&e->loop, fd, &callbacks, e, &e->link, &err) < 0) {
		log_error("core", "no link to the reader", LOG_ERR(&err));
		lease_holder_close(&e->lease);
	} else if (configure(e) < 0) {
		link_stop(e->link);
	} else {
		ran_look_anew(e);
	}
}

/* --- readers come --- */

static void take_reader(struct engine *e)
{
	struct err err = ERR_INIT;
	struct lease_ends lease;
	int fds[FD_PASS_MAX];
	int rc;
	size_t n;

	while ((rc = fd_pass_receive(e->channel_fd, fds, FD_PASS_MAX, &n, &err)) == 0) {
		lease.word = n == FD_PASS_MAX ? fds[1] : -1;
		lease.queue = n == FD_PASS_MAX ? fds[2] : -1;
		connect_reader(e, fds[0], &lease);
	}
	if (rc != ERR_BUSY)
		engine_stop(e); /* the supervisor has gone: end with it */
}

static void on_channel(uv_poll_t *poll, int status, int events)
{
	(void)events;
	if (status < 0)
		engine_stop(poll->data);
	else
		take_reader(poll->data);
}

static void accept_more(struct engine *e)
{
	if (!e->stopping && !uv_is_active((uv_handle_t *)&e->channel))
		CHECK(uv_poll_start(&e->channel, UV_READABLE, on_channel) == 0);
}

void readers_welcome(struct engine *e)
{
	if (!e->paused)
		accept_more(e);
}

static void on_readers_may_come(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	e->paused = false;
	accept_more(e);
}

void readers_restart(struct engine *e)
{
	lease_holder_close(&e->lease); /* what it told may not have been taken */
	if (e->link != NULL)
		link_stop(e->link); /* the supervisor starts another one */
}

void readers_wait(struct engine *e, int64_t ms)
{
	uv_timer_start(&e->readers, on_readers_may_come, (uint64_t)ms, 0);
}

void readers_pause(struct engine *e, int64_t ms)
{
	e->paused = true;
	(void)uv_poll_stop(&e->channel);
	readers_wait(e, ms);
}

void readers_start(struct engine *e, int channel_fd)
{
	e->channel_fd = channel_fd;
	e->next_fd = -1;
	e->next_lease = (struct lease_ends){.word = -1, .queue = -1};
	e->lease.queue = -1;
	e->lease.mounts = -1;
	CHECK(uv_timer_init(&e->loop, &e->readers) == 0);
	CHECK(uv_poll_init(&e->loop, &e->channel, channel_fd) == 0);
	e->readers.data = e;
	e->channel.data = e;
}
