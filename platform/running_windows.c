#include "platform/running.h"

int running_since(int64_t pid, int64_t *started_ms, struct err *err)
{
	(void)pid;
	(void)started_ms;
	return err_set(err, ERR_UNSUPPORTED, "processes are not looked at here");
}

int running_each(running_cb cb, void *ctx, struct err *err)
{
	(void)cb;
	(void)ctx;
	return err_set(err, ERR_UNSUPPORTED, "processes are not looked at here");
}
