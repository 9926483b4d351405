/* What a hub does by the clock. */
#include <string.h>

#include "lib/base/log.h"
#include "server/pki/signer.h"
#include "server/session/hub_impl.h"

#define TICKET_AGE_MS (INT64_C(12) * 3600 * 1000)
#define TIMESTAMP_AGE_MS (SIGNER_TIMESTAMP_MS / 2)
#define OUTBOX_AGE_MS (INT64_C(24) * 3600 * 1000)
#define GREETING_MS 60000		     /* from the handshake to the Welcome */
#define SILENCE_MS (INT64_C(40) * 60 * 1000) /* agents ping every 15 min */

/* --- ticket keys --- */

static int tickets_work(struct db_conn *conn, struct db_job *job)
{
	struct hub_tickets *tickets = container_of(job, struct hub_tickets, base.job);
	unsigned char fresh[DB_TICKET_KEY_SIZE];
	int rc;

	crypto_random(fresh, sizeof(fresh));
	rc = db_ticket_rotate(conn, fresh, TICKET_AGE_MS, tickets->now_ms, NULL, NULL);
	crypto_wipe(fresh, sizeof(fresh));
	return rc < 0 ? rc : db_ticket_keys(conn, tickets->keys, &tickets->n, NULL);
}

/* A key's name follows from it, so that all processes of a server call it the same. */
void hub_tickets_set(struct hub *hub, const struct db_ticket_key *from, size_t n)
{
	struct tls_ticket_key keys[TLS_TICKET_KEYS_MAX];

	for (size_t i = 0; i < n; i++) {
		unsigned char name[SHA256_SIZE];

		sha256(from[i].key, sizeof(from[i].key), name);
		memcpy(keys[i].name, name, sizeof(keys[i].name));
		memcpy(keys[i].key, from[i].key, sizeof(keys[i].key));
		keys[i].created_ms = from[i].created_ms;
	}
	tls_context_set_ticket_keys(hub->tls, keys, n);
	crypto_wipe(keys, sizeof(keys));
}

static void tickets_done(struct db_job *job, int rc)
{
	struct hub_tickets *tickets = container_of(job, struct hub_tickets, base.job);
	struct hub *hub = tickets->base.hub;

	tickets->base.busy = false;
	if (rc < 0)
		log_warn("session", "ticket keys were not renewed", LOG_STR("code", err_name(rc)));
	else
		hub_tickets_set(hub, tickets->keys, tickets->n);
	crypto_wipe(tickets->keys, sizeof(tickets->keys));
}

void hub_tickets_start(struct hub *hub)
{
	struct hub_tickets *tickets = &hub->tickets;

	if (tickets->base.busy)
		return;
	tickets->base.hub = hub;
	tickets->base.job.work = tickets_work;
	tickets->base.job.done = tickets_done;
	tickets->now_ms = hub_now_ms(hub);
	tickets->base.busy = db_pool_write(hub->db, &tickets->base.job) == 0;
}

/* --- old news --- */

static int prune_work(struct db_conn *conn, struct db_job *job)
{
	const struct hub *hub = container_of(job, struct hub_job, job)->hub;

	return db_outbox_prune(conn, hub_now_ms(hub) - OUTBOX_AGE_MS, NULL);
}

static void prune_done(struct db_job *job, int rc)
{
	(void)rc; /* the next one takes what this one left */
	container_of(job, struct hub_job, job)->busy = false;
}

void hub_prune_start(struct hub *hub)
{
	struct hub_job *prune = &hub->prune;

	if (prune->busy)
		return;
	prune->hub = hub;
	prune->job.work = prune_work;
	prune->job.done = prune_done;
	prune->busy = db_pool_write(hub->db, &prune->job) == 0;
}

/* --- sessions --- */

void hub_sweep(struct hub *hub)
{
	int64_t mono_ms = (int64_t)uv_now(hub->config.loop);
	int64_t now_ms = hub_now_ms(hub);
	struct session *next;

	for (struct session *session = hub->sessions; session; session = next) {
		int64_t silent_ms = mono_ms - session->heard_ms;

		next = session->next;
		if (session->stopping || !session->ready)
			continue; /* the connection has its own deadlines for these */
		if (silent_ms > (session->welcomed ? SILENCE_MS : GREETING_MS))
			session_stop(session);
		else if (session->welcomed && now_ms - session->timestamp_ms > TIMESTAMP_AGE_MS)
			hub_push(hub, session);
	}
}
