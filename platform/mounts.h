/*
 * The mount table of this process, kept current: read at the start and when the kernel says that it
 * has changed. Nothing mounted is touched. Loop thread.
 */
#ifndef ENVWARDEN_PLATFORM_MOUNTS_H
#define ENVWARDEN_PLATFORM_MOUNTS_H

#include "lib/base/err.h"
#include "platform/mount_table.h"

struct uv_loop_s;
struct mounts;

/* The table has changed: mounts_table() is another one. From the loop, or within mounts_refresh. */
typedef void (*mounts_cb)(void *ctx);

/* ERR_UNSUPPORTED: this system does not tell. */
int mounts_new(struct uv_loop_s *loop, mounts_cb cb, void *ctx, struct mounts **out,
	       struct err *err);

/* Until the next change; to keep it, count it. */
struct mount_table *mounts_table(const struct mounts *mounts);

/* Reads it now, for whom the kernel's word may come too late. What can't be read stays as it was.
 */
void mounts_refresh(struct mounts *mounts);
/* The same, if it has changed; cheap if not. What was mounted before this call is in the table. */
void mounts_drain(struct mounts *mounts);

/*
 * Whether anything was mounted, moved or unmounted since it was asked last (or opened), without
 * reading what. -1: not told here.
 */
int mounts_notice_open(void);
bool mounts_noticed(int notice); /* true when that can't be told */
void mounts_notice_close(int notice);

/* stopped(owner), if given, follows, once, when nothing of it is left. */
typedef void (*mounts_stopped_cb)(void *owner);
void mounts_stop(struct mounts *mounts, mounts_stopped_cb stopped, void *owner);

#endif
