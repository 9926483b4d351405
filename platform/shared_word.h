/*
 * A number that one process writes and others read, without either asking the system for it: a
 * page of memory behind a descriptor, handed over when processes start (process.h, fd_pass.h). Its
 * size can't be changed, so that nobody who has it can make another's access fail.
 */
#ifndef ENVWARDEN_PLATFORM_SHARED_WORD_H
#define ENVWARDEN_PLATFORM_SHARED_WORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

/* Behind a new descriptor, closed on exec; 0 so far. ERR_UNSUPPORTED: not on this system. */
int shared_word_new(int *fd, struct err *err);
void shared_word_close(int fd); /* -1 is fine; what is mapped stays */

/* Into this process; to write it, or to read it only. The descriptor is not needed any more then.
 * ERR_INVALID: it is no such descriptor. */
int shared_word_map(int fd, bool writes, _Atomic uint64_t **out, struct err *err);
void shared_word_unmap(const _Atomic uint64_t *word); /* NULL is fine */

#endif
