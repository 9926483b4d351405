/*
 * Our own files: state, config, what others read from us. Paths are trusted (from config or made by
 * us); for files members control see safe_open.h. Blocking: not on the loop thread of a busy
 * process.
 */
#ifndef ENVWARDEN_PLATFORM_FILES_H
#define ENVWARDEN_PLATFORM_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/*
 * Replaces (or makes) a file as a whole: after success the new contents survive a power cut; after
 * failure the old ones are untouched and no stray file is left. mode as in 0644, whatever the
 * umask; ignored on Windows, where the directory's rights are inherited. ERR_FULL: no space.
 */
int files_atomic_write(const char *path, const void *data, size_t n, unsigned mode,
		       struct err *err);

/*
 * Moves a file within its file system, in place of what is there. Of one that was written durably,
 * the new name survives a power cut. ERR_NOTFOUND.
 */
int files_rename(const char *from, const char *to, struct err *err);

/* Appends a whole regular file (links followed) to out; ERR_NOTFOUND, ERR_INVALID (not a file),
 * ERR_LIMIT when larger than max. out's own maximum must leave room for max + 1 bytes. */
int files_read_whole(const char *path, size_t max, struct buf *out, struct err *err);

/* Makes a directory and its missing parents (0755 for parents). Fine if it is there already. */
int files_mkdir(const char *path, unsigned mode, struct err *err);

/*
 * The same for a directory of our own (made 0700; missing parents 0755). One that exists must be a
 * directory, not a link, belong to this account and be writable for nobody else, else ERR_PERM with
 * a text that says which. Others may have been given the right to pass through (0711: a state
 * directory with something public in it). On Windows the check is left to the directory's ACL.
 */
int files_mkdir_private(const char *path, struct err *err);

/* Whether something is there (links followed). */
bool files_exists(const char *path);

/* Whether it is a file that this process may write to; nothing is written. */
bool files_may_write(const char *path);

/* Removes a file; fine if there is none. */
int files_remove(const char *path, struct err *err);

/*
 * A lock held until freed or until the process ends, however it ends. The file stays and holds the
 * holder's process id as text, if there was space for it. ERR_BUSY: "already running (pid N)".
 */
struct files_lock;
int files_lock_take(const char *path, struct files_lock **out, struct err *err);
void files_lock_free(struct files_lock *lock); /* NULL is fine */

#endif
