#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/files.h"
#include "platform/safe_write.h"
#include "tests/support/tmpdir.h"

struct place {
	struct tmpdir tmp;
	struct safe_dir *dir; /* "<tmp>/in" */
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char path[TMPDIR_PATH_MAX];

	assert_non_null(p);
	tmpdir_make(&p->tmp);
	tmpdir_mkdir(&p->tmp, "in/full/more");
	tmpdir_write_text(&p->tmp, "secret", "key");
	tmpdir_path(&p->tmp, "in/link", path);
	assert_int_equal(symlink("../secret", path), 0);
	tmpdir_path(&p->tmp, "in", path);
	assert_int_equal(safe_dir_open(path, &p->dir, NULL), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	safe_dir_close(p->dir);
	tmpdir_remove(&p->tmp);
	free(p);
	return 0;
}

static void expect_text(const struct place *p, const char *name, const char *text)
{
	char path[TMPDIR_PATH_MAX];
	struct buf found;

	tmpdir_path(&p->tmp, name, path);
	buf_init(&found, 100);
	assert_int_equal(files_read_whole(path, 99, &found, NULL), 0);
	assert_string_equal(buf_cstr(&found), text);
	buf_deinit(&found);
}

static int count(void *ctx, const char *name)
{
	(void)name;
	++*(int *)ctx;
	return 0;
}

static int entries(const struct place *p)
{
	int n = 0;

	assert_int_equal(safe_dir_list(p->dir, 100, count, &n, NULL), 0);
	return n;
}

static void test_files(void **state)
{
	const struct place *p = *state;
	struct file_info info;
	mode_t old = umask(077);

	assert_int_equal(safe_write_file(p->dir, "new", "one", 3, 0644, NULL), 0);
	assert_int_equal(safe_stat(p->dir, "new", &info, NULL), 0);
	assert_int_equal(info.mode, 0644);
	expect_text(p, "in/new", "one");
	assert_int_equal(safe_write_file(p->dir, "new", "two", 3, 0644, NULL), 0);
	expect_text(p, "in/new", "two");
	/* A link is replaced, what it leads to stays. */
	assert_int_equal(safe_write_file(p->dir, "link", "mine", 4, 0644, NULL), 0);
	expect_text(p, "secret", "key");
	expect_text(p, "in/link", "mine");
	assert_int_equal(safe_write_file(p->dir, "full", "x", 1, 0644, NULL), ERR_EXISTS);
	assert_int_equal(entries(p), 3); /* nothing else was left */
	assert_int_equal(safe_write_remove(p->dir, "new", NULL), 0);
	assert_int_equal(safe_write_remove(p->dir, "new", NULL), 0);
	assert_int_equal(entries(p), 2);
	(void)umask(old);
}

static void test_rename(void **state)
{
	const struct place *p = *state;

	assert_int_equal(safe_write_rename(p->dir, "none", "link", NULL), ERR_NOTFOUND);
	assert_int_equal(safe_write_file(p->dir, "new", "one", 3, 0644, NULL), 0);
	assert_int_equal(safe_write_rename(p->dir, "new", "full", NULL), ERR_EXISTS);
	assert_int_equal(safe_write_rename(p->dir, "new", "../x", NULL), ERR_INVALID);
	assert_int_equal(safe_write_rename(p->dir, "../secret", "x", NULL), ERR_INVALID);
	/* A link is renamed, and replaced, as such. */
	assert_int_equal(safe_write_rename(p->dir, "link", "moved", NULL), 0);
	assert_int_equal(safe_write_rename(p->dir, "new", "moved", NULL), 0);
	expect_text(p, "secret", "key");
	expect_text(p, "in/moved", "one");
	assert_int_equal(entries(p), 2);
}

static void test_remove_a_link(void **state)
{
	const struct place *p = *state;

	assert_int_equal(safe_write_remove(p->dir, "link", NULL), 0);
	expect_text(p, "secret", "key");
	assert_int_equal(entries(p), 1);
}

static void test_dirs(void **state)
{
	const struct place *p = *state;
	struct file_info info;
	mode_t old = umask(077);

	assert_int_equal(safe_write_dir(p->dir, "d", 0755, NULL), 0);
	(void)umask(old);
	assert_int_equal(safe_stat(p->dir, "d", &info, NULL), 0);
	assert_int_equal(info.mode, 0755);
	assert_int_equal(safe_write_dir(p->dir, "d", 0755, NULL), 0);
	assert_int_equal(safe_write_dir(p->dir, "link", 0755, NULL), ERR_EXISTS);
	assert_int_equal(safe_write_remove_dir(p->dir, "d", NULL), 0);
	assert_int_equal(safe_write_remove_dir(p->dir, "d", NULL), 0);
	assert_int_equal(safe_write_remove_dir(p->dir, "full", NULL), 0);
	assert_int_equal(entries(p), 2); /* "full" is full */
}

static void test_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "/a", "../secret", "full/more"};
	const struct place *p = *state;
	char longest[300];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(safe_write_file(p->dir, bad[i], "", 0, 0644, NULL), ERR_INVALID);
		assert_int_equal(safe_write_dir(p->dir, bad[i], 0755, NULL), ERR_INVALID);
		assert_int_equal(safe_write_remove(p->dir, bad[i], NULL), ERR_INVALID);
		assert_int_equal(safe_write_remove_dir(p->dir, bad[i], NULL), ERR_INVALID);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(safe_write_file(p->dir, longest, "", 0, 0644, NULL), ERR_LIMIT);
	expect_text(p, "secret", "key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_a_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dirs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
