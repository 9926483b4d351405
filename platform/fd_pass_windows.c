#include "platform/fd_pass.h"

int fd_pass_send(int channel, const int *fds, size_t n, struct err *err)
{
	(void)channel;
	(void)fds;
	(void)n;
	return err_set(err, ERR_UNSUPPORTED, "not available on Windows");
}

void fd_pass_close(int fd)
{
	(void)fd;
}

int fd_pass_inspect(int fd, struct file_info *out, char *path, size_t cap, struct err *err)
{
	(void)fd;
	(void)out;
	(void)path;
	(void)cap;
	return err_set(err, ERR_UNSUPPORTED, "not available on Windows");
}

int fd_pass_receive(int channel, int *fds, size_t max, size_t *n, struct err *err)
{
	(void)channel;
	(void)fds;
	(void)max;
	(void)n;
	return err_set(err, ERR_UNSUPPORTED, "not available on Windows");
}
