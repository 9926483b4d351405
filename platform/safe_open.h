/*
 * Opening files that somebody else controls. A safe_dir is an open directory; everything beneath it
 * is reached without following a link of any kind, without leaving it ("..", absolute paths, magic
 * links), and without ever blocking on a FIFO or waking a device: only regular files and
 * directories open at all.
 *
 * Relative paths use '/', have no empty, "." or ".." part (ERR_INVALID) and fit SAFE_PATH_MAX.
 *
 * Errors: ERR_NOTFOUND; ERR_PERM (may not be read, or the owner is a stranger); ERR_INVALID (a link
 * on the way, not a regular file); ERR_LIMIT; ERR_IO. Any thread; one object at a time.
 */
#ifndef ENVWARDEN_PLATFORM_SAFE_OPEN_H
#define ENVWARDEN_PLATFORM_SAFE_OPEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define SAFE_PATH_MAX 4096

struct file_info {
	uint64_t dev;
	uint64_t ino;
	uint64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint32_t uid;	/* the owner */
	uint32_t gid;	/* its group; like mode 0 on Windows */
	uint32_t mode;	/* permission bits, 07777 */
	uint32_t links; /* names it has (hard links) */
	bool is_dir;
	bool is_regular;
	bool is_link;
};

/* Whose files may be read: those of this uid and of root. SAFE_OWNER_ANY asks nothing. */
#define SAFE_OWNER_ANY UINT32_MAX

struct safe_dir;

/* Opens a directory by its path; here links are followed, as the shell would. */
int safe_dir_open(const char *path, struct safe_dir **out, struct err *err);
/* Opens a directory beneath another. */
int safe_dir_open_at(const struct safe_dir *dir, const char *relative, struct safe_dir **out,
		     struct err *err);
/*
 * The same, but links on the way are followed as long as they stay beneath `dir`. One that leaves
 * it, and an absolute one counts as such, is ERR_INVALID. Kernels without openat2 follow none.
 */
int safe_dir_open_inside(const struct safe_dir *dir, const char *relative, struct safe_dir **out,
			 struct err *err);
/*
 * Opens a directory by an absolute path that a file beneath `dir` names: without following a link,
 * and without leaving dir's file system on the way, so that nobody can make the caller wait for a
 * server or a program of his choice. dir_path: dir's canonical path. ERR_INVALID: it lies
 * elsewhere, or is no plain path; ERR_UNSUPPORTED: this system can't promise that.
 */
int safe_dir_open_near(const struct safe_dir *dir, const char *dir_path, const char *path,
		       struct safe_dir **out, struct err *err);
void safe_dir_close(struct safe_dir *dir); /* NULL is fine */

int safe_dir_info(const struct safe_dir *dir, struct file_info *out, struct err *err);

/* The canonical path of the open directory, free of links; ERR_NOTFOUND when it was deleted. */
int safe_dir_real_path(const struct safe_dir *dir, char *out, size_t cap, struct err *err);

/* Whether events and honest, quick answers can be expected from the file system a directory is on.
 */
enum fs_class {
	FS_LOCAL,   /* events, quick */
	FS_NETWORK, /* NFS, SMB, Lustre ...: no events from other machines, may hang */
	FS_FUSE,    /* somebody's program answers; may hang, events unlikely */
	FS_UNKNOWN  /* treat as local that may lose events */
};
int safe_dir_fs_class(const struct safe_dir *dir, enum fs_class *out, struct err *err);

/* The system's handle of the directory (a descriptor), for platform/watch; still owned by dir. */
intptr_t safe_dir_handle(const struct safe_dir *dir);

/*
 * Calls back with each entry's name ("." and ".." left out), in no order; names that are not UTF-8
 * come as they are. More than max entries: ERR_LIMIT, after max calls. A callback that returns
 * non-zero ends the walk, and that is the result. May be called again on the same directory.
 */
typedef int (*safe_dir_cb)(void *ctx, const char *name);
int safe_dir_list(const struct safe_dir *dir, size_t max, safe_dir_cb cb, void *ctx,
		  struct err *err);

/* What lies at relative; a link as the last part is described, not followed. */
int safe_stat(const struct safe_dir *dir, const char *relative, struct file_info *out,
	      struct err *err);

/*
 * Whether what lies at relative (no link is followed; NULL: dir itself) has an access list (POSIX)
 * beside its mode. One that gives others a right to write shows in the mode as a group's. False
 * where that can't be told.
 */
bool safe_has_acl(const struct safe_dir *dir, const char *relative);

/* An open regular file; plain data, made by safe_file_open. */
struct safe_file {
	intptr_t handle;
};
#define SAFE_FILE_NONE ((struct safe_file){.handle = -1})

/* info may be NULL; it describes the file that was opened. */
int safe_file_open(const struct safe_dir *dir, const char *relative, uint32_t owner,
		   struct safe_file *out, struct file_info *info, struct err *err);
/* Reads up to cap bytes from where it stands; *n == 0 is the end. */
int safe_file_read(struct safe_file *file, void *data, size_t cap, size_t *n, struct err *err);
void safe_file_close(struct safe_file *file); /* SAFE_FILE_NONE is fine */

/*
 * Appends a whole file to out; ERR_LIMIT when it is larger than max (or grows past it). out's own
 * maximum must leave room for max + 1 bytes.
 */
int safe_read_whole(const struct safe_dir *dir, const char *relative, uint32_t owner, size_t max,
		    struct buf *out, struct file_info *info, struct err *err);

#endif
