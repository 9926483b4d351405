/*
 * The admin API: JSON over HTTPS below /api/v1 (openapi.yaml), for envwarden-admin, the UI and
 * others' tools. One thread of its own with a loop of its own, so that a storm of agents never
 * makes an admin wait: libmicrohttpd runs inside that loop, requests are suspended while the
 * store's threads (db_pool.h) answer them, and passwords are checked on the loop's thread pool.
 *
 * Who may do what stands in the table of routes (route.h). Every change is written to the audit log
 * in the transaction that makes it, and answered when it is durable.
 */
#ifndef ENVWARDEN_SERVER_API_API_H
#define ENVWARDEN_SERVER_API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"

#define API_BODY_MAX 65536	 /* bytes of a request's body */
#define API_LARGE_MAX (16 << 20) /* of one that brings a policy */
#define API_LARGE_N 4		 /* such requests at a time; more are told to come again */
#define API_HEADERS_MAX 16384	 /* bytes of a request's line and headers, about */
#define API_CONNECTIONS 512	 /* at a time; more are refused */
#define API_CONNECTIONS_PEER 64	 /* of one address */
#define API_IDLE_S 60		 /* a connection without traffic is closed */

struct api;
struct clock;
struct db_pool;
struct db_conn;
struct signer;
struct buf;

/* A machine's signed state as one file (proto/set_file.h). */
struct api_set {
	struct uuid machine;
	int64_t now_ms;
	int64_t valid_ms; /* of its timestamp; 0 = as long as is usual, which is set here then */
	struct buf *file; /* out, as are these: */
	uint64_t policy_version; /* 0 = there is none */
	uint64_t status_version;
};

/*
 * Pool, clock and ctx are borrowed until api_stop returns, all else for the call of api_start.
 * Limits of 0 are the defaults above.
 */
struct api_config {
	struct db_pool *pool;	   /* started */
	const struct clock *clock; /* NULL = the machine's */
	const char *address;	   /* "host:port", "[v6]:port"; port 0 = one that is free */
	const char *certificate;   /* PEM, the server's first */
	const char *key;	   /* PEM */
	unsigned connections;	   /* limits */
	unsigned connections_peer;
	unsigned idle_s;

	/* What a join code says beside its secret: at most JOIN_CODE_ADDRESSES_MAX addresses. */
	const char *const *agent_addresses;
	size_t n_agent_addresses;
	unsigned char root_hash[SHA256_SIZE]; /* of the root certificate's SPKI */

	const struct signer
		*signer; /* signs policies; borrowed like the pool; NULL = nothing does */

	/*
	 * Makes such a file, in a write transaction. ERR_NOTFOUND: no such machine; ERR_PERM: it is
	 * not active; ERR_LIMIT: valid for too long, or too large. NULL = none are made.
	 */
	int (*export_set)(struct db_conn *conn, const struct signer *signer, struct api_set *set,
			  struct err *err);

	/*
	 * After a change that machines must hear of (a status, the organisation's settings) became
	 * durable, before its request is answered. On the API's thread: must not block. May be
	 * NULL.
	 */
	void (*status_changed)(void *ctx);
	/* Whether a machine is connected now. On the pool's threads. NULL = none ever is. */
	bool (*connected)(void *ctx, const struct uuid *machine);
	void *ctx;
};

/*
 * Starts it; *port (may be NULL) is the one it listens on. ERR_INVALID: address, certificate or
 * key; ERR_EXISTS: the address is in use. Any thread.
 */
int api_start(const struct api_config *config, struct api **out, uint16_t *port, struct err *err);

/*
 * Refuses new requests, lets those under way be answered, ends the thread and frees the API.
 * Blocks; the pool must still run or have been stopped (not freed). NULL is fine.
 */
void api_stop(struct api *api);

#endif
