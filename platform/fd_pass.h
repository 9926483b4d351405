/*
 * Handing an open descriptor to another process: how the supervisor gives the core a connection to
 * each new reader (over a socket pair, process.h), and how a member's command proves to the agent
 * that its account can open a directory (over the local socket).
 */
#ifndef ENVWARDEN_PLATFORM_FD_PASS_H
#define ENVWARDEN_PLATFORM_FD_PASS_H

#include <stddef.h>

#include "lib/base/err.h"
#include "platform/safe_open.h"

#define FD_PASS_MAX 3 /* at a time */

/* n (1..FD_PASS_MAX) together. The caller keeps its own copies. ERR_BUSY: the channel is full;
 * ERR_CLOSED. */
int fd_pass_send(int channel, const int *fds, size_t n, struct err *err);

/*
 * What was sent together, 1 to max (<= FD_PASS_MAX) descriptors, closed on exec; does not wait.
 * ERR_BUSY: none is there; ERR_CLOSED: the other end is gone; ERR_PROTOCOL: a message without any,
 * or with more than max, of which none stays open.
 */
int fd_pass_receive(int channel, int *fds, size_t max, size_t *n, struct err *err);

void fd_pass_close(int fd); /* -1 is fine */

/*
 * What a stranger's descriptor proves: that the sender could open this directory for reading. The
 * file system is not asked (it may hang, or be a program of the sender's): the facts are those the
 * system has in memory since it was opened. `path` (cap bytes) is where the system says it is;
 * sizes and times are not told. ERR_INVALID: no directory, not opened for reading, or without a
 * path (deleted, in another mount namespace); ERR_PERM: the file system tells other accounts
 * nothing; ERR_LIMIT: the path is too long.
 */
int fd_pass_inspect(int fd, struct file_info *out, char *path, size_t cap, struct err *err);

#endif
