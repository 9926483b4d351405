/*
 * What a process gives up for good. The reader parses what members wrote, so a hole in a parser
 * must not become a way out of it.
 */
#ifndef ENVWARDEN_PLATFORM_SANDBOX_H
#define ENVWARDEN_PLATFORM_SANDBOX_H

#include "lib/base/err.h"

/*
 * The reader's sandbox: no network sockets, no starting of programs, no looking into
 * other processes, no kernel doors a reader has no use for (io_uring, bpf, keys ...); where the
 * kernel can (landlock), no writing, making, renaming or removing of files either. Refused calls
 * fail with a permission error, they do not kill. Holds for this thread and all it starts: call it
 * once, before threads start, after everything that must be opened for writing is open.
 *
 * ERR_UNSUPPORTED: not available here (nothing changed, or only the part that is; log it and go
 * on).
 */
int sandbox_reader(struct err *err);

#endif
