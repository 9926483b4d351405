/*
 * A connection to the agent: one request at a time, blocking, with deadlines (clock_system's
 * mono_ms). The server at the other end must be somebody to trust (trust.h).
 */
#ifndef ENVWARDEN_AGENT_CLI_CLIENT_H
#define ENVWARDEN_AGENT_CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/net/frame.h"
#include "platform/local_socket.h"
#include "proto/local.pb-c.h"

#define CLIENT_ANSWER_MS 10000 /* how long a command waits for a frame, if it says nothing else */
#define CLIENT_MEMORY ((size_t)256 * 1024 * 1024) /* of an arena that collects an answer */

struct client {
	struct local_client socket;
	struct frame_decoder decoder;
	size_t at; /* room[at, end) is read and not decoded */
	size_t end;
	bool refused; /* the last error was the agent's own answer */
	char room[16384];
};

/* Milliseconds from now as a deadline; negative = never. */
int64_t client_deadline(int64_t ms);

/* The socket that --socket or ENVWARDEN_SOCKET name, or NULL. */
const char *client_named_socket(const char *option);

/* Connects to one socket. Errors as local_client_open's, and ERR_VERIFY: a stranger serves it. */
int client_open(struct client *client, const char *socket, int64_t deadline_ms, struct err *err);

/* Connects to the agent: the named socket, else the machine's agent, else this account's own. */
int client_connect(struct client *client, const char *option, struct err *err);
void client_close(struct client *client); /* also of a zeroed struct, and twice */

int client_send(struct client *client, Envwarden__Local__Envelope *request, int64_t deadline_ms,
		struct err *err);

/*
 * The next answer, in `arena`. An error answer becomes an error with its code and text
 * (client->refused is set then), "unsupported" ERR_UNSUPPORTED.
 */
int client_recv(struct client *client, int64_t deadline_ms, struct arena *arena,
		Envwarden__Local__Envelope **out, struct err *err);
/* The same, but DescriptorWanted is the caller's to answer; client_recv answers it itself. */
int client_receive(struct client *client, int64_t deadline_ms, struct arena *arena,
		   Envwarden__Local__Envelope **out, struct err *err);

/* Proves to the agent that this account can open a directory. ERR_PERM: it can't. */
int client_prove(struct client *client, const char *prefix, struct err *err);

/* Sends a request and receives its first answer, CLIENT_ANSWER_MS for each. */
int client_ask(struct client *client, Envwarden__Local__Envelope *request, struct arena *arena,
	       Envwarden__Local__Envelope **out, struct err *err);

/* Says what went wrong and how the command ends for it (command.h). */
int client_failed(const struct client *client, const struct err *err);

#endif
