#include "agent/reader/discover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "tests/support/tmpdir.h"

/* What was told, a line each, relative to the test's folder: "c envs/a", "p2 envs". */
struct told {
	const struct tmpdir *dir;
	struct buf lines;
};

static const char *relative(const struct told *told, const char *path)
{
	size_t n = strlen(told->dir->path);

	return strncmp(path, told->dir->path, n) == 0 ? path + n + (path[n] == '/') : path;
}

static int on_candidate(void *ctx, const char *path)
{
	struct told *told = ctx;

	buf_addf(&told->lines, "c %s\n", relative(told, path));
	return 0;
}

static int on_place(void *ctx, enum place_kind kind, const char *path)
{
	struct told *told = ctx;

	buf_addf(&told->lines, "p%d %s\n", (int)kind, relative(told, path));
	return 0;
}

static void make_env(const struct tmpdir *dir, const char *path)
{
	char name[TMPDIR_PATH_MAX];

	(void)snprintf(name, sizeof name, "%s/conda-meta/history", path);
	tmpdir_write_text(dir, name, "");
}

static bool has_line(struct told *told, const char *line)
{
	const char *text = buf_cstr(&told->lines);
	size_t n = strlen(line);

	for (const char *p = strstr(text, line); p != NULL; p = strstr(p + 1, line))
		if ((p == text || p[-1] == '\n') && p[n] == '\n')
			return true;
	return false;
}

static size_t count(struct told *told)
{
	size_t n = 0;

	for (const char *p = buf_cstr(&told->lines); *p != '\0'; p++)
		n += *p == '\n';
	return n;
}

static void run(enum place_kind kind, const char *path, struct told *told, int expect)
{
	const struct discovery to = {.candidate = on_candidate, .place = on_place, .ctx = told};

	buf_init(&told->lines, 1 << 20);
	assert_int_equal(discover(kind, path, &to), expect);
}

static void a_home(void **state)
{
	struct tmpdir dir;
	struct told told = {.dir = &dir};

	(void)state;
	tmpdir_make(&dir);
	make_env(&dir, "miniforge3");
	tmpdir_mkdir(&dir, "miniforge3/envs");
	tmpdir_mkdir(&dir, ".conda");
	tmpdir_mkdir(&dir, ".pixi/envs");
	tmpdir_mkdir(&dir, "unrelated");
	run(PLACE_HOME, dir.path, &told, 0);
	assert_true(has_line(&told, "c miniforge3"));
	assert_true(has_line(&told, "p2 miniforge3/envs"));
	assert_true(has_line(&told, "p1 .conda"));
	assert_true(has_line(&told, "p2 .pixi/envs"));
	assert_int_equal(count(&told), 4);
	buf_deinit(&told.lines);
	tmpdir_remove(&dir);
	run(PLACE_HOME, dir.path, &told, ERR_NOTFOUND);
	buf_deinit(&told.lines);
}

static void a_registry(void **state)
{
	struct tmpdir dir;
	struct told told = {.dir = &dir};

	(void)state;
	tmpdir_make(&dir);
	tmpdir_mkdir(&dir, "envs");
	tmpdir_write_text(&dir, "environments.txt", "/srv/a\r\n\nrelative/b\n/srv/c d\n/srv/last");
	run(PLACE_REGISTRY, dir.path, &told, 0);
	assert_true(has_line(&told, "c /srv/a"));
	assert_true(has_line(&told, "c /srv/c d"));
	assert_true(has_line(&told, "c /srv/last"));
	assert_true(has_line(&told, "p2 envs"));
	assert_int_equal(count(&told), 4);
	buf_deinit(&told.lines);
	tmpdir_remove(&dir);
}

static void a_folder_of_environments(void **state)
{
	struct tmpdir dir;
	struct told told = {.dir = &dir};
	char path[TMPDIR_PATH_MAX];

	(void)state;
	tmpdir_make(&dir);
	make_env(&dir, "a");
	make_env(&dir, "plain/deeper");
	tmpdir_write_text(&dir, "file", "");
	tmpdir_path(&dir, "link", path);
	assert_int_equal(symlink("a", path), 0);
	run(PLACE_ENVS, dir.path, &told, 0);
	assert_true(has_line(&told, "c a"));
	assert_true(has_line(&told, "c link")); /* known by where it leads, later */
	assert_int_equal(count(&told), 2);
	buf_deinit(&told.lines);
	tmpdir_remove(&dir);
}

static void a_walk_is_bounded(void **state)
{
	struct tmpdir dir;
	struct told told = {.dir = &dir};
	char path[TMPDIR_PATH_MAX];

	(void)state;
	tmpdir_make(&dir);
	make_env(&dir, "1/2/3/near");
	make_env(&dir, "1/2/3/4/5/6/7/8/far");
	make_env(&dir, "pkgs/cached");
	tmpdir_path(&dir, "1/loop", path);
	assert_int_equal(symlink("..", path), 0);
	run(PLACE_WALK, dir.path, &told, 0);
	assert_true(has_line(&told, "c 1/2/3/near"));
	assert_true(has_line(&told, "p2 1/2/3"));
	assert_int_equal(count(&told), 2);
	buf_deinit(&told.lines);
	tmpdir_remove(&dir);
}

static void which_names_matter(void **state)
{
	static const struct {
		enum place_kind kind;
		const char *name;
		bool cares;
	} rows[] = {
		{PLACE_HOME, ".conda", true},
		{PLACE_HOME, "miniforge3", true},
		{PLACE_HOME, ".bash_history", false},
		{PLACE_REGISTRY, "environments.txt", true},
		{PLACE_REGISTRY, "aau_token", false},
		{PLACE_ENVS, "new", false},
		{PLACE_WALK, "new", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(discover_cares(rows[i].kind, rows[i].name), rows[i].cares);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_home),
		cmocka_unit_test(a_registry),
		cmocka_unit_test(a_folder_of_environments),
		cmocka_unit_test(a_walk_is_bounded),
		cmocka_unit_test(which_names_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
