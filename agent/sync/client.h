/*
 * What a session and an enrolment have in common: names, the facts about this machine, messages
 * onto a connection. Private to agent/sync. Loop thread.
 */
#ifndef ENVWARDEN_AGENT_SYNC_CLIENT_H
#define ENVWARDEN_AGENT_SYNC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "lib/net/address.h"
#include "platform/machine_id.h"
#include "platform/sysinfo.h"
#include "proto/sync.pb-c.h"

struct conn;

#define CLIENT_KIND(name) ENVWARDEN__SYNC__ENVELOPE__KIND_##name

/* The name in the org server's certificate, whatever address it is reached by. */
#define CLIENT_SERVER_NAME_MAX 80
void client_server_name(const struct uuid *organisation, char out[CLIENT_SERVER_NAME_MAX]);

#define CLIENT_DEFAULT_PORT 7443
/* "" = none: *has is false. */
int client_proxy(const char *text, struct address *out, bool *has, struct err *err);

/* What this machine says of itself. */
struct client_machine {
	struct sysinfo info;
	unsigned char id_hash[MACHINE_ID_SIZE];
	bool has_id;
};
int client_machine_get(struct client_machine *out, struct err *err);
/* Borrowed from m. */
void client_machine_to_wire(const struct client_machine *m, Envwarden__Sync__MachineInfo *out);

/* ERR_LIMIT: no room now; ERR_CLOSED; else a field we filled breaks its rule. */
int client_send(struct conn *conn, const Envwarden__Sync__Envelope *envelope, struct err *err);

/* Appends the certificates of an answer one after the other. */
int client_chain(const ProtobufCBinaryData *certs, size_t n, struct buf *out, struct err *err);

/* A peer's words as one line for people, cut to fit; `otherwise` if there are none. */
void client_words(const char *text, const char *otherwise, char *out, size_t cap);

#endif
