/* The inventory of site-packages: where it is, what in it is whose, how it got there. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/prefix/examine.h"
#include "lib/base/compiler.h"
#include "lib/conda/record.h"
#include "platform/clock.h"
#include "tests/support/tmpdir.h"

#define SITE "lib/python3.11/site-packages/"
#define WINDOWS "Lib/site-packages/"

struct fixture {
	struct tmpdir dir;
	struct arena arena;
	struct json_reader *json;
	struct examined found;
	struct err err;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	tmpdir_make(&f.dir);
	tmpdir_write_text(&f.dir, "conda-meta/history", "");
	arena_init(&f.arena, EXAMINE_ARENA_MAX);
	*state = &f;
	return json_reader_new(&record_limits, &f.json);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	package_list_deinit(&f->found.packages);
	json_reader_free(f->json);
	arena_deinit(&f->arena);
	tmpdir_remove(&f->dir);
	return 0;
}

static const struct marks *known(void *ctx, const char *prefix)
{
	(void)prefix;
	return ctx;
}

static void look_at(struct fixture *f, const struct marks *marks, int64_t later_ms)
{
	const struct clock *clock = clock_system();
	struct examine_request request = {.prefix = f->dir.path,
					  .now_ms = clock->wall_ms(clock) + later_ms,
					  .recall = known,
					  .ctx = (void *)(uintptr_t)marks,
					  .json = f->json};

	package_list_deinit(&f->found.packages);
	arena_reset(&f->arena);
	assert_int_equal(examine(&request, &f->arena, &f->found, &f->err), 0);
	assert_int_equal(f->found.kind, EXAMINE_ENVIRONMENT);
}

/* A minute from now: nothing is in the middle of being written. */
static void look(struct fixture *f)
{
	look_at(f, NULL, 60000);
}

static void look_again(struct fixture *f, const struct marks *marks)
{
	look_at(f, marks, 60000);
}

static const struct package *find(const struct fixture *f, const char *name)
{
	const struct package *found = NULL;

	for (size_t i = 0; i < f->found.packages.n; i++)
		if (strcmp(f->found.packages.items[i].name, name) == 0 &&
		    strcmp(f->found.packages.items[i].manager, "pypi") == 0) {
			assert_null(found);
			found = &f->found.packages.items[i];
		}
	return found;
}

static void record(struct fixture *f, const char *dist, const char *more)
{
	char name[64];
	char version[64];
	char build[64];
	char file[256];
	char text[2048];

	assert_int_equal(sscanf(dist, "%63[^-]-%63[^-]-%63s", name, version, build), 3);
	(void)snprintf(file, sizeof file, "conda-meta/%s.json", dist);
	(void)snprintf(text, sizeof text,
		       "{\"name\": \"%s\", \"version\": \"%s\", \"build\": \"%s\", \"subdir\": "
		       "\"linux-64\"%s}",
		       name, version, build, more);
	tmpdir_write_text(&f->dir, file, text);
}

static void file(struct fixture *f, const char *site, const char *rest, const char *text)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s%s", site, rest);
	tmpdir_write_text(&f->dir, path, text);
}

static void pip(struct fixture *f, const char *site, const char *name)
{
	char path[128];
	char text[128];

	(void)snprintf(path, sizeof path, "%s-1.0.dist-info/METADATA", name);
	(void)snprintf(text, sizeof text, "Name: %s\nVersion: 1.0\n", name);
	file(f, site, path, text);
	(void)snprintf(path, sizeof path, "%s-1.0.dist-info/RECORD", name);
	file(f, site, path, "");
}

/* --- where it is --- */

