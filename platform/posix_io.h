/* What several POSIX files of this folder share: whole reads and writes of a descriptor. */
#ifndef ENVWARDEN_PLATFORM_POSIX_IO_H
#define ENVWARDEN_PLATFORM_POSIX_IO_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Appends what is left to read, size_hint bytes expected; more than max (< SIZE_MAX) is ERR_LIMIT.
 * what: for the message. */
int posix_read_rest(int fd, size_t size_hint, size_t max, struct buf *out, const char *what,
		    struct err *err);

int posix_write_all(int fd, const void *data, size_t n, const char *what, struct err *err);

/* close() without touching errno; -1 is fine */
void posix_close(int fd);

#endif
