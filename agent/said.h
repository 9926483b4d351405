/*
 * What the status bundle says of this machine: explicit statuses, exceptions granted, labels, the
 * logging switch, what unlock codes are checked with. Immutable once read, in memory of its own.
 *
 * Shared by reference count: references are taken and dropped on the loop thread only; the store's
 * thread may read what its job holds one of.
 */
#ifndef ENVWARDEN_AGENT_SAID_H
#define ENVWARDEN_AGENT_SAID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/policy/policy.h"
#include "lib/policy/unlock.h"
#include "proto/bundle.pb-c.h"
#include "proto/fallback.h"

/* What became of a member's request for an exception. */
struct said_request {
	struct uuid id;
	uint32_t state; /* 1 open, 2 approved, 3 denied */
	const char *message;
	const char *exception; /* approved: its id */
	int64_t until_ms;      /* ... and when that ends */
};

struct said {
	unsigned refs;
	struct arena arena;
	struct status_entry *statuses; /* sorted by environment */
	size_t n_statuses;
	const struct exception *exceptions;
	size_t n_exceptions;
	struct texts_list labels;
	const char *contact;
	enum agent_down when_agent_down;
	bool logging;
	bool has_unlock_key;
	unsigned char unlock_key[UNLOCK_KEY_SIZE];
	const unsigned char *revoked; /* serials of unlock codes, 4 bytes each */
	size_t n_revoked;
	const struct said_request *requests; /* sorted by id */
	size_t n_requests;
};

/* Copies all it needs; one reference is the caller's. ERR_INVALID, ERR_NOMEM. */
int said_read(const Envwarden__Bundle__Status *status, struct said **out, struct err *err);
struct said *said_hold(struct said *said); /* NULL stays NULL */
void said_drop(struct said *said);	   /* NULL is fine */

/* The explicit status of an environment; NULL: none. said NULL: nothing was said yet. */
const struct status_entry *said_status(const struct said *said, const struct uuid *environment);
/* What became of a request; NULL: it is not said. said may be NULL. */
const struct said_request *said_request(const struct said *said, const struct uuid *id);
bool said_revoked(const struct said *said, uint32_t serial);

#endif
