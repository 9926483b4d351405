#include "platform/local_socket.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/posix_io.h"

/* Milliseconds left, at least 0, as poll() takes them. */
static int left_ms(int64_t deadline_ms)
{
	const struct clock *clock = clock_system();
	int64_t left = deadline_ms - clock->mono_ms(clock);
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

static int wait_for(int fd, short events, int64_t deadline_ms, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = events};
	for (;;) {
		int left = left_ms(deadline_ms);
		int n = poll(&p, 1, left);
		if (n > 0)
			return 0; /* also on POLLERR and POLLHUP: the next call tells what it is */
		if (n == 0)
			return err_set(err, ERR_TIMEOUT, "the agent did not answer in time");
		if (errno != EINTR)
			return err_errno(err, errno, "wait for the agent");
	}
}

static int connect_error(const char *path, int e, struct err *err)
{
	switch (e) {
	case ENOENT:
	case ENOTDIR:
		return err_set(err, ERR_NOTFOUND, "%s: no such socket, the agent is not running",
			       path);
	case ECONNREFUSED:
		return err_set(err, ERR_UNREACHABLE, "%s: the agent is not running", path);
	case EACCES:
	case EPERM:
		return err_set(err, ERR_PERM, "%s: not permitted to connect", path);
	case EPROTOTYPE:
	case ENOTSOCK:
		return err_set(err, ERR_UNREACHABLE, "%s: not an agent's socket", path);
	default:
		return err_errno(err, e, "connect to %s", path);
	}
}

/* A unix socket either connects at once or says EAGAIN (the queue of the listener is full), and
 * there is nothing to poll for: try again soon. */
static int connect_until(int fd, const struct sockaddr_un *address, int64_t deadline_ms,
			 struct err *err)
{
	static const struct timespec pause = {.tv_nsec = 1000000};
	while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EISCONN)
			break;
		if (errno != EAGAIN)
			return connect_error(address->sun_path, errno, err);
		if (left_ms(deadline_ms) == 0)
			return err_set(err, ERR_TIMEOUT, "%s: the agent is too busy to answer",
				       address->sun_path);
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int local_client_open(const char *path, int64_t deadline_ms, struct local_client *out,
		      struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof(address.sun_path))
		return err_set(err, ERR_LIMIT, "%s: a socket's path has 1 to %zu bytes, not %zu",
			       path, sizeof(address.sun_path) - 1, n);
	memcpy(address.sun_path, path, n + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, errno, "make a socket");
	int rc = connect_until(fd, &address, deadline_ms, err);
	if (rc < 0)
		posix_close(fd);
	else
		out->handle = fd;
	return rc;
}

int local_client_send(struct local_client *client, const void *data, size_t n, int64_t deadline_ms,
		      struct err *err)
{
	const char *p = data;
	int fd = (int)client->handle;
	while (n > 0) {
		int rc = 0;
		ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
		if (put >= 0) {
			p += put;
			n -= (size_t)put;
		} else if (errno == EAGAIN) {
			rc = wait_for(fd, POLLOUT, deadline_ms, err);
		} else if (errno == EPIPE || errno == ECONNRESET) {
			rc = err_set(err, ERR_CLOSED, "the agent closed the connection");
		} else if (errno != EINTR) {
			rc = err_errno(err, errno, "send to the agent");
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

int local_client_recv(struct local_client *client, void *data, size_t cap, int64_t deadline_ms,
		      size_t *n, struct err *err)
{
	int fd = (int)client->handle;
	for (;;) {
		int rc = wait_for(fd, POLLIN, deadline_ms, err);
		if (rc < 0)
			return rc;
		ssize_t got = recv(fd, data, cap, 0);
		if (got > 0) {
			*n = (size_t)got;
			return 0;
		}
		if (got == 0 || errno == ECONNRESET)
			return err_set(err, ERR_CLOSED, "the agent closed the connection");
		if (errno != EINTR && errno != EAGAIN)
			return err_errno(err, errno, "receive from the agent");
	}
}

void local_client_close(struct local_client *client)
{
	posix_close((int)client->handle);
	*client = LOCAL_CLIENT_NONE;
}
