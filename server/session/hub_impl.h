/* The insides of a hub, shared by hub*.c. */
#ifndef ENVWARDEN_SERVER_SESSION_HUB_IMPL_H
#define ENVWARDEN_SERVER_SESSION_HUB_IMPL_H

#include "lib/base/buf.h"
#include "lib/net/listener.h"
#include "lib/net/tls.h"
#include "server/db/db_bundle.h"
#include "server/db/db_outbox.h"
#include "server/session/rate.h"
#include "server/session/session_impl.h"

#define HUB_REGISTRY 4096 /* buckets */

/* A job of the hub's own, one at a time. */
struct hub_job {
	struct db_job job;
	struct hub *hub;
	bool busy;
	bool again; /* asked for while it ran */
};

struct hub_poll {
	struct hub_job base; /* first */
	struct arena arena;
	uint64_t after;
	struct db_outbox *rows;
	size_t n;
};

struct hub_tickets {
	struct hub_job base; /* first */
	int64_t now_ms;
	struct db_ticket_key keys[TLS_TICKET_KEYS_MAX];
	size_t n;
};

/* A journal whose changes contradict those stored: its next Hello is told to begin a new epoch. */
struct hub_conflict {
	struct uuid machine;
	struct uuid epoch;
};
#define HUB_CONFLICTS 256 /* the newest; one forgotten comes up again */

struct hub {
	struct hub_config config;
	struct tls_context *tls;
	struct listener *listener; /* NULL when stopped */
	struct db_port *db;
	uv_timer_t timer;
	bool timer_open;
	bool stopping;
	uint64_t ticks;
	void (*stopped)(void *ctx);
	void *stopped_ctx;

	struct session *sessions; /* with an open connection */
	size_t n_sessions;	  /* not freed yet */
	struct session *registry[HUB_REGISTRY];
	uv_mutex_t registry_lock; /* held to change it, and to read it on other threads */
	unsigned strangers;	  /* of them: connected without a certificate */
	struct rate enrolments;
	struct hub_conflict conflicts[HUB_CONFLICTS];
	size_t n_conflicts; /* noted ever; the place of the next one is its remainder */

	struct session *push_first;
	struct session *push_last;
	unsigned pushes; /* under way */

	struct hub_poll poll;
	struct hub_tickets tickets;
	struct hub_job prune;
};

/* The newest session of a machine, NULL if it has none here. Loop thread, or under the lock. */
struct session *hub_find(struct hub *hub, const struct uuid *machine);

/* --- hub_push.c --- */
void hub_poll_start(struct hub *hub);
void hub_push_forget(struct hub *hub, struct session *session);

/* --- hub_chores.c --- */
void hub_tickets_set(struct hub *hub, const struct db_ticket_key *from, size_t n);
void hub_tickets_start(struct hub *hub);
void hub_prune_start(struct hub *hub);
void hub_sweep(struct hub *hub); /* sessions that fell silent, timestamps that grow old */

#endif
