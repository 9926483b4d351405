#include "tests/support/tmpdir.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define OPEN_DIRECTORIES_MAX 32

void tmpdir_make(struct tmpdir *dir)
{
	const char *base = getenv("TMPDIR");
	char made[TMPDIR_PATH_MAX], *real;

	snprintf(made, sizeof(made), "%s/envwarden-test-XXXXXX", base && *base ? base : "/tmp");
	assert_non_null(mkdtemp(made));
	real = realpath(made, NULL);
	assert_non_null(real);
	assert_true(strlen(real) < sizeof(dir->path));
	snprintf(dir->path, sizeof(dir->path), "%s", real);
	free(real);
}

static int open_up(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	if (type == FTW_DNR || type == FTW_D)
		(void)chmod(path, st->st_mode | S_IRWXU);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

void tmpdir_remove(struct tmpdir *dir)
{
	if (!dir->path[0])
		return;
	(void)nftw(dir->path, open_up, OPEN_DIRECTORIES_MAX, FTW_PHYS);
	if (nftw(dir->path, remove_one, OPEN_DIRECTORIES_MAX, FTW_PHYS | FTW_DEPTH) != 0)
		fail_msg("remove %s: %s", dir->path, strerror(errno));
	dir->path[0] = '\0';
}

void tmpdir_path(const struct tmpdir *dir, const char *name, char out[TMPDIR_PATH_MAX])
{
	int n = snprintf(out, TMPDIR_PATH_MAX, "%s/%s", dir->path, name);

	assert_in_range(n, 1, TMPDIR_PATH_MAX - 1);
}

/* Every directory in front of a '/' in path. */
static void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			fail_msg("mkdir %s: %s", path, strerror(errno));
		*slash = '/';
	}
}

void tmpdir_write(const struct tmpdir *dir, const char *name, const void *data, size_t n)
{
	char path[TMPDIR_PATH_MAX];
	FILE *file;

	tmpdir_path(dir, name, path);
	make_parents(path);
	file = fopen(path, "wb");
	if (!file)
		fail_msg("create %s: %s", path, strerror(errno));
	assert_int_equal(fwrite(data, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

void tmpdir_write_text(const struct tmpdir *dir, const char *name, const char *text)
{
	tmpdir_write(dir, name, text, strlen(text));
}

void tmpdir_mkdir(const struct tmpdir *dir, const char *name)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(dir, name, path);
	make_parents(path);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		fail_msg("mkdir %s: %s", path, strerror(errno));
}