static void places(void **state)
{
	static const struct {
		const char *dist; /* of python's record */
		const char *more;
		const char *site; /* where the distribution is */
		bool found;
	} rows[] = {
		{"python-3.11.9-h_0", "", SITE, true},
		{"python-3.11.9-h_0", "", "lib/python3.12/site-packages/", false},
		{"python-3.13.0-h_100_cp313t", "", "lib/python3.13t/site-packages/", true},
		{"python-3.13.0-h_100_cp313", "", "lib/python3.13/site-packages/", true},
		{"python-3.13.0-h_100_cp313",
		 ", \"python_site_packages_path\": \"lib/python3.13t/site-packages\"",
		 "lib/python3.13t/site-packages/", true},
		{"python-3.11.9-h_0", ", \"python_site_packages_path\": \"opt/x\"", "opt/x/", true},
		{"python-3.11.9-h_0", ", \"python_site_packages_path\": \"opt/x\"", SITE, false},
		{"python-3.11.9-h_0", ", \"subdir\": \"win-64\"", WINDOWS, true},
		{"python-3.11.9-h_0",
		 ", \"subdir\": \"win-64\", \"python_site_packages_path\": "
		 "\"Lib\\\\site-packages\"",
		 WINDOWS, true},
		{"python_abi-3.11-4", "", SITE, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture *f = *state;

		record(f, rows[i].dist, rows[i].more);
		pip(f, rows[i].site, "demo");
		look(f);
		if ((find(f, "demo") != NULL) != rows[i].found)
			fail_msg("row %zu", i);
		if (rows[i].found)
			assert_memory_equal(f->found.site_packages, rows[i].site,
					    strlen(rows[i].site) - 1);
		teardown(state);
		setup(state);
	}
}

static void bad_places_are_noted(void **state)
{
	static const char *const rows[] = {"../other", "/etc", "lib/../..", "opt/file", "opt/out"};
	struct fixture *f = *state;
	char path[TMPDIR_PATH_MAX];

	tmpdir_write_text(&f->dir, "opt/file", "");
	tmpdir_path(&f->dir, "opt/out", path);
	assert_int_equal(symlink("/etc", path), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char more[128];

		(void)snprintf(more, sizeof more, ", \"python_site_packages_path\": \"%s\"",
			       rows[i]);
		record(f, "python-3.11.9-h_0", more);
		look(f);
		assert_int_equal(f->found.packages.n, 1);
		assert_int_equal(f->found.n_notes, 1);
		assert_non_null(strstr(f->found.notes[0], "site-packages: "));
		assert_string_equal(f->found.site_packages, "");
		assert_int_equal(f->found.signs.unreadable, 0);
	}
}

static void links_that_stay_inside(void **state)
{
	struct fixture *f = *state;
	char path[TMPDIR_PATH_MAX];

	record(f, "python-3.11.9-h_0", "");
	pip(f, "real/python3.11/site-packages/", "demo");
	record(f, "claimed-1.0-0", ", \"files\": [\"" SITE "claimed-1.0.dist-info/RECORD\"]");
	pip(f, "real/python3.11/site-packages/", "claimed");
	tmpdir_path(&f->dir, "lib", path);
	assert_int_equal(symlink("real", path), 0);
	look(f);
	assert_non_null(find(f, "demo"));
	assert_null(find(f, "claimed"));
	assert_string_equal(f->found.site_packages, "real/python3.11/site-packages");
	assert_int_equal(f->found.n_notes, 0);
}

/* --- whose it is --- */

static void claims(void **state)
{
	struct fixture *f = *state;

	record(f, "python-3.11.9-h_0", ", \"subdir\": \"win-64\"");
	record(f, "a-1-0", ", \"files\": [\"lib\\\\site-packages\\\\A-1.0.dist-info\\\\RECORD\"]");
	record(f, "b-1-0",
	       ", \"files\": [\"Lib/site-packages/b.egg-info\", "
	       "\"Lib/site-packages/c.egg-info/PKG-INFO\", "
	       "\"Lib/site-packages/d-1.0.egg/EGG-INFO/PKG-INFO\", "
	       "\"Lib/site-packages/e.egg-link\"]");
	pip(f, WINDOWS, "A");
	file(f, WINDOWS, "b.egg-info", "Name: b\nVersion: 1\n");
	file(f, WINDOWS, "c.egg-info/PKG-INFO", "Name: c\nVersion: 1\n");
	file(f, WINDOWS, "d-1.0.egg/EGG-INFO/PKG-INFO", "Name: d\nVersion: 1.0\n");
	file(f, WINDOWS, "e.egg-link", "/nowhere\n");
	pip(f, WINDOWS, "mine");
	look(f);
	assert_int_equal(f->found.packages.n, 4);
	assert_non_null(find(f, "mine"));
	assert_string_equal(f->found.platform, "win-64");
}

static bool has_conda(const struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->found.packages.n; i++)
		if (strcmp(f->found.packages.items[i].name, name) == 0 &&
		    strcmp(f->found.packages.items[i].manager, "conda") == 0)
			return true;
	return false;
}

