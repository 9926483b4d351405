#include "platform/watch.h"

#include "lib/base/compiler.h"

/* Nobody holds a watcher here, so what takes one is never called. */

int watcher_new(struct uv_loop_s *loop, watch_cb cb, void *ctx, struct watcher **out,
		struct err *err)
{
	(void)loop;
	(void)cb;
	(void)ctx;
	(void)out;
	return err_set(err, ERR_UNSUPPORTED, "no watches on Windows yet, directories are polled");
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
