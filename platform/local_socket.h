/*
 * The local socket between the agent and the commands: a unix socket, on Windows a named pipe. The
 * server half lives on a uv loop; the client half blocks, has deadlines and knows nothing of libuv,
 * so that the small command stays small.
 */
#ifndef ENVWARDEN_PLATFORM_LOCAL_SOCKET_H
#define ENVWARDEN_PLATFORM_LOCAL_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct uv_loop_s;
struct uv_pipe_s;

/* --- server; loop thread only --- */
struct local_server;

/*
 * A client waits. Call local_server_accept before returning; a client that is not accepted by then
 * is turned away (connection closed).
 */
typedef void (*local_server_cb)(void *ctx, struct local_server *server);
typedef void (*local_server_stopped_cb)(void *owner);

struct local_server_options {
	struct uv_loop_s *loop;
	const char *path;
	bool for_everybody; /* any account may connect (0666, made directory 0755), or only this
			       one's (0600, made directory 0700) */
	local_server_cb waiting;
	void *ctx;
};

/*
 * Makes the socket (and its directory, if missing) and listens. ERR_LIMIT: the path is too long for
 * a socket (the text says how long it may be); ERR_EXISTS: "in use by another agent (pid N)" or
 * something that is no socket lies there; a stale socket is replaced; ERR_PERM.
 */
int local_server_start(const struct local_server_options *options, struct local_server **out,
		       struct err *err);

/* Hands the waiting client to a pipe the caller has initialised on the same loop. */
int local_server_accept(struct local_server *server, struct uv_pipe_s *client);

/* Removes the socket and stops; stopped(owner) (may be NULL) is called once, later. Idempotent.
 * Accepted clients are not touched. */
void local_server_stop(struct local_server *server, local_server_stopped_cb stopped, void *owner);

/* --- client; any thread, one object at a time. Deadlines are clock_system()'s mono_ms. --- */
struct local_client {
	intptr_t handle; /* for peer_cred_get; -1 when closed */
};
#define LOCAL_CLIENT_NONE ((struct local_client){.handle = -1})

/*
 * ERR_NOTFOUND: no such path, no agent ever ran here; ERR_UNREACHABLE: the path is there, nobody
 * listens; ERR_PERM: refused to this account; ERR_TIMEOUT: listened to, but not taken in time;
 * ERR_LIMIT: the path is too long.
 */
int local_client_open(const char *path, int64_t deadline_ms, struct local_client *out,
		      struct err *err);

/* Sends all of it. ERR_CLOSED, ERR_TIMEOUT. */
int local_client_send(struct local_client *client, const void *data, size_t n, int64_t deadline_ms,
		      struct err *err);

/* Receives at least one and up to cap bytes. ERR_CLOSED: the peer ended; ERR_TIMEOUT. */
int local_client_recv(struct local_client *client, void *data, size_t cap, int64_t deadline_ms,
		      size_t *n, struct err *err);

void local_client_close(struct local_client *client); /* LOCAL_CLIENT_NONE is fine */

#endif
