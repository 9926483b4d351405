#include "agent/sync/client.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/net/conn.h"
#include "lib/net/frame.h"
#include "proto/convert.h"
#include "proto/limits.h"

void client_server_name(const struct uuid *organisation, char out[CLIENT_SERVER_NAME_MAX])
{
	int n = snprintf(out, CLIENT_SERVER_NAME_MAX, "server.");

	for (size_t i = 0; i < UUID_SIZE; i++)
		n += snprintf(out + n, CLIENT_SERVER_NAME_MAX - (size_t)n, "%02x",
			      organisation->b[i]);
	(void)snprintf(out + n, CLIENT_SERVER_NAME_MAX - (size_t)n, ".envwarden.internal");
}

int client_proxy(const char *text, struct address *out, bool *has, struct err *err)
{
	struct address address;
	int rc;

	if (text[0] == '\0') {
		*has = false;
		return 0;
	}
	rc = address_parse(text, 0, &address, err);
	if (rc == 0 && address.port == 0)
		rc = err_set(err, ERR_INVALID, "\"%s\" is not host:port", text);
	if (rc < 0) {
		(void)err_context(err, "proxy");
		return rc;
	}
	*out = address;
	*has = true;
	return 0;
}

int client_machine_get(struct client_machine *out, struct err *err)
{
	struct client_machine m = {.has_id = false};
	int rc = sysinfo_get(&m.info, err);

	if (rc < 0)
		return rc;
	m.has_id = machine_id_get(m.id_hash, NULL) == 0; /* some containers have none */
	*out = m;
	return 0;
}

void client_machine_to_wire(const struct client_machine *m, Envwarden__Sync__MachineInfo *out)
{
	envwarden__sync__machine_info__init(out);
	out->hostname = wire_text(m->info.hostname);
	out->platform = wire_text(m->info.platform);
	out->os = wire_text(m->info.os);
	out->agent_version = wire_text(ENVWARDEN_VERSION);
	if (m->has_id)
		out->machine_id_hash = wire_bytes(m->id_hash, sizeof(m->id_hash));
}

int client_send(struct conn *conn, const Envwarden__Sync__Envelope *envelope, struct err *err)
{
	struct buf frame;
	int rc;

	buf_init(&frame, FRAME_HEADER_SIZE + LIMIT_SYNC_FRAME);
	rc = codec_pack_sync(envelope, &frame, err);
	if (rc == ERR_LIMIT)
		rc = err_set(err, ERR_INTERNAL, "a message of ours is over a limit");
	if (rc == 0)
		rc = conn_send(conn, frame.data + FRAME_HEADER_SIZE, frame.len - FRAME_HEADER_SIZE,
			       err);
	buf_deinit(&frame);
	return rc;
}

int client_chain(const ProtobufCBinaryData *certs, size_t n, struct buf *out, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		buf_add(out, certs[i].data, certs[i].len);
	if (buf_rc(out) < 0)
		return err_set(err, buf_rc(out), "certificates: %s", err_text(buf_rc(out)));
	return 0;
}

void client_words(const char *text, const char *otherwise, char *out, size_t cap)
{
	struct buf escaped;

	buf_init(&escaped, 8 * LIMIT_TEXT);
	text_escape(&escaped, text, strlen(text));
	(void)snprintf(out, cap, "%s",
		       escaped.len > 0 && buf_rc(&escaped) == 0 ? buf_cstr(&escaped) : otherwise);
	buf_deinit(&escaped);
}