/* As conda does: what pip took away is not installed, whatever the record says. */
static void records_whose_distribution_is_gone(void **state)
{
	static const struct {
		const char *record;
		const char *files;
		bool installed;
	} rows[] = {
		{"here-1-0", SITE "here-1.0.dist-info/RECORD", true},
		{"gone-1-0", SITE "gone-1.0.dist-info/RECORD", false},
		{"newer-1-0", SITE "newer-0.9.dist-info/RECORD", false},
		{"egg-1-0", SITE "egg.egg-info/PKG-INFO", false},
		{"eggfile-1-0", SITE "eggfile.egg-info", false},
		{"two-1-0", SITE "two.egg-info\", \"" SITE "here-1.0.dist-info/RECORD", true},
		{"link-1-0", SITE "link.egg-link", true}, /* conda does not look at those */
		{"deep-1-0", SITE "deep/vendor/gone-1.0.dist-info/RECORD", true},
		{"other-1-0", "lib/python3.10/site-packages/gone-1.0.dist-info/RECORD", true},
		{"none-1-0", "share/none", true},
	};
	struct fixture *f = *state;

	record(f, "python-3.11.9-h_0", "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char more[512];

		(void)snprintf(more, sizeof more, ", \"files\": [\"%s\"]", rows[i].files);
		record(f, rows[i].record, more);
	}
	look(f); /* no site-packages: nothing is known */
	assert_int_equal(f->found.packages.n, ARRAY_SIZE(rows) + 1);
	pip(f, SITE, "here");
	pip(f, SITE, "newer");
	look(f);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char name[16] = "";

		memcpy(name, rows[i].record, strcspn(rows[i].record, "-"));
		if (has_conda(f, name) != rows[i].installed)
			fail_msg("%s", name);
	}
	assert_non_null(find(f, "newer"));
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_READY); /* a minute later */
}

static void a_known_record_whose_distribution_goes(void **state)
{
	struct fixture *f = *state;
	unsigned char pairs[4 * MARKS_PAIR];
	struct marks marks = {.pairs = pairs};
	char from[TMPDIR_PATH_MAX];
	char to[TMPDIR_PATH_MAX];

	record(f, "python-3.11.9-h_0", "");
	record(f, "a-1-0", ", \"files\": [\"" SITE "a-1.0.dist-info/RECORD\"]");
	record(f, "b-1-0", ", \"files\": [\"" SITE "b-1.0.dist-info/RECORD\"]");
	pip(f, SITE, "a");
	pip(f, SITE, "b");
	look(f);
	assert_int_equal(f->found.packages.n, 3);
	for (size_t i = 0; i < f->found.packages.n; i++) {
		const struct package *p = &f->found.packages.items[i];

		if (p->stamp != 0)
			marks_put(pairs + marks.n++ * MARKS_PAIR, p->stamp, p->claim);
	}
	assert_int_equal(marks.n, 2);
	marks_sort(pairs, marks.n);
	look_again(f, &marks);
	assert_int_equal(f->found.n_kept, 2);
	assert_int_equal(f->found.packages.n, 1);

	tmpdir_path(&f->dir, SITE "a-1.0.dist-info", from);
	tmpdir_path(&f->dir, "elsewhere", to);
	assert_int_equal(rename(from, to), 0);
	look_again(f, &marks);
	assert_int_equal(f->found.n_kept, 1);
	assert_int_equal(f->found.packages.n, 1); /* python */
}

/* conda links a package's files, compiles them, runs its script, and then writes the record. */
static void what_pip_can_put_back(void **state)
{
	struct fixture *f = *state;
	char path[TMPDIR_PATH_MAX];
	char aside[TMPDIR_PATH_MAX];

	record(f, "python-3.11.9-h_0", "");
	pip(f, SITE, "old");
	tmpdir_path(&f->dir, SITE "old-1.0.dist-info", path);
	tmpdir_path(&f->dir, SITE "~ld-1.0.dist-info", aside);
	assert_int_equal(rename(path, aside), 0);
	look(f);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_DIST);
	assert_int_equal(f->found.packages.n, 1);
	look_at(f, NULL, SETTLE_STALE_MS + 60000); /* pip was killed */
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_READY);
	assert_int_equal(f->found.packages.n, 1);
}

