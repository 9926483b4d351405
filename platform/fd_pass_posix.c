#include "platform/fd_pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lib/base/compiler.h"

/* One byte carries the descriptors: stream sockets pass none beside nothing. */
union control {
	struct cmsghdr header; /* for its alignment, by which there may be room for one more */
	char room[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
};

#define ROOM_FDS ((sizeof(union control) - CMSG_LEN(0)) / sizeof(int))

static void prepare(struct msghdr *message, struct iovec *piece, char *byte, union control *control)
{
	memset(message, 0, sizeof *message);
	memset(control, 0, sizeof *control);
	piece->iov_base = byte;
	piece->iov_len = 1;
	message->msg_iov = piece;
	message->msg_iovlen = 1;
	message->msg_control = control->room;
	message->msg_controllen = sizeof control->room;
}

int fd_pass_send(int channel, const int *fds, size_t n, struct err *err)
{
	struct msghdr message;
	struct iovec piece;
	union control control;
	struct cmsghdr *header;
	char byte = 'f';

	CHECK(n > 0 && n <= FD_PASS_MAX);
	prepare(&message, &piece, &byte, &control);
	message.msg_controllen = CMSG_SPACE(n * sizeof *fds);
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(n * sizeof *fds);
	memcpy(CMSG_DATA(header), fds, n * sizeof *fds);
	if (sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		return 0;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return err_set(err, ERR_BUSY, "pass a descriptor: the channel is full");
	return err_errno(err, errno, "pass a descriptor");
}

/* How many the system has opened for us, whoever sent them and however many: all that had room. */
static size_t take(struct msghdr *message, int fds[ROOM_FDS])
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);
	size_t bytes;

	if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
	    header->cmsg_len < CMSG_LEN(0))
		return 0;
	bytes = header->cmsg_len - CMSG_LEN(0);
	CHECK(bytes <= ROOM_FDS * sizeof *fds);
	memcpy(fds, CMSG_DATA(header), bytes);
	return bytes / sizeof *fds;
}

int fd_pass_receive(int channel, int *fds, size_t max, size_t *n, struct err *err)
{
	struct msghdr message;
	struct iovec piece;
	union control control;
	int taken[ROOM_FDS];
	char byte;
	ssize_t got;
	size_t count;

	prepare(&message, &piece, &byte, &control);
	got = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got == 0)
		return err_set(err, ERR_CLOSED, "the other end is gone");
	if (got < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK
			       ? err_set(err, ERR_BUSY, "no descriptor is there")
			       : err_errno(err, errno, "receive a descriptor");
	count = take(&message, taken);
	if (count == 0)
		return err_set(err, ERR_PROTOCOL, "a message without a descriptor");
	if (count > max || (message.msg_flags & MSG_CTRUNC) != 0) {
		while (count > 0)
			fd_pass_close(taken[--count]);
		return err_set(err, ERR_PROTOCOL, "more descriptors than were asked for");
	}
	memcpy(fds, taken, count * sizeof *fds);
	*n = count;
	return 0;
}
