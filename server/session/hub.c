#include "server/session/hub.h"

#include <string.h>

#include "lib/base/crypto.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/tcp.h"
#include "server/pki/ca.h"
#include "server/session/hub_impl.h"

#define TICKS(ms) ((ms) / HUB_POLL_MS)

/* --- what sessions ask --- */

const struct hub_config *hub_config(const struct hub *hub)
{
	return &hub->config;
}

struct tls_context *hub_tls(const struct hub *hub)
{
	return hub->tls;
}

struct db_port *hub_db(const struct hub *hub)
{
	return hub->db;
}

int64_t hub_now_ms(const struct hub *hub)
{
	return hub->config.clock->wall_ms(hub->config.clock);
}

bool hub_may_enrol(struct hub *hub, const char *peer, int64_t *wait_ms)
{
	return rate_take(&hub->enrolments, peer, (int64_t)uv_now(hub->config.loop), wait_ms);
}

void hub_enrolled(struct hub *hub, const char *peer)
{
	rate_return(&hub->enrolments, peer);
}

void hub_conflict_note(struct hub *hub, const struct uuid *machine, const struct uuid *epoch)
{
	if (!hub_conflict_known(hub, machine, epoch))
		hub->conflicts[hub->n_conflicts++ % HUB_CONFLICTS] =
			(struct hub_conflict){.machine = *machine, .epoch = *epoch};
}

bool hub_conflict_known(const struct hub *hub, const struct uuid *machine, const struct uuid *epoch)
{
	for (size_t i = 0; i < HUB_CONFLICTS && i < hub->n_conflicts; i++) {
		if (uuid_cmp(&hub->conflicts[i].machine, machine) == 0 &&
		    uuid_cmp(&hub->conflicts[i].epoch, epoch) == 0)
			return true;
	}
	return false;
}

uint16_t hub_port(const struct hub *hub)
{
	return listener_port(hub->listener);
}

/* --- the end --- */

static void hub_free(struct hub *hub)
{
	tls_context_free(hub->tls);
	uv_mutex_destroy(&hub->registry_lock);
	mem_free(hub);
}

static void on_port_stopped(void *ctx)
{
	struct hub *hub = ctx;
	void (*stopped)(void *ctx) = hub->stopped;
	void *stopped_ctx = hub->stopped_ctx;

	hub_free(hub);
	if (stopped)
		stopped(stopped_ctx);
}

/* Once nothing but the database can call back any more. */
static void maybe_finish(struct hub *hub)
{
	if (!hub->stopping || hub->listener || hub->timer_open || hub->n_sessions > 0)
		return;
	db_port_stop(hub->db, on_port_stopped, hub);
}

static void on_listener_stopped(void *ctx)
{
	struct hub *hub = ctx;

	hub->listener = NULL;
	maybe_finish(hub);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct hub *hub = handle->data;

	hub->timer_open = false;
	maybe_finish(hub);
}

void hub_stop(struct hub *hub, void (*stopped)(void *ctx), void *ctx)
{
	if (hub->stopping)
		return;
	hub->stopping = true;
	hub->stopped = stopped;
	hub->stopped_ctx = ctx;
	listener_stop(hub->listener);
	uv_close((uv_handle_t *)&hub->timer, on_timer_closed);
	for (struct session *session = hub->sessions; session; session = session->next)
		session_stop(session);
}

/* --- sessions --- */

static struct session **bucket_of(struct hub *hub, const struct uuid *machine)
{
	unsigned at = (unsigned)machine->b[0] << 8 | machine->b[1];

	return &hub->registry[at % HUB_REGISTRY];
}

struct session *hub_find(struct hub *hub, const struct uuid *machine)
{
	struct session *session = *bucket_of(hub, machine);

	while (session && uuid_cmp(&session->machine, machine) != 0)
		session = session->next_of_machine;
	return session;
}

static void unregister(struct hub *hub, struct session *session)
{
	struct session **link = bucket_of(hub, &session->machine);

	if (!session->registered)
		return;
	uv_mutex_lock(&hub->registry_lock);
	while (*link != session)
		link = &(*link)->next_of_machine;
	*link = session->next_of_machine;
	uv_mutex_unlock(&hub->registry_lock);
	session->registered = false;
}

void hub_register(struct hub *hub, struct session *session)
{
	struct session *old = hub_find(hub, &session->machine);
	struct session **bucket = bucket_of(hub, &session->machine);

	if (old) {
		/* A connection the agent lost and we have not missed yet. */
		unregister(hub, old);
		session_stop(old);
	}
	uv_mutex_lock(&hub->registry_lock);
	session->next_of_machine = *bucket;
	*bucket = session;
	uv_mutex_unlock(&hub->registry_lock);
	session->registered = true;
}

bool hub_connected(struct hub *hub, const struct uuid *machine)
{
	bool found;

	uv_mutex_lock(&hub->registry_lock);
	found = hub_find(hub, machine) != NULL;
	uv_mutex_unlock(&hub->registry_lock);
	return found;
}

void hub_add(struct hub *hub, struct session *session)
{
	session->next = hub->sessions;
	if (hub->sessions)
		hub->sessions->prev = session;
	hub->sessions = session;
	hub->n_sessions++;
}

