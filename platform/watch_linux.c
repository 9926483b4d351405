#include "platform/watch.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <uv.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "platform/inotify_events.h"
#include "platform/posix_io.h"
#include "platform/safe_open.h"

/*
 * IN_MODIFY, IN_OPEN and IN_ACCESS are left out: package managers write whole files and close them,
 * and each byte would wake us. IN_CREATE stays for hard links and directories, which nobody closes.
 */
#define EVENTS                                                                                     \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF |   \
	 IN_MOVE_SELF)

/* IN_MASK_ADD: a directory that is watched already keeps what it was watched for. */
#define MANNER (IN_ONLYDIR | IN_EXCL_UNLINK | IN_MASK_ADD)

struct watch_entry {
	int wd;
	unsigned flags;
	void *user;
};

/* Events of watches nobody has adopted yet; the newest ones count, hints may be lost. */
#define ORPHANS 128

struct orphan {
	int wd;
	bool ended;
};

struct watcher {
	uv_poll_t poll;
	int fd;
	watch_cb cb;
	void *ctx;
	struct watch_entry *entries; /* by wd; the kernel hands out rising numbers */
	size_t count;
	size_t cap;
	struct orphan orphans[ORPHANS];
	size_t next_orphan;
	bool delivering;
	bool stopping;
	watcher_stopped_cb stopped;
	void *owner;
	char room[16384];
};

/* --- the table --- */

static size_t position(const struct watcher *w, int wd)
{
	size_t low = 0;
	size_t high = w->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (w->entries[middle].wd < wd)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct watch_entry *find(const struct watcher *w, int wd)
{
	size_t i = position(w, wd);
	return i < w->count && w->entries[i].wd == wd ? &w->entries[i] : NULL;
}

static int make_room(struct watcher *w)
{
	if (w->count < w->cap)
		return 0;
	size_t cap = w->cap ? w->cap * 2 : 64;
	struct watch_entry *bigger = mem_realloc(w->entries, cap * sizeof(*bigger));
	if (!bigger)
		return ERR_NOMEM;
	w->entries = bigger;
	w->cap = cap;
	return 0;
}

static void insert(struct watcher *w, int wd, unsigned flags, void *user)
{
	size_t i = position(w, wd);
	memmove(&w->entries[i + 1], &w->entries[i], (w->count - i) * sizeof(*w->entries));
	w->entries[i] = (struct watch_entry){.wd = wd, .flags = flags, .user = user};
	w->count++;
}

static void forget(struct watcher *w, int wd)
{
	size_t i = position(w, wd);
	if (i == w->count || w->entries[i].wd != wd)
		return;
	w->count--;
	memmove(&w->entries[i], &w->entries[i + 1], (w->count - i) * sizeof(*w->entries));
}

/* --- events --- */

static void deliver(struct watcher *w, const struct inotify_fact *fact)
{
	void *user = NULL;
	if (fact->kind != WATCH_OVERFLOW) {
		const struct watch_entry *entry = find(w, fact->wd);
		if (!entry) { /* not adopted yet, removed meanwhile, or an end already told */
			w->orphans[w->next_orphan++ % ORPHANS] =
				(struct orphan){fact->wd, fact->ended};
			return;
		}
		if (fact->kind == WATCH_DIRTY && !fact->is_folder && fact->name &&
		    (entry->flags & WATCH_FOLDERS))
			return;
		user = entry->user;
	}
	if (fact->kind == WATCH_GONE) {
		forget(w, fact->wd);
		if (!fact->ended)
			(void)inotify_rm_watch(w->fd, fact->wd);
	}
	w->cb(w->ctx, fact->wd, user, fact->kind, fact->name);
}

/* Reads what is queued now and not what arrives meanwhile, so that a busy writer can't hold us. */
int watcher_drain(struct watcher *w, struct err *err)
{
	int queued = 0;
	int rc = 0;
	CHECK(!w->delivering);
	if (w->stopping)
		return 0;
	if (ioctl(w->fd, FIONREAD, &queued) < 0)
		return err_errno(err, errno, "watch queue");
	w->delivering = true;
	while (queued > 0 && !w->stopping) {
		struct inotify_fact fact;
		size_t pos = 0;
		ssize_t n = read(w->fd, w->room, sizeof(w->room));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			rc = err_errno(err, n < 0 ? errno : EIO, "watch queue");
			break;
		}
		queued -= (int)n;
		while (!w->stopping && inotify_next(w->room, (size_t)n, &pos, &fact))
			deliver(w, &fact);
	}
	w->delivering = false;
	return rc;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct watcher *w = poll->data;
	(void)events;
	/* What can't be read is lost, and the callback has a word for that. */
	if ((status < 0 || watcher_drain(w, NULL) < 0) && !w->stopping) {
		(void)uv_poll_stop(poll);
		w->cb(w->ctx, WATCH_NONE, NULL, WATCH_OVERFLOW, NULL);
	}
}

