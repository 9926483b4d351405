/*
 * One agent's connection: who it is, and the messages it sends, handled one at a time. While the
 * database works on one, nothing more is read from the socket, so that a session costs what one
 * message costs. Kinds are handled in session_*.c; which class may send which says classes.h.
 *
 * Life: session_start -> (handshake, check of the machine) -> messages -> the hub's session_closed.
 * A session frees itself when its connection is closed and no task of it is under way. Loop thread.
 */
#ifndef ENVWARDEN_SERVER_SESSION_SESSION_H
#define ENVWARDEN_SERVER_SESSION_SESSION_H

#include <uv.h>

#include "lib/base/err.h"
#include "lib/base/uuid.h"

struct hub;
struct session;

/* Takes the handle, also on failure. The hub hears session_closed exactly once after success. */
int session_start(struct hub *hub, uv_tcp_t *tcp, struct err *err);

/* Its machine's state changed: look again whether it may stay. */
void session_check(struct session *session);

/* Ends it without a word; idempotent. */
void session_stop(struct session *session);

#endif