bool hub_admit_stranger(struct hub *hub, struct session *session)
{
	if (hub->strangers >= hub->config.strangers_max)
		return false;
	hub->strangers++;
	session->stranger = true;
	return true;
}

void hub_session_closed(struct hub *hub, struct session *session)
{
	hub->strangers -= session->stranger;
	unregister(hub, session);
	hub_push_forget(hub, session);
	if (session->prev)
		session->prev->next = session->next;
	else
		hub->sessions = session->next;
	if (session->next)
		session->next->prev = session->prev;
}

void hub_session_freed(struct hub *hub)
{
	hub->n_sessions--;
	maybe_finish(hub);
}

void hub_handshake_over(struct hub *hub)
{
	if (hub->listener && !hub->stopping)
		listener_release(hub->listener);
}

static void on_accepted(struct listener *listener, uv_tcp_t *tcp, void *ctx)
{
	struct hub *hub = ctx;
	struct err err = ERR_INIT;

	if (session_start(hub, tcp, &err) < 0) {
		log_warn("session", "a connection was not taken", LOG_ERR(&err));
		listener_release(listener);
	}
}

/* --- the clock --- */

static void on_tick(uv_timer_t *timer)
{
	struct hub *hub = timer->data;

	hub->ticks++;
	hub_poll_start(hub);
	if (hub->ticks % TICKS(10000) == 0)
		hub_sweep(hub);
	if (hub->ticks % TICKS(600000) == 0)
		hub_tickets_start(hub);
	if (hub->ticks % TICKS(3600000) == 0)
		hub_prune_start(hub);
}

static void on_published(void *ctx)
{
	hub_poll_start(ctx);
}

/* --- the start --- */

static int64_t wall_ms(void *ctx)
{
	const struct clock *clock = ctx;

	return clock->wall_ms(clock);
}

static int tls_make(struct hub *hub, struct err *err)
{
	const struct ca_identity *identity = hub->config.identity;
	const struct ca_cert *root = ca_root(hub->config.ca);
	struct crypto_key *key = NULL;
	struct buf chain;
	int rc;

	buf_init(&chain, 2 * CA_CERT_MAX);
	buf_add(&chain, identity->cert.der, identity->cert.n);
	buf_add(&chain, root->der, root->n);
	rc = buf_rc(&chain) < 0 ? err_nomem(err)
				: crypto_key_from_der(identity->key, identity->key_n, &key, err);
	if (rc == 0)
		rc = tls_context_new_server(
			&(struct tls_server_config){.chain = chain.data,
						    .chain_n = chain.len,
						    .key = key,
						    .client_root = root->der,
						    .client_root_n = root->n,
						    .now_ms = wall_ms,
						    .now_ctx =
							    (void *)(uintptr_t)hub->config.clock},
			&hub->tls, err);
	crypto_key_free(key);
	buf_deinit(&chain);
	return rc;
}

static const struct listener_callbacks listener_callbacks = {.on_accepted = on_accepted,
							     .on_stopped = on_listener_stopped};

static int listen_start(struct hub *hub, struct err *err)
{
	const struct hub_config *config = &hub->config;

	return listener_start(&(struct listener_config){.loop = config->loop,
							.address = config->address,
							.socket = config->socket,
							.callbacks = &listener_callbacks,
							.ctx = hub},
			      &hub->listener, err);
}

static void start_failed(struct hub *hub)
{
	/* The port closes in the loop and then frees the hub. */
	if (hub->db) {
		db_port_stop(hub->db, on_port_stopped, hub);
		return;
	}
	hub_free(hub);
}

int hub_start(const struct hub_config *config, struct hub **out, struct err *err)
{
	struct hub *hub = mem_calloc(1, sizeof(*hub));
	int rc;

	if (!hub)
		return err_nomem(err);
	CHECK(uv_mutex_init(&hub->registry_lock) == 0);
	hub->config = *config;
	if (hub->config.strangers_max == 0)
		hub->config.strangers_max = HUB_STRANGERS_MAX;
	hub->poll.after = config->outbox_from;
	rate_init(&hub->enrolments, config->enrol_burst ? config->enrol_burst : HUB_ENROL_BURST,
		  config->enrol_each_ms ? config->enrol_each_ms : HUB_ENROL_EACH_MS);
	rc = tls_make(hub, err);
	hub->config.identity = NULL;
	if (rc == 0)
		hub_tickets_set(hub, config->tickets, config->n_tickets);
	hub->config.tickets = NULL;
	if (rc == 0)
		rc = db_port_open(config->pool, config->loop, on_published, hub, &hub->db, err);
	if (rc == 0)
		rc = listen_start(hub, err);
	if (rc < 0) {
		start_failed(hub);
		return rc;
	}
	uv_timer_init(config->loop, &hub->timer);
	hub->timer.data = hub;
	hub->timer_open = true;
	uv_timer_start(&hub->timer, on_tick, HUB_POLL_MS, HUB_POLL_MS);
	hub_tickets_start(hub);
	*out = hub;
	return 0;
}
