#include "platform/fd_pass.h"

int fd_pass_send(int channel, int fd, struct err *err)
{
	(void)channel;
	(void)fd;
	return err_set(err, ERR_UNSUPPORTED, "not available on Windows");
}

int fd_pass_receive(int channel, int *fd, struct err *err)
{
	(void)channel;
	(void)fd;
	return err_set(err, ERR_UNSUPPORTED, "not available on Windows");
}
