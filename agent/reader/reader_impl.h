/*
 * What the files of the reader's process share. reader.c makes and ends it, and does what the core
 * and the watches say; reader_told.c passes on what its parts say. Loop thread.
 */
#ifndef ENVWARDEN_AGENT_READER_READER_IMPL_H
#define ENVWARDEN_AGENT_READER_READER_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "agent/reader/entries.h"
#include "agent/reader/exclude.h"
#include "agent/reader/health.h"
#include "agent/reader/lending.h"
#include "agent/reader/lookout.h"
#include "agent/reader/places.h"
#include "agent/reader/runs.h"

struct reader {
	uv_loop_t loop;
	struct link *link;
	struct watcher *watcher;
	int queue; /* for the watcher that the core can see into, WATCH_NONE */
	struct lending lending;
	struct mounts *mounts; /* NULL: not told here, everything counts as local */
	struct lanes *lanes;
	struct accounts *accounts;
	struct recall *recall; /* what the core knows, for the looks */
	struct entries *entries;
	struct places *places;
	uv_timer_t sweep;
	uv_timer_t poll; /* of places on file systems that tell nothing */
	struct health health;
	uint64_t poll_ms;
	bool configured;
	bool scan_done;
	unsigned untaken; /* facts told that the core has not made durable yet */
	struct exclude exclude;
	struct condarc_cache *condarc;
	struct runs runs;	 /* that the core is to be told */
	struct lookout *lookout; /* NULL: running programs are not looked at */
};

extern const struct entries_callbacks reader_entries_callbacks;
extern const struct places_callbacks reader_places_callbacks;

/* --- reader_told.c --- */

void reader_send(void *ctx, const Envwarden__Reader__Envelope *envelope);
void reader_recall(void *ctx, uint64_t id, const char *prefix);	     /* recall.h's */
void reader_seen(void *ctx, const struct discover_program *program); /* lookout.h's */
void reader_looked(void *ctx);					     /* ... */

/* --- reader.c --- */

/* Where events tell everything, nothing wakes us. */
void reader_poll_if_needed(struct reader *r);

#endif
