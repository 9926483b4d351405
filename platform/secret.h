/*
 * Secrets at rest (keys, tokens, tickets): a file that only this account can read. POSIX: mode
 * 0600, checked with its owner whenever it is read. Windows: sealed for this account by the data
 * protection service. Callers wipe what they read (crypto_wipe).
 */
#ifndef ENVWARDEN_PLATFORM_SECRET_H
#define ENVWARDEN_PLATFORM_SECRET_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Replaces the file atomically, as files_atomic_write does. */
int secret_write(const char *path, const void *data, size_t n, struct err *err);

/*
 * Appends the secret to out. ERR_NOTFOUND; ERR_PERM: others could read or own it (the text says
 * what to do); ERR_INVALID: a link or not a regular file; ERR_LIMIT: larger than max.
 */
int secret_read(const char *path, size_t max, struct buf *out, struct err *err);

#endif
