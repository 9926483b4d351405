#include "platform/mounts.h"

#include "lib/base/compiler.h"

/* Network drives are told apart when they are opened; nothing lists them ahead. */

int mounts_new(struct uv_loop_s *loop, mounts_cb cb, void *ctx, struct mounts **out,
	       struct err *err)
{
	(void)loop;
	(void)cb;
	(void)ctx;
	(void)out;
	return err_set(err, ERR_UNSUPPORTED, "no mount table on this system");
}

struct mount_table *mounts_table(const struct mounts *mounts)
{
	(void)mounts;
	return NULL;
}

void mounts_refresh(struct mounts *mounts)
{
	(void)mounts;
}

void mounts_drain(struct mounts *mounts)
{
	(void)mounts;
}

int mounts_notice_open(void)
{
	return -1;
}

bool mounts_noticed(int notice)
{
	(void)notice;
	return true;
}

void mounts_notice_close(int notice)
{
	(void)notice;
}

void mounts_stop(struct mounts *mounts, mounts_stopped_cb stopped, void *owner)
{
	(void)mounts;
	(void)stopped;
	(void)owner;
}
