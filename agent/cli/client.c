#include "agent/cli/client.h"

#include <stdlib.h>

#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "agent/cli/trust.h"
#include "platform/clock.h"
#include "platform/fd_pass.h"
#include "platform/paths.h"
#include "platform/peer_cred.h"
#include "platform/safe_open.h"
#include "proto/codec.h"

#define CONNECT_MS 3000
#define REQUEST_ID 1 /* there is only ever one under way */

int64_t client_deadline(int64_t ms)
{
	const struct clock *clock = clock_system();

	return ms < 0 ? INT64_MAX : clock->mono_ms(clock) + ms;
}

const char *client_named_socket(const char *option)
{
	const char *variable = getenv("ENVWARDEN_SOCKET");

	if (option)
		return option;
	return variable && *variable ? variable : NULL;
}

/* --- opening --- */

static int check_peer(const struct client *client, const char *socket, struct err *err)
{
	struct peer_cred peer;
	int rc = peer_cred_get(client->socket.handle, &peer, err);

	if (rc < 0)
		return rc;
	if (!trust_uid(peer.uid))
		return err_set(err, ERR_VERIFY,
			       "%s: served by account %u, which is neither root nor the agent's "
			       "nor yours: not trusted",
			       socket, (unsigned)peer.uid);
	return 0;
}

int client_open(struct client *client, const char *socket, int64_t deadline_ms, struct err *err)
{
	int rc;

	client->socket = LOCAL_CLIENT_NONE;
	client->at = 0;
	client->end = 0;
	client->refused = false;
	frame_decoder_init(&client->decoder, FRAME_LOCAL_MAX);
	rc = local_client_open(socket, deadline_ms, &client->socket, err);
	if (rc == 0)
		rc = check_peer(client, socket, err);
	if (rc < 0)
		client_close(client);
	return rc;
}

int client_connect(struct client *client, const char *option, struct err *err)
{
	const char *named = client_named_socket(option);
	struct paths_agent machine, own;
	struct err why = ERR_INIT;
	int rc;

	if (named)
		return client_open(client, named, client_deadline(CONNECT_MS), err);
	rc = paths_agent(PATHS_MACHINE, &machine, err);
	if (rc < 0)
		return rc;
	rc = client_open(client, machine.socket, client_deadline(CONNECT_MS), &why);
	if (rc == 0)
		return 0;
	/* Without a machine agent, one's own; what is said is about the machine's. */
	if ((rc == ERR_NOTFOUND || rc == ERR_UNREACHABLE) &&
	    paths_agent(PATHS_USER, &own, NULL) == 0 &&
	    client_open(client, own.socket, client_deadline(CONNECT_MS), NULL) == 0)
		return 0;
	return err_set(err, rc, "%s", why.text);
}

void client_close(struct client *client)
{
	if (client->decoder.max == 0)
		return;
	local_client_close(&client->socket);
	frame_decoder_deinit(&client->decoder);
	client->decoder = (struct frame_decoder){0};
}

/* --- talking --- */

int client_send(struct client *client, Envwarden__Local__Envelope *request, int64_t deadline_ms,
		struct err *err)
{
	struct buf frame;
	int rc;

	buf_init(&frame, FRAME_HEADER_SIZE + FRAME_LOCAL_MAX);
	request->id = REQUEST_ID;
	rc = codec_pack_local(request, &frame, err);
	if (rc == 0)
		rc = local_client_send(&client->socket, frame.data, frame.len, deadline_ms, err);
	buf_deinit(&frame);
	return rc;
}

static int next_frame(struct client *client, int64_t deadline_ms, const void **payload, size_t *n,
		      struct err *err)
{
	for (;;) {
		size_t used;
		int rc = 0;

		if (client->at == client->end) {
			client->at = 0;
			client->end = 0;
			rc = local_client_recv(&client->socket, client->room, sizeof(client->room),
					       deadline_ms, &client->end, err);
		}
		if (rc < 0)
			return rc;
		rc = frame_decode(&client->decoder, client->room + client->at,
				  client->end - client->at, &used, payload, n);
		if (rc < 0)
			return err_set(err, rc, "the agent's answer: %s", err_text(rc));
		client->at += used;
		if (*payload)
			return 0;
	}
}

int client_prove(struct client *client, const char *prefix, struct err *err)
{
	struct safe_dir *dir = NULL;
	int rc = safe_dir_open(prefix, &dir, NULL);
	int fd;

	if (rc < 0)
		return err_set(err, ERR_PERM, "not permitted: you can't open %s", prefix);
	fd = (int)safe_dir_handle(dir);
	rc = fd_pass_send((int)client->socket.handle, &fd, 1, err);
	safe_dir_close(dir);
	return rc;
}

int client_recv(struct client *client, int64_t deadline_ms, struct arena *arena,
		Envwarden__Local__Envelope **out, struct err *err)
{
	for (;;) {
		int rc = client_receive(client, deadline_ms, arena, out, err);

		if (rc < 0 ||
		    (*out)->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_DESCRIPTOR_WANTED)
			return rc;
		rc = client_prove(client, (*out)->descriptor_wanted->prefix, err);
		if (rc < 0)
			return rc;
	}
}

int client_receive(struct client *client, int64_t deadline_ms, struct arena *arena,
		   Envwarden__Local__Envelope **out, struct err *err)
{
	Envwarden__Local__Envelope *m;
	const void *payload;
	size_t n;
	int rc = next_frame(client, deadline_ms, &payload, &n, err);

	if (rc < 0)
		return rc;
	rc = codec_unpack_local(payload, n, arena, &m, err);
	if (rc < 0) {
		(void)err_context(err, "the agent's answer");
		return rc;
	}
	if (m->id != REQUEST_ID)
		return err_set(err, ERR_PROTOCOL, "the agent answered what nobody asked");
	if (m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_UNSUPPORTED) {
		client->refused = true;
		return err_set(err, ERR_UNSUPPORTED,
			       "the agent does not know this command: it is of an older version");
	}
	if (m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_ERROR) {
		client->refused = true;
		rc = m->error->code < 0 ? m->error->code : ERR_PROTOCOL;
		return err_set(err, rc, "%s", *m->error->text ? m->error->text : err_text(rc));
	}
	*out = m;
	return 0;
}

int client_ask(struct client *client, Envwarden__Local__Envelope *request, struct arena *arena,
	       Envwarden__Local__Envelope **out, struct err *err)
{
	int rc = client_send(client, request, client_deadline(CLIENT_ANSWER_MS), err);

	if (rc == 0)
		rc = client_recv(client, client_deadline(CLIENT_ANSWER_MS), arena, out, err);
	return rc;
}

int client_failed(const struct client *client, const struct err *err)
{
	output_say("%s", err->text);
	if (err->code == ERR_PERM)
		return EXIT_NOT_PERMITTED;
	if (client->refused && err->code == ERR_USAGE)
		return EXIT_USAGE;
	if (client->refused)
		return EXIT_FAILED;
	switch (err->code) {
	case ERR_NOTFOUND:
	case ERR_UNREACHABLE:
	case ERR_TIMEOUT:
	case ERR_CLOSED:
		return EXIT_NO_AGENT;
	default:
		return EXIT_FAILED;
	}
}
