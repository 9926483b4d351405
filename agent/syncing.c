/* The sync client in the engine: its start and end, where it stands, what it tells. */
#include <stdio.h>
#include <string.h>

#include "agent/engine.h"
#include "agent/sent.h"
#include "agent/syncing_impl.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

#define LOCAL_ACK_CHANGES 256 /* changes of an agent that is not enrolled */

static void on_position(void *ctx, struct sync_position *out)
{
	struct engine *e = ctx;

	*out = (struct sync_position){.epoch = e->journal.epoch,
				      .head = e->journal.head,
				      .acked = e->journal.acked,
				      .has_continuity = e->syncing->has_continuity,
				      .labels = e->config.labels.items,
				      .n_labels = e->config.labels.n};
	memcpy(out->head_hash, e->journal.head_hash, sizeof out->head_hash);
	memcpy(out->continuity, e->syncing->continuity, sizeof out->continuity);
	state_held(e, out);
}

static void on_timestamp(void *ctx, const void *data, size_t n)
{
	state_timestamp(ctx, data, n);
}

static void on_bundle(void *ctx, const char *role, uint64_t version, const void *data, size_t n)
{
	state_bundle(ctx, role, version, data, n);
}

static void on_renewed(void *ctx, const void *chain, size_t n)
{
	struct engine *e = ctx;
	struct err err = ERR_INIT;
	struct buf old = e->identity.chain;

	buf_init(&e->identity.chain, LIMIT_CHAIN * LIMIT_CERTIFICATE);
	buf_add(&e->identity.chain, chain, n);
	if (buf_rc(&e->identity.chain) == 0 &&
	    sync_identity_save(&e->identity, e->syncing->identity_path, &err) == 0) {
		buf_deinit(&old);
		log_info("sync", "certificate renewed", LOG_NONE);
		return;
	}
	log_error("sync", "renewed certificate not kept", LOG_ERR(&err));
	buf_deinit(&e->identity.chain);
	e->identity.chain = old;
}

static void on_decisions_acked(void *ctx, uint64_t number)
{
	telling_acked(ctx, number);
}

static void on_state(void *ctx, bool connected, const char *server, const char *why)
{
	struct engine *e = ctx;
	struct syncing *s = e->syncing;

	if (connected != s->connected)
		log_info("sync", connected ? "connected" : "disconnected",
			 LOG_STR("server", server), LOG_STR("why", why));
	if (!connected) {
		telling_lost(e);
		asking_lost(e);
	}
	s->connected = connected;
	(void)snprintf(s->server, sizeof s->server, "%s", server);
	(void)snprintf(s->why, sizeof s->why, "%s", why);
	if (connected)
		telling_go(e);
}

static int64_t on_trusted(void *ctx)
{
	return engine_trusted(ctx);
}

static void on_sent(void *ctx, const void *payload, size_t n)
{
	sent_note(ctx, payload, n);
}

static const struct sync_ops ops = {.position = on_position,
				    .read_batch = syncing_read_batch,
				    .read_packages = syncing_read_packages,
				    .acked = syncing_acked,
				    .packages_sent = syncing_packages_sent,
				    .packages_lost = syncing_packages_lost,
				    .welcome = syncing_welcome,
				    .timestamp = on_timestamp,
				    .bundle = on_bundle,
				    .renewed = on_renewed,
				    .decisions_acked = on_decisions_acked,
				    .state = on_state,
				    .sent = on_sent,
				    .trusted_ms = on_trusted};

void syncing_journal_grew(struct engine *e)
{
	if (e->syncing->client != NULL)
		sync_journal_grew(e->syncing->client);
	else if (!e->enrolled && !e->stopping && e->enrol == NULL &&
		 e->journal.head - e->journal.acked >= LOCAL_ACK_CHANGES)
		/* Nobody will ever ask for them: from here on the journal's bound holds. */
		syncing_keep_ack(e, &e->journal.epoch, e->journal.head, NULL, 0);
}

struct sync *syncing_client(const struct engine *e)
{
	return e->syncing != NULL ? e->syncing->client : NULL;
}

bool syncing_connected(const struct engine *e)
{
	return e->syncing->connected;
}

const char *syncing_server(const struct engine *e)
{
	if (e->syncing->server[0] != '\0')
		return e->syncing->server;
	return e->identity.n_addresses > 0 ? e->identity.addresses[0] : "";
}

const char *syncing_why(const struct engine *e)
{
	return e->syncing->why;
}

int syncing_start_client(struct engine *e, struct err *err)
{
	const struct sync_config config = {.loop = &e->loop,
					   .identity = &e->identity,
					   .ticket_path = e->syncing->ticket_path,
					   .proxy = e->config.proxy,
					   .addresses = e->config.server.items,
					   .n_addresses = e->config.server.n,
					   .ops = &ops,
					   .ctx = e};

	return sync_start(&config, &e->syncing->client, err);
}

/* --- life --- */

static int load_kept(struct engine *e)
{
	struct buf token;

	buf_init(&token, 64);
	if (store_kv_get(e->store, SYNCING_KEY_CONTINUITY, &token, NULL) == 0 &&
	    token.len == sizeof e->syncing->continuity) {
		memcpy(e->syncing->continuity, token.data, token.len);
		e->syncing->has_continuity = true;
	}
	buf_clear(&token);
	if (store_kv_get(e->store, SYNCING_KEY_USE_TOLD, &token, NULL) == 0 &&
	    token.len == sizeof e->use_told_ms)
		memcpy(&e->use_told_ms, token.data, token.len);
	buf_deinit(&token);
	return 0;
}

int syncing_start(struct engine *e, struct err *err)
{
	return e->enrolled ? syncing_start_client(e, err) : 0;
}

int syncing_prepare(struct engine *e, struct err *err)
{
	struct syncing *s = mem_calloc(1, sizeof *s);
	int rc;

	if (s == NULL)
		return err_nomem(err);
	e->syncing = s;
	sync_identity_init(&e->identity);
	rc = paths_join(s->ticket_path, e->options->paths.state, "ticket", err);
	if (rc == 0)
		rc = paths_join(s->identity_path, e->options->paths.state, "identity", err);
	if (rc < 0)
		return rc;
	rc = sync_identity_load(s->identity_path, &e->identity, err);
	if (rc == 0)
		e->enrolled = true;
	else if (rc != ERR_NOTFOUND)
		return rc;
	return load_kept(e);
}

static void on_client_stopped(void *owner)
{
	struct syncing *s = owner;

	s->client = NULL;
	s->stopped(s->owner);
}

void syncing_stop(struct engine *e, void (*stopped)(void *owner), void *owner)
{
	struct syncing *s = e->syncing;

	if (e->enrol != NULL)
		enrol_stop(e->enrol);
	if (s->client == NULL) {
		stopped(owner);
		return;
	}
	s->stopped = stopped;
	s->owner = owner;
	sync_stop(s->client, on_client_stopped, s);
}

void syncing_free(struct engine *e)
{
	sync_identity_deinit(&e->identity);
	mem_free(e->syncing->notes);
	mem_free(e->syncing);
	e->syncing = NULL;
}
