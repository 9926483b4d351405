/*
 * What left this machine, for the members to see: the newest messages to the org server in a ring
 * of settings in the store, secrets left out. Pings, which say nothing, are not kept.
 */
#ifndef ENVWARDEN_AGENT_SENT_H
#define ENVWARDEN_AGENT_SENT_H

#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "proto/sync.pb-c.h"

#define SENT_KEPT 128	       /* messages */
#define SENT_CONTENT_MAX 16384 /* bytes of JSON; longer ones are named by what they hold */

struct engine;
struct store;

struct sent_message {
	uint64_t number; /* counts up */
	int64_t time_ms;
	uint64_t size; /* bytes on the wire, TLS aside */
	const char *kind;
	const char *content; /* JSON; "" = too big to be kept */
};

/* Loop thread: a message went out; payload is its bytes, packed. */
void sent_note(struct engine *e, const void *payload, size_t n);

/* Once, before the store has a thread: goes on counting where the last process stopped. */
void sent_start(struct engine *e);

/* Store's thread: what stands in a slot below SENT_KEPT, in no order; strings in arena.
 * ERR_NOTFOUND. */
int sent_read(struct store *store, unsigned slot, struct arena *arena, struct sent_message *out);

/* A message as JSON, in the names of its schema; fields that say nothing, and secrets, left out. */
void sent_describe(const ProtobufCMessage *message, struct buf *out);

#endif
