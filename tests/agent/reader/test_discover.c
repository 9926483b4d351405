#include "agent/reader/discover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/reader/condarc_path.h"
#include "agent/reader/exclude.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "platform/clock.h"
#include "tests/support/tmpdir.h"

/* What was told, a line each, relative to the test's folder: "c envs/a", "p2 envs". */
struct told {
	const struct tmpdir *dir;
	struct buf lines;
	int rc;
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

static void run_with(enum place_kind kind, const char *path, struct told *told,
		     struct discovery *to)
{
	to->candidate = on_candidate;
	to->place = on_place;
	to->ctx = told;
	to->condarc = condarc_cache_new();
	buf_init(&told->lines, 1 << 20);
	told->rc = discover(kind, path, to);
	condarc_cache_free(to->condarc);
}

static void run(enum place_kind kind, const char *path, struct told *told, int expect)
{
	struct discovery to = {.cut = 0};

	run_with(kind, path, told, &to);
	assert_int_equal(told->rc, expect);
	assert_int_equal(to.cut, 0);
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
	assert_true(has_line(&told, "p4 miniforge3"));
	assert_true(has_line(&told, "p1 .conda"));
	assert_true(has_line(&told, "p6 .pixi"));
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

/* Nobody was told that it came, and nobody will be told that conda-meta comes into it. */
static void a_folder_that_has_just_come(void **state)
{
	static const struct {
		enum place_kind kind;
		int64_t later_ms;
		size_t told;
	} rows[] = {
		{PLACE_ENVS, 0, 2},
		{PLACE_ENVS, -DISCOVER_YOUNG_MS / 2, 2}, /* by a clock that was turned back */
		{PLACE_ENVS, 2 * DISCOVER_YOUNG_MS, 1},
		{PLACE_WALK, 0, 2},
	};
	const struct clock *clock = clock_system();
	struct tmpdir dir;
	struct told told = {.dir = &dir};
	char path[TMPDIR_PATH_MAX];
	char name[32];

	(void)state;
	tmpdir_make(&dir);
	make_env(&dir, "a");
	tmpdir_mkdir(&dir, "plain/deeper");
	tmpdir_write_text(&dir, "file", "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct discovery to = {.now_ms = clock->wall_ms(clock) + rows[i].later_ms};

		run_with(rows[i].kind, dir.path, &told, &to);
		assert_true(has_line(&told, "c a"));
		assert_int_equal(has_line(&told, "c plain"), rows[i].told == 2);
		assert_int_equal(count(&told), rows[i].told);
		buf_deinit(&told.lines);
	}
	for (int i = 0; i < DISCOVER_YOUNG_MAX + 10; i++) {
		(void)snprintf(name, sizeof name, "many/%d", i);
		tmpdir_mkdir(&dir, name);
	}
	tmpdir_path(&dir, "many", path);
	run_with(PLACE_ENVS, path, &told, &(struct discovery){.now_ms = clock->wall_ms(clock)});
	assert_int_equal(count(&told), DISCOVER_YOUNG_MAX);
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

static void what_a_home_configures(void **state)
{
	struct tmpdir dir;
	struct told told = {.dir = &dir};

	(void)state;
	tmpdir_make(&dir);
	tmpdir_write_text(&dir, ".condarc", "envs_dirs: [~/one, $HOME/two, ./three, ~/absent]\n");
	tmpdir_write_text(&dir, ".config/mamba/mambarc", "envs_dirs: [~/four]\n");
	tmpdir_write_text(&dir, ".config/pixi/config.toml", "detached-environments = '~/five'\n");
	tmpdir_mkdir(&dir, "one");
	tmpdir_mkdir(&dir, "two");
	tmpdir_mkdir(&dir, "three");
	tmpdir_mkdir(&dir, "four");
	tmpdir_mkdir(&dir, "five");
	tmpdir_mkdir(&dir, ".local/share/mamba");
	tmpdir_mkdir(&dir, ".cache/rattler/cache/cached-envs-v0");
	tmpdir_mkdir(&dir, ".cache/pixi/envs");
	tmpdir_mkdir(&dir, "opt/miniconda3");
	run(PLACE_HOME, dir.path, &told, 0);
	assert_true(has_line(&told, "p2 one"));
	assert_true(has_line(&told, "p2 two"));
	assert_true(has_line(&told, "p2 four"));
	assert_true(has_line(&told, "p7 five"));
	assert_true(has_line(&told, "p4 .local/share/mamba"));
	assert_true(has_line(&told, "c .local/share/mamba"));
	assert_true(has_line(&told, "p2 .cache/rattler/cache/cached-envs-v0"));
	assert_true(has_line(&told, "p7 .cache/pixi/envs"));
	assert_true(has_line(&told, "p4 opt/miniconda3"));
	assert_int_equal(count(&told), 10);
	buf_deinit(&told.lines);
	tmpdir_remove(&dir);
}

static void where_a_prefix_leads(void **state)
{
	struct tmpdir dir;
	struct told told = {.dir = &dir};
	char base[TMPDIR_PATH_MAX];
	char homes[2][TMPDIR_PATH_MAX];
	const char *known[] = {homes[0], homes[1]};
	struct discovery to = {.homes = known, .n_homes = 2};
	char note[2 * TMPDIR_PATH_MAX];

	(void)state;
	tmpdir_make(&dir);
	tmpdir_mkdir(&dir, "base/envs");
	tmpdir_mkdir(&dir, "shared");
	tmpdir_mkdir(&dir, "ana/mine");
	tmpdir_mkdir(&dir, "bo/mine");
	tmpdir_mkdir(&dir, "project/.pixi");
	tmpdir_path(&dir, "base", base);
	tmpdir_path(&dir, "ana", homes[0]);
	tmpdir_path(&dir, "bo", homes[1]);
	tmpdir_write_text(&dir, "base/condarc.d/a.yml",
			  "envs_dirs: [~/mine, $CONDA_ROOT/../shared]\n");
	(void)snprintf(note, sizeof note,
		       "{\"a\": {\"manifest_path\": \"/no\"}, "
		       "\"manifest_path\": \"%s/project/pixi.toml\"}",
		       dir.path);
	tmpdir_write_text(&dir, "base/conda-meta/pixi", note);
	run_with(PLACE_PREFIX, base, &told, &to);
	assert_int_equal(told.rc, 0);
	assert_true(to.personal);
	assert_true(has_line(&told, "p2 base/envs"));
	assert_true(has_line(&told, "p2 ana/mine"));
	assert_true(has_line(&told, "p2 bo/mine"));
	assert_true(has_line(&told, "p2 shared"));
	assert_true(has_line(&told, "p6 project/.pixi"));
	buf_deinit(&told.lines);
	tmpdir_remove(&dir);
}

static void a_project_of_pixi(void **state)
{
	struct tmpdir dir;
	struct told told = {.dir = &dir};
	char path[TMPDIR_PATH_MAX];

	(void)state;
	tmpdir_make(&dir);
	tmpdir_mkdir(&dir, "p/.pixi/envs");
	tmpdir_mkdir(&dir, "p/.pixi/solve-group-envs");
	tmpdir_mkdir(&dir, "apart/p-123/envs");
	tmpdir_write_text(&dir, "p/.pixi/config.toml", "detached-environments = 'relative'\n");
	tmpdir_path(&dir, "p/.pixi", path);
	run(PLACE_PIXI, path, &told, 0);
	assert_true(has_line(&told, "p2 p/.pixi/envs"));
	assert_true(has_line(&told, "p2 p/.pixi/solve-group-envs"));
	assert_int_equal(count(&told), 2);
	buf_deinit(&told.lines);
	tmpdir_path(&dir, "apart", path);
	run(PLACE_DETACHED, path, &told, 0);
	assert_true(has_line(&told, "p2 apart/p-123/envs"));
	assert_int_equal(count(&told), 1);
	buf_deinit(&told.lines);
	tmpdir_remove(&dir);
}

static void homes_beside_known_homes(void **state)
{
	struct tmpdir dir;
	struct told told = {.dir = &dir};

	(void)state;
	tmpdir_make(&dir);
	tmpdir_write_text(&dir, "ana/.condarc", "");
	tmpdir_mkdir(&dir, "bo/.conda");
	tmpdir_mkdir(&dir, "cy/miniforge3");
	tmpdir_mkdir(&dir, "dee/documents");
	tmpdir_write_text(&dir, "file", "");
	run(PLACE_HOMES, dir.path, &told, 0);
	assert_true(has_line(&told, "p0 ana"));
	assert_true(has_line(&told, "p0 bo"));
	assert_true(has_line(&told, "p0 cy"));
	assert_int_equal(count(&told), 3);
	buf_deinit(&told.lines);
	tmpdir_remove(&dir);
}

static void what_is_excluded_is_not_told(void **state)
{
	struct tmpdir dir;
	struct told told = {.dir = &dir};
	struct exclude exclude;
	char pattern[2 * TMPDIR_PATH_MAX];
	char *patterns[] = {pattern};
	struct discovery to = {.exclude = &exclude};

	(void)state;
	tmpdir_make(&dir);
	make_env(&dir, "a/keep");
	make_env(&dir, "a/old-1");
	make_env(&dir, "b/old/deep/er");
	(void)snprintf(pattern, sizeof pattern, "%s/**/old*", dir.path);
	assert_int_equal(exclude_init(&exclude, patterns, 1), 0);
	run_with(PLACE_WALK, dir.path, &told, &to);
	assert_int_equal(told.rc, 0);
	assert_true(has_line(&told, "c a/keep"));
	assert_true(has_line(&told, "p2 a"));
	assert_int_equal(count(&told), 2);
	buf_deinit(&told.lines);
	exclude_deinit(&exclude);
	tmpdir_remove(&dir);
}

static void a_limit_is_counted(void **state)
{
	struct tmpdir dir;
	struct told told = {.dir = &dir};
	struct discovery to = {.cut = 0};
	struct buf text;

	(void)state;
	tmpdir_make(&dir);
	buf_init(&text, DISCOVER_REGISTRY_MAX);
	for (int i = 0; i < DISCOVER_REGISTRY_LINES + 1; i++)
		buf_addf(&text, "/srv/%d\n", i);
	tmpdir_write(&dir, "environments.txt", text.data, text.len);
	buf_deinit(&text);
	run_with(PLACE_REGISTRY, dir.path, &told, &to);
	assert_int_equal(count(&told), DISCOVER_REGISTRY_LINES);
	assert_int_equal(to.cut, 1);
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
		cmocka_unit_test(a_folder_that_has_just_come),
		cmocka_unit_test(a_walk_is_bounded),
		cmocka_unit_test(what_a_home_configures),
		cmocka_unit_test(where_a_prefix_leads),
		cmocka_unit_test(a_project_of_pixi),
		cmocka_unit_test(homes_beside_known_homes),
		cmocka_unit_test(what_is_excluded_is_not_told),
		cmocka_unit_test(a_limit_is_counted),
		cmocka_unit_test(which_names_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
