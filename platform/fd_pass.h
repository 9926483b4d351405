/*
 * Handing an open descriptor to another process over a socket pair (process.h): how the supervisor
 * gives the core a connection to each new reader.
 */
#ifndef ENVWARDEN_PLATFORM_FD_PASS_H
#define ENVWARDEN_PLATFORM_FD_PASS_H

#include "lib/base/err.h"

/* The caller keeps its own copy. ERR_BUSY: the channel is full; ERR_CLOSED. */
int fd_pass_send(int channel, int fd, struct err *err);

/* One descriptor, closed on exec; does not wait: ERR_BUSY: none is there; ERR_CLOSED: the other end
 * is gone. */
int fd_pass_receive(int channel, int *fd, struct err *err);

#endif
