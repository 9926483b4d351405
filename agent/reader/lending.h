/*
 * The lender of leases (agent/lease.h) on the reader's loop: awake from when the loop stops waiting
 * until it waits again, so that whatever was done in between is in the epoch it rests with.
 */
#ifndef ENVWARDEN_AGENT_READER_LENDING_H
#define ENVWARDEN_AGENT_READER_LENDING_H

#include <uv.h>

#include "agent/lease.h"

struct entries;

struct lending {
	struct lease_lender lender;
	uv_check_t wake;
	uv_prepare_t rest;
	struct entries **entries; /* NULL inside: there are none yet, or any more */
};

/* The descriptor stays the caller's; -1: nothing is ever lent. */
void lending_start(struct lending *lending, uv_loop_t *loop, int word, struct entries **entries);
void lending_wake(struct lending *lending); /* something is about to be taken out of the queue */
void lending_stop(struct lending *lending); /* for good; idempotent */

#endif
