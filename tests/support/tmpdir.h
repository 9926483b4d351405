/* A directory of a test's own, with everything below it removed afterwards. Failures end the test.
 */
#ifndef ENVWARDEN_TESTS_SUPPORT_TMPDIR_H
#define ENVWARDEN_TESTS_SUPPORT_TMPDIR_H

#include <stddef.h>

#define TMPDIR_PATH_MAX 512

struct tmpdir {
	char path[TMPDIR_PATH_MAX]; /* absolute, without symbolic links */
};

void tmpdir_make(struct tmpdir *dir); /* below $TMPDIR, else /tmp */
/* Also of a zeroed struct. Never follows a symbolic link; opens directories made unreadable. */
void tmpdir_remove(struct tmpdir *dir);

/* "<dir>/<name>" into out. */
void tmpdir_path(const struct tmpdir *dir, const char *name, char out[TMPDIR_PATH_MAX]);

/* Writes a file, making the directories on the way. */
void tmpdir_write(const struct tmpdir *dir, const char *name, const void *data, size_t n);
void tmpdir_write_text(const struct tmpdir *dir, const char *name, const char *text);
void tmpdir_mkdir(const struct tmpdir *dir, const char *name); /* with those on the way */

#endif
