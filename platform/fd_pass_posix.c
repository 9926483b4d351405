#include "platform/fd_pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* One byte carries the descriptor: stream sockets pass none beside nothing. */
union control {
	struct cmsghdr header; /* for its alignment */
	char room[CMSG_SPACE(sizeof(int))];
};

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

int fd_pass_send(int channel, int fd, struct err *err)
{
	struct msghdr message;
	struct iovec piece;
	union control control;
	struct cmsghdr *header;
	char byte = 'f';

	prepare(&message, &piece, &byte, &control);
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	if (sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		return 0;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return err_set(err, ERR_BUSY, "pass a descriptor: the channel is full");
	return err_errno(err, errno, "pass a descriptor");
}

int fd_pass_receive(int channel, int *fd, struct err *err)
{
	struct msghdr message;
	struct iovec piece;
	union control control;
	struct cmsghdr *header;
	char byte;
	ssize_t got;

	prepare(&message, &piece, &byte, &control);
	got = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got == 0)
		return err_set(err, ERR_CLOSED, "the other end is gone");
	if (got < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK
			       ? err_set(err, ERR_BUSY, "no descriptor is there")
			       : err_errno(err, errno, "receive a descriptor");
	header = CMSG_FIRSTHDR(&message);
	if (header == NULL || header->cmsg_type != SCM_RIGHTS ||
	    header->cmsg_len != CMSG_LEN(sizeof *fd))
		return err_set(err, ERR_PROTOCOL, "a message without a descriptor");
	memcpy(fd, CMSG_DATA(header), sizeof *fd);
	return 0;
}
