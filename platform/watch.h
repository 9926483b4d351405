/*
 * Directory watches on a uv loop. A watcher holds many watches; a watch is one directory, not its
 * subdirectories, and may have several users, each told by itself and as it asked to be. One
 * callback tells what happened:
 *   WATCH_DIRTY     something in the directory came, went, was renamed or was written and closed
 *   WATCH_GONE      the directory itself was deleted, moved or unmounted; the watch has ended
 *   WATCH_OVERFLOW  events were lost; anything may have changed (watch = WATCH_NONE, user = NULL)
 * Events are hints: repeated, merged, late; the disk is the truth. Nothing is told when a directory
 * further up is moved, and WATCH_GONE for a deleted one waits until nobody holds it open any more
 * (not even as a safe_dir); the watch of its parent tells both.
 *
 * All calls on the loop's thread, but for watcher_mark. The callback may add and remove watches and
 * stop the watcher, not drain it.
 */
#ifndef ENVWARDEN_PLATFORM_WATCH_H
#define ENVWARDEN_PLATFORM_WATCH_H

#include <stdbool.h>

#include "lib/base/err.h"

struct uv_loop_s;
struct safe_dir;
struct watcher;

enum watch_kind {
	WATCH_DIRTY,
	WATCH_GONE,
	WATCH_OVERFLOW
};

#define WATCH_NONE (-1)

/* Also owner, mode and time changes of entries (many wake-ups: chmod, touch, hard links elsewhere).
 */
#define WATCH_ATTRIBUTES 1u
/* Files that come, go or are written may be left out: what matters is the folders. A hint. */
#define WATCH_FOLDERS 2u

/* name: the entry that changed, or NULL when unknown or about the directory itself; hostile bytes.
 */
typedef void (*watch_cb)(void *ctx, int watch, void *user, enum watch_kind kind, const char *name);

/*
 * Where events wait until a watcher tells them. It may be made, and handed over, before there is
 * the watcher, so that another process can see whether anything waits. ERR_UNSUPPORTED: this system
 * has no watches, or none of that kind; ERR_LIMIT: no more watchers.
 */
int watch_queue_new(int *queue, struct err *err);
bool watch_queue_is_empty(int queue); /* from any process; false when that can't be told */
void watch_queue_close(int queue);    /* WATCH_NONE is fine */

struct watcher_config {
	struct uv_loop_s *loop;
	int queue; /* to be taken over, on failure too; WATCH_NONE: one of its own */
	watch_cb cb;
	void (*reading)(void *ctx); /* comes before the queue is read; NULL: nobody cares */
	void *ctx;
};

/* ERR_UNSUPPORTED: this system has no watches (poll instead). ERR_LIMIT: no more watchers. */
int watcher_new(const struct watcher_config *config, struct watcher **out, struct err *err);

/*
 * Watches a directory, by path (whose last part must not be a link) or through an open one. *watch
 * is > 0 and not used again soon. ERR_LIMIT: the system or the user has no watches left;
 * ERR_EXISTS: this user watches this directory (same inode) already, *watch is that watch;
 * ERR_NOTFOUND; ERR_INVALID: not a directory; ERR_PERM.
 */
int watcher_add(struct watcher *w, const char *path, unsigned flags, void *user, int *watch,
		struct err *err);
int watcher_add_dir(struct watcher *w, const struct safe_dir *dir, unsigned flags, void *user,
		    int *watch, struct err *err);

/*
 * The same in two steps, for paths that may hang: watcher_mark on any thread, then watcher_adopt
 * (or watcher_discard) on the loop's. What happens between the two is not told; *missed says
 * whether anything may have. watcher_mark: errors as watcher_add, but for ERR_EXISTS; the watcher
 * must not have been stopped. watcher_adopt: ERR_EXISTS: this user watches the directory already;
 * ERR_NOTFOUND: the watch has ended meanwhile; ERR_NOMEM.
 */
int watcher_mark(const struct watcher *w, const char *path, unsigned flags, int *watch,
		 struct err *err);
int watcher_adopt(struct watcher *w, int watch, unsigned flags, void *user, bool *missed);
void watcher_discard(struct watcher *w, int watch); /* one that was not adopted */

/* Ends a watch for this user; nothing more of it is told to it. Fine for one that has ended or
 * never was. */
void watcher_remove(struct watcher *w, int watch, const void *user);

/* Delivers, before it returns, whatever happened before the call. ERR_IO when it can't be told. */
int watcher_drain(struct watcher *w, struct err *err);

/* Ends all watches; stopped(owner) is called once, later, after which nothing of the watcher is
 * left. stopped may be NULL. Idempotent; NULL is not fine. */
typedef void (*watcher_stopped_cb)(void *owner);
void watcher_stop(struct watcher *w, watcher_stopped_cb stopped, void *owner);

#endif
