#include "platform/watch.h"

#include "lib/base/compiler.h"

/* Nobody holds a watcher here, so what takes one is never called. */

int watch_queue_new(int *queue, struct err *err)
{
	(void)queue;
	return err_set(err, ERR_UNSUPPORTED, "no watches on Windows yet, directories are polled");
}

bool watch_queue_is_empty(int queue)
{
	(void)queue;
	return false;
}

void watch_queue_close(int queue)
{
	(void)queue;
}

int watcher_new(const struct watcher_config *config, struct watcher **out, struct err *err)
{
	int queue = config->queue;

	(void)out;
	return watch_queue_new(&queue, err);
}

int watcher_add(struct watcher *w, const char *path, unsigned flags, void *user, int *watch,
		struct err *err)
{
	(void)path;
	(void)flags;
	(void)user;
	(void)watch;
	(void)err;
	CHECK(!w);
	return ERR_UNSUPPORTED;
}

int watcher_add_dir(struct watcher *w, const struct safe_dir *dir, unsigned flags, void *user,
		    int *watch, struct err *err)
{
	(void)dir;
	return watcher_add(w, "", flags, user, watch, err);
}

int watcher_mark(const struct watcher *w, const char *path, unsigned flags, int *watch,
		 struct err *err)
{
	(void)path;
	(void)flags;
	(void)watch;
	(void)err;
	CHECK(!w);
	return ERR_UNSUPPORTED;
}

int watcher_adopt(struct watcher *w, int watch, unsigned flags, void *user, bool *missed)
{
	(void)watch;
	(void)flags;
	(void)user;
	(void)missed;
	CHECK(!w);
	return ERR_UNSUPPORTED;
}

void watcher_discard(struct watcher *w, int watch)
{
	watcher_remove(w, watch, NULL);
}

void watcher_remove(struct watcher *w, int watch, const void *user)
{
	(void)watch;
	(void)user;
	CHECK(!w);
}

int watcher_drain(struct watcher *w, struct err *err)
{
	(void)err;
	CHECK(!w);
	return ERR_UNSUPPORTED;
}

void watcher_stop(struct watcher *w, watcher_stopped_cb stopped, void *owner)
{
	(void)stopped;
	(void)owner;
	CHECK(!w);
}