/* --- watches --- */

static int add_error(int e, const char *path, struct err *err)
{
	switch (e) {
	case ENOSPC:
		return err_set(err, ERR_LIMIT, "%s: no watches left (fs.inotify.max_user_watches)",
			       path);
	case ENOTDIR:
	case ELOOP:
		return err_set(err, ERR_INVALID, "%s: not a directory", path);
	default:
		return err_errno(err, e, "watch %s", path);
	}
}

static uint32_t mask_of(unsigned flags)
{
	return EVENTS | MANNER | (flags & WATCH_ATTRIBUTES ? (uint32_t)IN_ATTRIB : 0u);
}

static int add(struct watcher *w, const char *path, unsigned flags, uint32_t manner, void *user,
	       int *watch, struct err *err)
{
	if (make_room(w) < 0)
		return err_nomem(err);
	int wd = inotify_add_watch(w->fd, path, mask_of(flags) | manner);
	if (wd < 0)
		return add_error(errno, path, err);
	*watch = wd;
	if (find(w, wd))
		return err_set(err, ERR_EXISTS, "%s: watched already", path);
	insert(w, wd, flags, user);
	return 0;
}

int watcher_add(struct watcher *w, const char *path, unsigned flags, void *user, int *watch,
		struct err *err)
{
	return add(w, path, flags, IN_DONT_FOLLOW, user, watch, err);
}

int watcher_add_dir(struct watcher *w, const struct safe_dir *dir, unsigned flags, void *user,
		    int *watch, struct err *err)
{
	char path[48]; /* itself a link, to exactly the directory that is open */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", (int)safe_dir_handle(dir));
	return add(w, path, flags, 0, user, watch, err);
}

int watcher_mark(const struct watcher *w, const char *path, unsigned flags, int *watch,
		 struct err *err)
{
	int wd = inotify_add_watch(w->fd, path, mask_of(flags) | IN_DONT_FOLLOW);
	if (wd < 0)
		return add_error(errno, path, err);
	*watch = wd;
	return 0;
}

int watcher_adopt(struct watcher *w, int watch, unsigned flags, void *user, bool *missed)
{
	*missed = false;
	for (size_t i = 0; i < ORPHANS; i++) {
		if (w->orphans[i].wd == watch && w->orphans[i].ended)
			return ERR_NOTFOUND;
		*missed = *missed || w->orphans[i].wd == watch;
	}
	if (find(w, watch))
		return ERR_EXISTS;
	if (make_room(w) < 0)
		return ERR_NOMEM;
	insert(w, watch, flags, user);
	return 0;
}

void watcher_discard(struct watcher *w, int watch)
{
	if (!find(w, watch))
		(void)inotify_rm_watch(w->fd, watch);
}

void watcher_remove(struct watcher *w, int watch)
{
	if (!find(w, watch))
		return;
	forget(w, watch);
	(void)inotify_rm_watch(w->fd, watch);
}

/* --- life --- */

int watcher_new(uv_loop_t *loop, watch_cb cb, void *ctx, struct watcher **out, struct err *err)
{
	int rc;
	struct watcher *w = mem_calloc(1, sizeof(*w));
	if (!w)
		return err_nomem(err);
	w->cb = cb;
	w->ctx = ctx;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		rc = errno == EMFILE ? err_set(err, ERR_LIMIT,
					       "no watchers left (fs.inotify.max_user_instances)")
				     : err_errno(err, errno, "make a watcher");
		goto fail;
	}
	rc = uv_poll_init(loop, &w->poll, w->fd);
	if (rc < 0) {
		err_set(err, rc, "make a watcher: %s", uv_strerror(rc));
		goto fail;
	}
	w->poll.data = w;
	rc = uv_poll_start(&w->poll, UV_READABLE, on_readable);
	if (rc < 0) {
		watcher_stop(w, NULL, NULL);
		return err_set(err, rc, "make a watcher: %s", uv_strerror(rc));
	}
	*out = w;
	return 0;
fail:
	posix_close(w->fd);
	mem_free(w);
	return rc;
}

static void on_closed(uv_handle_t *handle)
{
	struct watcher *w = handle->data;
	watcher_stopped_cb stopped = w->stopped;
	void *owner = w->owner;
	posix_close(w->fd); /* only now: the loop must not watch a number that is another's */
	mem_free(w->entries);
	mem_free(w);
	if (stopped)
		stopped(owner);
}

void watcher_stop(struct watcher *w, watcher_stopped_cb stopped, void *owner)
{
	if (w->stopping)
		return;
	w->stopping = true;
	w->stopped = stopped;
	w->owner = owner;
	uv_close((uv_handle_t *)&w->poll, on_closed);
}
