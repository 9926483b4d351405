/*
 * What the core is told of how well the reader sees: how much is watched and polled, and what is
 * wrong, in lines of "what\twhy\tremedy". Told when the first scan is over, and then within a
 * second of a change. Loop thread.
 */
#ifndef ENVWARDEN_AGENT_READER_HEALTH_H
#define ENVWARDEN_AGENT_READER_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "agent/reader/entries.h"
#include "proto/reader.pb-c.h"

struct accounts;
struct lanes;
struct places;

/* What it is told of; the pointers are looked at when it is, all are set by then. */
struct health_sources {
	struct entries **entries;
	struct places **places;
	struct lanes **lanes;
	struct accounts **accounts;
	void (*send)(void *ctx, const Envwarden__Reader__Envelope *message);
	void *ctx;
};

struct health {
	struct health_sources from;
	uv_timer_t timer;
	bool on;
	bool no_watcher; /* the system had none left for us */
	bool differs;	 /* something else of it than the entries' has changed */
	/* What the core knows: */
	struct entries_health told;
	size_t cut_told;  /* ... of what bounds left out */
	bool told_silent; /* ... of accounts that are not told */
};

void health_init(struct health *h, uv_loop_t *loop, const struct health_sources *from);
void health_begin(struct health *h); /* the first scan is over */
void health_soon(struct health *h);  /* entries may have changed */
void health_changed(struct health *h);
void health_set_no_watcher(struct health *h, bool none);
void health_stop(struct health *h); /* its handle is closed; nothing is told any more */

#endif
