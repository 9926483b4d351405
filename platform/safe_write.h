/*
 * Changing files in a directory that somebody else controls, through an open safe_dir: each
 * function takes one plain name in it (else ERR_INVALID), follows no link, and touches nothing
 * outside. Whoever may write to the directory can still undo all of it. Any thread.
 */
#ifndef ENVWARDEN_PLATFORM_SAFE_WRITE_H
#define ENVWARDEN_PLATFORM_SAFE_WRITE_H

#include <stddef.h>

#include "lib/base/err.h"
#include "platform/safe_open.h"

/*
 * Replaces (or makes) a file as a whole: after success it survives a power cut; after failure the
 * old one is untouched and no stray file is left. A link of that name is replaced, not followed.
 * mode as in 0644, whatever the umask. ERR_FULL: no space; ERR_EXISTS: a directory is there.
 */
int safe_write_file(const struct safe_dir *dir, const char *name, const void *data, size_t n,
		    unsigned mode, struct err *err);

/* Gives what is called `from`, whatever it is, the name `to`; a file or link of that name goes.
 * ERR_NOTFOUND: there is none; ERR_EXISTS: a directory is in the way. */
int safe_write_rename(const struct safe_dir *dir, const char *from, const char *to,
		      struct err *err);

/* Makes a directory; fine if there is one. mode as in 0755, whatever the umask. ERR_EXISTS:
 * something else is there. */
int safe_write_dir(const struct safe_dir *dir, const char *name, unsigned mode, struct err *err);

/* Removes a file or link; fine if there is none. */
int safe_write_remove(const struct safe_dir *dir, const char *name, struct err *err);

/* Removes a directory; fine if there is none, or if something is in it. */
int safe_write_remove_dir(const struct safe_dir *dir, const char *name, struct err *err);

#endif