static void what_conda_has_not_recorded_yet(void **state)
{
	struct fixture *f = *state;

	record(f, "python-3.11.9-h_0", "");
	pip(f, SITE, "new");
	file(f, SITE, "new-1.0.dist-info/INSTALLER", "conda\n");
	look_at(f, NULL, 20000);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_DIST);
	record(f, "new-1-0", ", \"files\": [\"" SITE "new-1.0.dist-info/RECORD\"]");
	look_at(f, NULL, 20000);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_READY);
	assert_null(find(f, "new"));
}

/* --- what is there --- */

static void kinds(void **state)
{
	struct fixture *f = *state;

	record(f, "python-3.11.9-h_0", "");
	file(f, SITE, "one.egg-info", "Name: one\nVersion: 1\nLicense: MIT\n");
	file(f, SITE, "two-2.egg-info/PKG-INFO", "Name: Two\nVersion: 2\n");
	file(f, SITE, "three-3-py3.11.egg/EGG-INFO/PKG-INFO", "Name: three\nVersion: 3.0\n");
	file(f, SITE, "four-4-py3.11.egg", "PK");
	file(f, SITE, "~ive-5.dist-info/METADATA", "Name: five\nVersion: 5\n");
	file(f, SITE, "~ive-5.dist-info/RECORD", "");
	file(f, SITE, "six.egg-info/top_level.txt", "");
	tmpdir_mkdir(&f->dir, SITE "seven.egg-link");
	file(f, SITE, "eight.dist-info", "a file");
	look(f);
	assert_string_equal(find(f, "one")->license, "MIT");
	assert_string_equal(find(f, "two")->version, "2");
	assert_string_equal(find(f, "three")->version, "3.0");
	assert_string_equal(find(f, "four")->version, "4");
	assert_int_equal(f->found.packages.n, 5);
	assert_int_equal(f->found.n_notes, 0);
}

static void origins(void **state)
{
	static const struct {
		const char *direct_url;
		const char *url;
		bool requested;
	} rows[] = {
		{NULL, "", true},
		{NULL, "", false},
		{"{\"url\":\"https://u:p@h/"
		 "r\",\"vcs_info\":{\"vcs\":\"git\",\"commit_id\":\"c0\"}}",
		 "git+https://***@h/r@c0", true},
		{"{\"url\":\"https://h/f.whl\",\"archive_info\":{}}", "https://h/f.whl", false},
		{"{\"url\":\"file:///srv/x\",\"dir_info\":{}}", "file:///srv/x", true},
		{"{\"url\":\"file:///srv/x\",\"dir_info\":{\"editable\":true}}",
		 "file:///srv/x#editable", true},
		{"{", "", false},
		{"", "", false},
	};
	struct fixture *f = *state;

	record(f, "python-3.11.9-h_0", "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[TMPDIR_PATH_MAX];

		pip(f, SITE, "demo");
		file(f, SITE, "demo-1.0.dist-info/INSTALLER", i % 2 == 0 ? "uv" : "uv-pixi\n");
		if (rows[i].requested)
			file(f, SITE, "demo-1.0.dist-info/REQUESTED", "");
		if (rows[i].direct_url != NULL)
			file(f, SITE, "demo-1.0.dist-info/direct_url.json", rows[i].direct_url);
		look(f);
		assert_string_equal(find(f, "demo")->url, rows[i].url);
		assert_int_equal(find(f, "demo")->requested, rows[i].requested);
		tmpdir_path(&f->dir, SITE "demo-1.0.dist-info/REQUESTED", path);
		(void)unlink(path);
	}
}

