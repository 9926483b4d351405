/*
 * The folders where environments may turn up: homes, registries, folders of environments,
 * configured roots. Each is scanned in a lane (lanes.h) and watched, so that what comes later is
 * found as well. Loop thread.
 */
#ifndef ENVWARDEN_AGENT_READER_PLACES_H
#define ENVWARDEN_AGENT_READER_PLACES_H

#include <stdbool.h>

#include "agent/reader/discover.h"
#include "lib/base/err.h"
#include "platform/watch.h"

struct places;
struct watch_user;
struct watcher;
struct lanes;

struct places_callbacks {
	void (*candidate)(void *ctx, const char *path); /* may be an environment */
	void (*touched)(void *ctx,
			const char *path); /* something happened to it, seen from above */
	void (*caught_up)(void *ctx);	   /* no scan that will end is under way any more */
};

int places_new(struct lanes *lanes, const struct places_callbacks *callbacks, void *ctx,
	       struct places **out, struct err *err);
void places_stop(struct places *all, void (*stopped)(void *owner), void *owner);

void places_set_watcher(struct places *all, struct watcher *watcher);

/* Scans and watches it from now on; nothing if it is known already. ERR_NOMEM. */
int places_add(struct places *all, enum place_kind kind, const char *path);
int places_add_system(struct places *all);

bool places_scanning(const struct places *all);

/* What a watch of a place saw. */
void places_watched(struct watch_user *user, enum watch_kind kind, const char *name);
void places_sweep(struct places *all);	      /* scan all of them again */
bool places_polled(const struct places *all); /* whether there are such */
void places_poll(struct places *all);	      /* ... those on file systems that tell nothing */
/* Other mounts than before: scan what is on them. */
void places_mounts_changed(struct places *all);

#endif
