/*
 * The prefixes the reader keeps an eye on, and the life of each: hint -> dirty -> quiet -> looked
 * at
 * -> settled facts, or look again. Loop thread; the looking happens on a worker.
 *
 *   dirty    something happened, or it is new: will be looked at when due
 *   under way  a worker is looking at it
 *   clean    watched, and nothing has happened since its last facts
 *   away     the file system its facts are from is not mounted: they hold until it is again
 */
#ifndef ENVWARDEN_AGENT_READER_ENTRIES_H
#define ENVWARDEN_AGENT_READER_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "platform/watch.h"

struct uv_loop_s;
struct clock;
struct lanes;
struct last_run;
struct entries;
struct entry;
struct exclude;
struct watch_user;

struct entries_gone {
	const char *prefix;
	uint64_t dev;
	uint64_t ino;
	const struct last_run *last; /* that removed it; NULL unknown */
};

struct entries_callbacks {
	/* Settled facts, packed for the core; the buffer may be taken. */
	void (*facts)(void *ctx, struct buf *frames);
	/* A known environment is not there any more. */
	void (*gone)(void *ctx, const struct entries_gone *gone);
	/* Its file system is not mounted; or (false) it is there again. */
	void (*away)(void *ctx, const char *prefix, bool away);
	/* Make the mount table current: something is not where it was. */
	void (*refresh_mounts)(void *ctx);
	/* A reading somebody asked for is over. */
	void (*read_done)(void *ctx, uint64_t id, int rc, const char *prefix);
	/* It is an environment: look where its neighbours may be. Told once per environment, and
	   when it is back: what it is in may have been away, and is not watched then. */
	void (*environment)(void *ctx, const char *prefix);
	/* Nothing found so far is waiting for its first look any more; may come more than once. */
	void (*caught_up)(void *ctx);
	/* False: the core is behind, look at nothing more until entries_go_on. */
	bool (*may_send)(void *ctx);
};

struct entries_config {
	struct uv_loop_s *loop;
	const struct clock *clock;
	struct lanes *lanes;   /* borrowed; do the looking */
	struct recall *recall; /* borrowed; NULL: every look reads everything */
	int64_t settle_ms;
	int64_t poll_ms;	       /* how often what can't be watched is looked at */
	const struct exclude *exclude; /* borrowed; NULL none */
	const struct entries_callbacks *callbacks;
	void *ctx;
};

int entries_new(const struct entries_config *config, struct entries **out, struct err *err);
/* Nothing is called back any more. stopped(owner) follows, once; work under way is waited for. */
void entries_stop(struct entries *all, void (*stopped)(void *owner), void *owner);

void entries_set_watcher(struct entries *all, struct watcher *watcher);
void entries_set_at_start(struct entries *all, bool at_start); /* marks what is found from now on */
void entries_go_on(struct entries *all);

/* A path that may be an environment, or become one. urgent: somebody waits for it. ERR_NOMEM: also
 * when there are too many already. */
int entries_candidate(struct entries *all, const char *path, bool urgent);

/* Other mounts than before (lanes_table): what is on them is looked at. */
void entries_mounts_changed(struct entries *all);

/* What the core knows of a prefix from before: of the last facts of it, maybe to another reader. */
struct entries_told {
	const unsigned char *volume; /* MOUNT_VOLUME_SIZE bytes, NULL unknown */
	uint64_t dev;		     /* the directory, 0 no environment */
	uint64_t ino;
};

/*
 * Facts of this prefix as soon as it is settled, whatever was sent before; read_done(id) then, with
 * ERR_BUSY when that takes too long or too many wait, ERR_UNREACHABLE when its file system does not
 * answer or is not mounted. ERR_NOTFOUND also means that what was told is gone; if that turns out
 * later, or elsewhere, `gone` tells it. told: NULL nothing.
 */
void entries_read(struct entries *all, const char *path, const struct entries_told *told,
		  uint64_t id);

struct entry *entries_find(const struct entries *all, const char *path);
struct entry *entries_find_inode(const struct entries *all, uint64_t dev, uint64_t ino);

enum entry_state {
	ENTRY_NEW, /* not looked at yet: facts will follow */
	ENTRY_CLEAN,
	ENTRY_DIRTY,  /* quiet, being looked at: facts will follow soon, if anything is new */
	ENTRY_BUSY,   /* in the middle of something */
	ENTRY_PLAIN,  /* no environment so far */
	ENTRY_DENIED, /* may not be read */
	ENTRY_AWAY,   /* not mounted, or its file system does not answer */
};
enum entry_state entry_state(const struct entry *e);
const char *entry_path(const struct entry *e);

/*
 * Leases (agent/lease.h). An entry at rest, that is ENTRY_CLEAN until something happens to it, is
 * lent for as long as the epoch stays the one that is told here; LEASE_NONE: it is not at rest.
 * All leases end together, when one of them is not at rest any more.
 */
uint64_t entry_lend(struct entry *e);
uint64_t entries_epoch(const struct entries *all); /* of the leases that are good now */
void entry_inode(const struct entry *e, uint64_t *dev, uint64_t *ino);

/* What a watch of an entry saw. */
void entries_watched(struct watch_user *user, enum watch_kind kind);
/* Something happened at a path, seen from the folder above. */
void entries_touched(struct entries *all, const char *path);
/* Events were lost, or it is time: look at everything again (what has not changed is not read). */
void entries_sweep(struct entries *all);

/* Everything found so far has been looked at once. */
bool entries_all_looked(const struct entries *all);

struct entries_health {
	size_t environments;
	size_t watched;
	size_t polled;
	bool watches_exhausted;
	size_t away;
	size_t remote;	 /* on file systems that don't tell what others do there */
	int64_t late_ms; /* how long a change on what is polled may go unseen */
	size_t failed;	 /* prefixes whose last look failed, named in the log */
	size_t denied;	 /* prefixes that may not be read */
	bool full;	 /* there is no room for more */
};
/* Paths of prefixes that may not be read, up to max, borrowed until the loop goes on; how many. */
size_t entries_denied(const struct entries *all, char **paths, size_t max);
void entries_health(const struct entries *all, struct entries_health *out);

#endif
