/*
 * The folders where environments may turn up: homes, registries, folders of environments,
 * configured roots. Each is scanned in a lane (lanes.h) and watched, so that what comes later is
 * found as well. Loop thread.
 */
#ifndef ENVWARDEN_AGENT_READER_PLACES_H
#define ENVWARDEN_AGENT_READER_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/reader/discover.h"
#include "lib/base/err.h"
#include "platform/watch.h"

struct clock;
struct condarc_cache;
struct exclude;
struct places;
struct watch_user;
struct watcher;
struct lanes;
struct accounts;

struct places_callbacks {
	void (*candidate)(void *ctx, const char *path); /* may be an environment */
	void (*touched)(void *ctx,
			const char *path); /* something happened to it, seen from above */
	void (*runs)(void *ctx, const struct discover_program *program); /* runs in a prefix */
	void (*caught_up)(void *ctx); /* no scan that will end is under way any more */
};

struct places_config {
	struct lanes *lanes; /* borrowed; do the scanning */
	const struct clock *clock;
	const struct exclude *exclude; /* borrowed; NULL none */
	struct condarc_cache *condarc; /* borrowed */
	bool running;		       /* look at running programs */
	struct accounts *accounts;     /* borrowed */
	bool all_accounts;	       /* every account's homes, not only those added */
	const struct places_callbacks *callbacks;
	void *ctx;
};

int places_new(const struct places_config *config, struct places **out, struct err *err);
void places_stop(struct places *all, void (*stopped)(void *owner), void *owner);

void places_set_watcher(struct places *all, struct watcher *watcher);

/* Scans and watches it from now on; nothing if it is known already. ERR_NOMEM. */
int places_add(struct places *all, enum place_kind kind, const char *path);
int places_add_system(struct places *all);

/* Somebody turned up, who may be of a directory that lists nobody: his home is a place from now
 * on. Nothing when only given homes count, and for one known already. */
void places_add_account(struct places *all, uint32_t uid);
void places_accounts_changed(struct places *all); /* answers came: those that were missed */

/* How often a bound left something out: in the last scan of each place, and of places. */
size_t places_cut(const struct places *all);

bool places_scanning(const struct places *all);

/* What a watch of a place saw. */
void places_watched(struct watch_user *user, enum watch_kind kind, const char *name);
void places_sweep(struct places *all);	      /* scan all of them again */
bool places_polled(const struct places *all); /* whether there are such */
void places_poll(struct places *all);	      /* ... those on file systems that tell nothing */
/* Other mounts than before: scan what is on them. */
void places_mounts_changed(struct places *all);

#endif