static void without_record(void **state)
{
	struct fixture *f = *state;

	record(f, "python-3.11.9-h_0", "");
	file(f, SITE, "lost-1.0.dist-info/METADATA", "Name: lost\nVersion: 1.0\n");
	file(f, SITE, "ours-1.0.dist-info/METADATA", "Name: ours\nVersion: 1.0\n");
	file(f, SITE, "ours-1.0.dist-info/INSTALLER", "conda\n");
	file(f, SITE, "empty-1.0.dist-info/INSTALLER", "pip\n");
	look(f); /* a minute later */
	assert_non_null(find(f, "lost"));
	assert_null(find(f, "ours"));
	assert_int_equal(f->found.packages.n, 2);
	assert_int_equal(f->found.n_notes, 0);
}

/* --- egg-links --- */

static void egg_links(void **state)
{
	struct fixture *f = *state;
	struct tmpdir source;
	char text[TMPDIR_PATH_MAX + 8];
	char path[TMPDIR_PATH_MAX];
	char url[TMPDIR_PATH_MAX + 32];

	tmpdir_make(&source);
	tmpdir_write_text(&source, "my_tool.egg-info/PKG-INFO",
			  "Name: my-tool\nVersion: 7.1\nLicense: ISC\n");
	(void)snprintf(text, sizeof text, "%s\n.", source.path);
	record(f, "python-3.11.9-h_0", "");
	file(f, SITE, "my-tool.egg-link", text);
	file(f, SITE, "gone.egg-link", "/nowhere/at all/\r\n../\n");
	file(f, SITE, "proc.egg-link", "/proc/self\n");
	file(f, SITE, "nothing.egg-link", "\n/x\n");
	look(f);
	(void)snprintf(url, sizeof url, "file://%s#editable", source.path);
	assert_string_equal(find(f, "my-tool")->version, "7.1");
	assert_string_equal(find(f, "my-tool")->license, "ISC");
	assert_string_equal(find(f, "my-tool")->url, url);
	assert_true(find(f, "my-tool")->requested);
	assert_int_equal(find(f, "my-tool")->stamp, 0);
	assert_string_equal(find(f, "gone")->version, "");
	assert_string_equal(find(f, "gone")->url, "file:///nowhere/at%20all#editable");
	assert_non_null(find(f, "proc"));
	assert_null(find(f, "nothing"));
	assert_int_equal(f->found.n_notes, 1);

	/* A link in the source tree is not followed. */
	tmpdir_path(&source, "my_tool.egg-info/PKG-INFO", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	look(f);
	assert_string_equal(find(f, "my-tool")->version, "");
	tmpdir_remove(&source);
}

/* Only root can make files for others. */
static void strangers_files(void **state)
{
	struct fixture *f = *state;
	struct tmpdir elsewhere;
	char secret[TMPDIR_PATH_MAX];
	char path[TMPDIR_PATH_MAX];

	if (geteuid() != 0)
		skip();
	tmpdir_make(&elsewhere);
	tmpdir_write_text(&elsewhere, "secret", "Name: hunter2\nVersion: 1\n");
	tmpdir_path(&elsewhere, "secret", secret);
	assert_int_equal(chown(secret, 12345, 12345), 0);
	record(f, "python-3.11.9-h_0", "");
	file(f, SITE, "x-1.dist-info/RECORD", "");
	tmpdir_path(&f->dir, SITE "x-1.dist-info/METADATA", path);
	assert_int_equal(link(secret, path), 0);
	look(f);
	assert_int_equal(f->found.packages.n, 1);
	assert_int_equal(f->found.n_notes, 1);
	assert_null(strstr(f->found.notes[0], "hunter2"));

	/* One's own file in somebody else's environment is a colleague's. */
	assert_int_equal(unlink(secret), 0);
	look(f);
	assert_non_null(find(f, "hunter2"));
	tmpdir_remove(&elsewhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(places, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_places_are_noted, setup, teardown),
		cmocka_unit_test_setup_teardown(links_that_stay_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(claims, setup, teardown),
		cmocka_unit_test_setup_teardown(records_whose_distribution_is_gone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_known_record_whose_distribution_goes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_pip_can_put_back, setup, teardown),
		cmocka_unit_test_setup_teardown(what_conda_has_not_recorded_yet, setup, teardown),
		cmocka_unit_test_setup_teardown(kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(origins, setup, teardown),
		cmocka_unit_test_setup_teardown(without_record, setup, teardown),
		cmocka_unit_test_setup_teardown(egg_links, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
