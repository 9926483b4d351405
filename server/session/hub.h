/*
 * One agent loop: a listening port, the sessions accepted there, and what must reach them without
 * being asked for. A server may run several, each on a thread of its own; they share the database
 * and nothing else, and each hears of news by itself: at once after a commit in this process, every
 * 200 ms from others (the outbox).
 *
 * The authority is used in write jobs only: there is one writer thread, so it never has two users
 * at a time. Loop thread, but for what is said otherwise.
 */
#ifndef ENVWARDEN_SERVER_SESSION_HUB_H
#define ENVWARDEN_SERVER_SESSION_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "lib/net/address.h"

struct ca;
struct ca_identity;
struct db_pool;
struct db_ticket_key;
struct hub;
struct signer;

#define HUB_POLL_MS 200
#define HUB_PUSHES_MAX 64 /* pushes under way at a time */
#define HUB_ENROL_BURST 60
#define HUB_ENROL_EACH_MS 1000
#define HUB_STRANGERS_MAX 1000 /* connections without a certificate at a time */

/* Everything is borrowed and must outlive the hub, but `identity`, which is copied. */
struct hub_config {
	uv_loop_t *loop;
	struct db_pool *pool;
	const struct ca *ca;
	const struct signer *signer;
	const struct ca_identity *identity; /* the server's certificate and key */
	const struct clock *clock;
	const struct address *address; /* an IP address and port */
	const uv_os_sock_t *socket;    /* bound already; NULL = bind the address */
	uint64_t outbox_from;	       /* news up to here are known (db_outbox_head) */
	/* Session ticket keys there are (db_ticket_keys): the first agents come before the hub has
	   looked for them itself. Used by hub_start alone. */
	const struct db_ticket_key *tickets;
	size_t n_tickets;
	int64_t enrol_burst;	/* failed enrolments an address has at once; 0 = the default */
	unsigned strangers_max; /* 0 = the default */
	int64_t enrol_each_ms;	/* and how often it gets one more; 0 = the default */
};

/* Before the loop runs, or on its thread. Errors as of listener_start and tls_context_new_server.
 */
int hub_start(const struct hub_config *config, struct hub **out, struct err *err);

uint16_t hub_port(const struct hub *hub);

/* Whether the machine has a session here: from its Hello to the end. Any thread. */
bool hub_connected(struct hub *hub, const struct uuid *machine);

/* Ends the sessions and everything else; then calls stopped (may be NULL) and is gone. */
void hub_stop(struct hub *hub, void (*stopped)(void *ctx), void *ctx);

#endif
