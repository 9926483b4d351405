#include "platform/running.h"

int running_each(running_cb cb, void *ctx, struct err *err)
{
	(void)cb;
	(void)ctx;
	return err_set(err, ERR_UNSUPPORTED, "processes are not looked at here");
}
