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

/* One user of one watch. */
struct watch_entry {
	int wd;
	unsigned flags;
	void *user;
};

/*
 * Watches nobody has adopted yet, or any more, that something was told of: whoever adopts one has
 * missed that. A number is not used again, so each is here once, however much is told; a move of a
 * folder of environments ends two watches of each. The newest ones count.
 */
#define ORPHANS 4096

struct orphan {
	int wd;
	bool ended;
};

struct watcher {
	uv_poll_t poll;
	int fd;
	watch_cb cb;
	void (*reading)(void *ctx);
	void *ctx;
	struct watch_entry *entries; /* by wd (the kernel's numbers rise), then by user */
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

/* Of the first row of this watch whose user is not below that address. */
static size_t position(const struct watcher *w, int wd, uintptr_t user)
{
	size_t low = 0;
	size_t high = w->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct watch_entry *row = &w->entries[middle];
		if (row->wd < wd || (row->wd == wd && (uintptr_t)row->user < user))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct watch_entry *find_from(const struct watcher *w, int wd, uintptr_t user)
{
	size_t i = position(w, wd, user);
	return i < w->count && w->entries[i].wd == wd ? &w->entries[i] : NULL;
}

static bool is_used(const struct watcher *w, int wd)
{
	return find_from(w, wd, 0) != NULL;
}

static bool is_used_by(const struct watcher *w, int wd, const void *user)
{
	const struct watch_entry *row = find_from(w, wd, (uintptr_t)user);
	return row && row->user == user;
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
	size_t i = position(w, wd, (uintptr_t)user);
	memmove(&w->entries[i + 1], &w->entries[i], (w->count - i) * sizeof(*w->entries));
	w->entries[i] = (struct watch_entry){.wd = wd, .flags = flags, .user = user};
	w->count++;
}

static void forget(struct watcher *w, int wd, const void *user)
{
	size_t i = position(w, wd, (uintptr_t)user);
	w->count--;
	memmove(&w->entries[i], &w->entries[i + 1], (w->count - i) * sizeof(*w->entries));
}

/* --- events --- */

/* To all users; each may add and remove watches, its own too. */
static void tell_users(struct watcher *w, const struct inotify_fact *fact)
{
	bool file = fact->kind == WATCH_DIRTY && !fact->is_folder && fact->name;
	const struct watch_entry *row;
	uintptr_t next = 0;
	while (!w->stopping && (row = find_from(w, fact->wd, next)) != NULL) {
		void *user = row->user;
		bool unwanted = file && (row->flags & WATCH_FOLDERS);
		next = (uintptr_t)user + 1;
		if (fact->kind == WATCH_GONE)
			forget(w, fact->wd, user);
		if (!unwanted)
			w->cb(w->ctx, fact->wd, user, fact->kind, fact->name);
	}
}

static void note_orphan(struct watcher *w, const struct inotify_fact *fact)
{
	size_t n = w->next_orphan < ORPHANS ? w->next_orphan : ORPHANS;
	for (size_t i = 0; i < n; i++) {
		if (w->orphans[i].wd == fact->wd) {
			w->orphans[i].ended |= fact->kind == WATCH_GONE;
			return;
		}
	}
	w->orphans[w->next_orphan++ % ORPHANS] =
		(struct orphan){fact->wd, fact->kind == WATCH_GONE};
}

static void deliver(struct watcher *w, const struct inotify_fact *fact)
{
	if (fact->kind == WATCH_OVERFLOW) {
		w->cb(w->ctx, fact->wd, NULL, fact->kind, fact->name);
		return;
	}
	if (!is_used(w,
		     fact->wd)) { /* not adopted yet, removed meanwhile, or an end already told */
		note_orphan(w, fact);
		return;
	}
	if (fact->kind == WATCH_GONE && !fact->ended)
		(void)inotify_rm_watch(w->fd, fact->wd);
	tell_users(w, fact);
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
	if (queued > 0 && w->reading != NULL)
		w->reading(w->ctx);
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
	if (is_used_by(w, wd, user))
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
		if (w->orphans[i].wd == watch && w->orphans[i].ended) {
			(void)inotify_rm_watch(w->fd, watch); /* of one that moved */
			*missed = true;
			return ERR_NOTFOUND;
		}
		*missed = *missed || w->orphans[i].wd == watch;
	}
	if (is_used_by(w, watch, user))
		return ERR_EXISTS;
	*missed = *missed || is_used(w, watch); /* the others were told; nobody knows of what */
	if (make_room(w) < 0)
		return ERR_NOMEM;
	insert(w, watch, flags, user);
	return 0;
}

void watcher_discard(struct watcher *w, int watch)
{
	if (!is_used(w, watch))
		(void)inotify_rm_watch(w->fd, watch);
}

void watcher_remove(struct watcher *w, int watch, const void *user)
{
	if (!is_used_by(w, watch, user))
		return;
	forget(w, watch, user);
	if (!is_used(w, watch))
		(void)inotify_rm_watch(w->fd, watch);
}

/* --- life --- */

int watch_queue_new(int *queue, struct err *err)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd >= 0) {
		*queue = fd;
		return 0;
	}
	return errno == EMFILE
		       ? err_set(err, ERR_LIMIT, "no watchers left (fs.inotify.max_user_instances)")
		       : err_errno(err, errno, "make a watcher");
}

bool watch_queue_is_empty(int queue)
{
	int queued = 0;
	return ioctl(queue, FIONREAD, &queued) == 0 && queued == 0;
}

void watch_queue_close(int queue)
{
	posix_close(queue);
}

int watcher_new(const struct watcher_config *config, struct watcher **out, struct err *err)
{
	int rc;
	struct watcher *w = mem_calloc(1, sizeof(*w));
	if (!w) {
		watch_queue_close(config->queue);
		return err_nomem(err);
	}
	w->cb = config->cb;
	w->reading = config->reading;
	w->ctx = config->ctx;
	w->fd = config->queue;
	rc = w->fd == WATCH_NONE ? watch_queue_new(&w->fd, err) : 0;
	if (rc < 0)
		goto fail;
	rc = uv_poll_init(config->loop, &w->poll, w->fd);
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
