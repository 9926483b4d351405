#include "agent/prefix/examine.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/conda/record.h"
#include "platform/clock.h"
#include "tests/support/tmpdir.h"

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

static int look(struct fixture *f, const unsigned char *stamp)
{
	const struct clock *clock = clock_system();
	struct examine_request request = {.prefix = f->dir.path,
					  .now_ms = clock->wall_ms(clock),
					  .stamp = stamp,
					  .json = f->json};

	package_list_deinit(&f->found.packages);
	arena_reset(&f->arena);
	return examine(&request, &f->arena, &f->found, &f->err);
}

static void record(struct fixture *f, const char *name, const char *version, const char *more)
{
	char file[256];
	char text[2048];

	(void)snprintf(file, sizeof file, "conda-meta/%s-%s-0.json", name, version);
	(void)snprintf(text, sizeof text,
		       "{\"name\": \"%s\", \"version\": \"%s\", \"build\": \"0\", "
		       "\"build_number\": 0, \"channel\": \"conda-forge\", \"subdir\": "
		       "\"linux-64\"%s}",
		       name, version, more);
	tmpdir_write_text(&f->dir, file, text);
}

static const char history[] = "==> 2026-11-22 18:48:09 <==\n"
			      "# cmd: /opt/conda/bin/conda create -n a foo\n"
			      "# conda version: 26.7.1\n"
			      "+conda-forge/linux-64::foo-1.0-0\n";

static const struct package *find(const struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->found.packages.n; i++)
		if (strcmp(f->found.packages.items[i].name, name) == 0)
			return &f->found.packages.items[i];
	return NULL;
}

static void what_is_no_environment(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(f->found.kind, EXAMINE_PLAIN);
	tmpdir_mkdir(&f->dir, "conda-meta");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(f->found.kind, EXAMINE_ENVIRONMENT);
	assert_true(f->found.empty_meta);
	tmpdir_remove(&f->dir);
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(f->found.kind, EXAMINE_NOTHING);
	tmpdir_make(&f->dir);
}

static void records_and_history(void **state)
{
	struct fixture *f = *state;

	record(f, "foo", "1.0", ", \"requested_spec\": \"foo=1.0\"");
	record(f, "bar", "2.0", "");
	tmpdir_write_text(&f->dir, "conda-meta/._bar-2.0-0.json", "not a record");
	tmpdir_write_text(&f->dir, "conda-meta/history", history);
	tmpdir_write_text(&f->dir, "conda-meta/created_at", "1763837289.5");
	tmpdir_write_text(&f->dir, "conda-meta/state", "{}");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(f->found.packages.n, 2);
	assert_string_equal(f->found.packages.items[0].name, "bar");
	assert_true(find(f, "foo")->requested);
	assert_string_equal(f->found.platform, "linux-64");
	assert_string_equal(f->found.tool, "conda");
	assert_string_equal(f->found.history->action, "create");
	assert_int_equal(f->found.history_sections, 1);
	assert_int_equal(f->found.created_ms, 1763837289500);
	assert_string_equal(f->found.config_names, "state:44136fa3");
	assert_int_equal(f->found.n_notes, 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_READY);
}

static void unchanged_is_not_read_again(void **state)
{
	struct fixture *f = *state;
	unsigned char stamp[SHA256_SIZE];

	record(f, "foo", "1.0", "");
	tmpdir_write_text(&f->dir, "conda-meta/history", history);
	assert_int_equal(look(f, NULL), 0);
	memcpy(stamp, f->found.stamp, sizeof stamp);
	assert_int_equal(look(f, stamp), 0);
	assert_int_equal(f->found.kind, EXAMINE_UNCHANGED);
	record(f, "bar", "1.0", "");
	assert_int_equal(look(f, stamp), 0);
	assert_int_equal(f->found.kind, EXAMINE_ENVIRONMENT);
	assert_int_equal(f->found.packages.n, 2);
}

static void signs_of_a_run(void **state)
{
	struct fixture *f = *state;
	char path[TMPDIR_PATH_MAX];

	tmpdir_write_text(&f->dir, "conda-meta/history", history);
	tmpdir_write_text(&f->dir, "conda-meta/foo-1.0-0.json.c~", "{}");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_HELD_COPY);
	tmpdir_path(&f->dir, "conda-meta/foo-1.0-0.json.c~", path);
	assert_int_equal(unlink(path), 0);

	tmpdir_mkdir(&f->dir, ".condatmp");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_HELD_COPY);
	tmpdir_path(&f->dir, ".condatmp", path);
	assert_int_equal(rmdir(path), 0);

	tmpdir_write_text(&f->dir, "conda-meta/.pixi-environment-fingerprint", "pixi:installing!");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_INSTALLING);
	assert_string_equal(f->found.tool, "pixi");
	tmpdir_write_text(&f->dir, "conda-meta/.pixi-environment-fingerprint", "0123456789abcdef");
	tmpdir_write_text(&f->dir, "conda-meta/pixi", "{}");

	record(f, "late", "1.0", "");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_HISTORY);
}

#define SITE "lib/python3.11/site-packages/"

static void date(struct fixture *f, const char *name, time_t seconds)
{
	struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Its own file comes last, after what uv installs. */
static void signs_of_pixi(void **state)
{
	struct fixture *f = *state;
	time_t now = time(NULL);

	record(f, "foo", "1.0", "");
	tmpdir_write_text(&f->dir, "conda-meta/history", "// not relevant for pixi");
	tmpdir_write_text(&f->dir, "conda-meta/.pixi-environment-fingerprint", "0123456789abcdef");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_INSTALLING);
	tmpdir_write_text(&f->dir, "conda-meta/pixi", "{}");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_READY);

	date(f, "conda-meta/pixi", now - 3600); /* of the run before */
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_INSTALLING);
	date(f, "conda-meta/.pixi-environment-fingerprint", now - 60);
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_READY);

	record(f, "python", "3.11.9", "");
	tmpdir_write_text(&f->dir, "conda-meta/history", "// not relevant for pixi");
	tmpdir_write_text(&f->dir, "lib/python3.11/site-packages/new-1.0.dist-info/RECORD", "");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_INSTALLING);
}

/* mamba touches it first; it stays so in an environment without packages. */
static void an_empty_history(void **state)
{
	struct fixture *f = *state;

	tmpdir_write_text(&f->dir, "conda-meta/history", "");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_HISTORY);
	date(f, "conda-meta/history", time(NULL) - 5);
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_READY);
	assert_false(f->found.empty_meta);
	tmpdir_write_text(&f->dir, "conda-meta/history", history);
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_READY);
}

static void distributions(void **state)
{
	struct fixture *f = *state;

	record(f, "python", "3.11.9", "");
	record(f, "requests", "2.28.2",
	       ", \"files\": [\"" SITE "requests-2.28.2.dist-info/RECORD\"]");
	tmpdir_write_text(&f->dir, "conda-meta/history", history);
	tmpdir_write_text(&f->dir, SITE "requests-2.28.2.dist-info/METADATA",
			  "Name: requests\nVersion: 2.28.2\n\n");
	tmpdir_write_text(&f->dir, SITE "requests-2.28.2.dist-info/RECORD", "");
	tmpdir_write_text(&f->dir, SITE "Demo_Pkg-1.2.3.dist-info/METADATA",
			  "Metadata-Version: 2.1\nName: Demo_Pkg\nVersion: 1.2.3\n\n");
	tmpdir_write_text(&f->dir, SITE "Demo_Pkg-1.2.3.dist-info/INSTALLER", "pip\n");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_DIST);
	assert_null(find(f, "demo-pkg"));

	tmpdir_write_text(&f->dir, SITE "Demo_Pkg-1.2.3.dist-info/RECORD", "");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_READY);
	assert_int_equal(f->found.packages.n, 3); /* requests is conda's, once */
	assert_string_equal(find(f, "demo-pkg")->manager, "pypi");
	assert_string_equal(find(f, "demo-pkg")->version, "1.2.3");
	assert_string_equal(f->found.site_packages, "lib/python3.11/site-packages");
}

/* Whatever stands where a record should be is a note, and is neither followed nor waited for. */
static void hostile_records(void **state)
{
	struct fixture *f = *state;
	char path[TMPDIR_PATH_MAX];
	char secret[TMPDIR_PATH_MAX];
	struct tmpdir elsewhere;

	tmpdir_make(&elsewhere);
	tmpdir_write_text(&elsewhere, "secret-1-0.json", "{\"password\": \"hunter2\"}");
	tmpdir_path(&elsewhere, "secret-1-0.json", secret);
	tmpdir_write_text(&f->dir, "conda-meta/history", history);
	tmpdir_path(&f->dir, "conda-meta/secret-1-0.json", path);
	assert_int_equal(symlink(secret, path), 0);
	tmpdir_path(&f->dir, "conda-meta/fifo-1-0.json", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	tmpdir_write_text(&f->dir, "conda-meta/cut-1-0.json", "{\"name\": \"cut\", ");
	tmpdir_write_text(&f->dir, "conda-meta/evil\n\x1b[31m-1-0.json", "[]");
	tmpdir_mkdir(&f->dir, "conda-meta/folder-1-0.json");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(f->found.packages.n, 0);
	assert_int_equal(f->found.n_notes, 5);
	assert_int_equal(f->found.signs.unreadable, 5);
	for (size_t i = 0; i < f->found.n_notes; i++) {
		assert_null(strstr(f->found.notes[i], "hunter2"));
		for (const char *p = f->found.notes[i]; *p != '\0'; p++)
			assert_true((unsigned char)*p >= ' ');
	}
	tmpdir_remove(&elsewhere);
}

/* What is damaged since long is not being written: nobody waits for it. */
static void old_damage_is_a_fact_at_once(void **state)
{
	struct fixture *f = *state;
	const struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
	const struct clock *clock = clock_system();
	struct examine_request request = {.prefix = f->dir.path,
					  .now_ms = clock->wall_ms(clock) + 2 * EXAMINE_YOUNG_MS,
					  .json = f->json};
	char path[TMPDIR_PATH_MAX];

	tmpdir_write_text(&f->dir, "conda-meta/cut-1-0.json", "{\"name\": \"cut\", ");
	tmpdir_path(&f->dir, "conda-meta/cut-1-0.json", path);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(examine(&request, &f->arena, &f->found, &f->err), 0);
	assert_int_equal(f->found.n_notes, 1);
	assert_int_equal(settle_judge(&f->found.signs).reason, SETTLE_READY);
}

/* A sparse file costs nobody anything to make, and us nothing to refuse. */
static void a_record_without_end(void **state)
{
	struct fixture *f = *state;
	char path[TMPDIR_PATH_MAX];

	tmpdir_write_text(&f->dir, "conda-meta/big-1-0.json", "{\"name\": \"");
	tmpdir_path(&f->dir, "conda-meta/big-1-0.json", path);
	assert_int_equal(truncate(path, (off_t)10 << 30), 0);
	record(f, "foo", "1.0", "");
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(f->found.packages.n, 1);
	assert_int_equal(f->found.n_notes, 1);
	assert_non_null(strstr(f->found.notes[0], "larger than 64 MiB"));
}

static void many_damaged_records(void **state)
{
	struct fixture *f = *state;
	char name[64];
	char path[TMPDIR_PATH_MAX];

	record(f, "foo", "1.0", "");
	for (int i = 0; i < EXAMINE_BROKEN_MAX + 100; i++) {
		(void)snprintf(name, sizeof name, "conda-meta/x%04d-1-0.json", i);
		tmpdir_path(&f->dir, name, path);
		assert_int_equal(mkfifo(path, 0600), 0);
	}
	assert_int_equal(look(f, NULL), 0);
	assert_int_equal(f->found.packages.n, 1); /* it comes before them */
	assert_int_equal(f->found.n_notes, EXAMINE_NOTES_MAX + 2);
	assert_non_null(strstr(f->found.notes[EXAMINE_NOTES_MAX], "the rest is left out"));
	assert_string_equal(f->found.notes[EXAMINE_NOTES_MAX + 1], "and 969 more");
}

/* How often a file of a member's was opened: the real function stands behind. */
static unsigned opened;
int __real_safe_file_open(const struct safe_dir *dir, const char *relative, uint32_t owner,
			  struct safe_file *out, struct file_info *info, struct err *err);
int __wrap_safe_file_open(const struct safe_dir *dir, const char *relative, uint32_t owner,
			  struct safe_file *out, struct file_info *info, struct err *err);
int __wrap_safe_file_open(const struct safe_dir *dir, const char *relative, uint32_t owner,
			  struct safe_file *out, struct file_info *info, struct err *err)
{
	opened++;
	return __real_safe_file_open(dir, relative, owner, out, info, err);
}

static size_t marks_of(const struct fixture *f, unsigned char *pairs)
{
	size_t n = 0;

	for (size_t i = 0; i < f->found.packages.n; i++) {
		const struct package *p = &f->found.packages.items[i];

		if (p->stamp != 0)
			marks_put(pairs + n++ * MARKS_PAIR, p->stamp, p->claim);
	}
	marks_sort(pairs, n);
	return n;
}

static const struct marks *known(void *ctx, const char *prefix)
{
	assert_int_equal(prefix[0], '/');
	return ctx;
}

static void look_again(struct fixture *f, const struct marks *marks)
{
	const struct clock *clock = clock_system();
	struct examine_request request = {.prefix = f->dir.path,
					  .now_ms = clock->wall_ms(clock) + 60000,
					  .recall = known,
					  .ctx = (void *)(uintptr_t)marks,
					  .json = f->json};

	package_list_deinit(&f->found.packages);
	arena_reset(&f->arena);
	opened = 0;
	assert_int_equal(examine(&request, &f->arena, &f->found, &f->err), 0);
}

static void only_what_changed_is_read(void **state)
{
	struct fixture *f = *state;
	unsigned char pairs[64 * MARKS_PAIR];
	struct marks marks = {pairs, 0};

	record(f, "python", "3.11.9", "");
	record(f, "foo", "3.11.9", "");
	record(f, "requests", "2.28.2",
	       ", \"files\": [\"" SITE "requests-2.28.2.dist-info/RECORD\"]");
	record(f, "two", "1", ", \"files\": [\"x.egg-info\", \"y.egg-info\"]");
	tmpdir_write_text(&f->dir, "conda-meta/history", history);
	tmpdir_write_text(&f->dir, SITE "requests-2.28.2.dist-info/RECORD", "");
	tmpdir_write_text(&f->dir, SITE "demo-1.dist-info/METADATA", "Name: demo\nVersion: 1\n");
	tmpdir_write_text(&f->dir, SITE "demo-1.dist-info/RECORD", "");
	look_again(f, &marks);
	assert_int_equal(f->found.packages.n, 5);
	assert_int_equal(f->found.n_kept, 0);
	marks.n = marks_of(f, pairs);
	assert_int_equal(marks.n, 3); /* not python, nor what claims two */

	/* What is known is not opened: history and python's record are, what claims two, and what
	 * installed the newest distribution. */
	look_again(f, &marks);
	assert_int_equal(f->found.n_kept, 3);
	assert_int_equal(f->found.packages.n, 2);
	assert_null(find(f, "requests"));
	assert_int_equal(opened, 4);
	assert_int_equal(f->found.n_notes, 0);

	/* One package more: one file more. */
	record(f, "baz", "1.0", "");
	look_again(f, &marks);
	assert_int_equal(f->found.n_kept, 3);
	assert_int_equal(opened, 5);
	assert_non_null(find(f, "baz"));

	/* The same name, other contents. */
	record(f, "foo", "3.11.9", ", \"license\": \"MIT\"");
	tmpdir_write_text(&f->dir, SITE "demo-1.dist-info/METADATA", "Name: demo\nVersion: 2\n");
	look_again(f, &marks);
	assert_int_equal(f->found.n_kept, 1);
	assert_string_equal(find(f, "foo")->license, "MIT");
	assert_string_equal(find(f, "demo")->version, "2");
}

/* A record that is not read claims what it claimed. */
static void kept_claims_hold(void **state)
{
	struct fixture *f = *state;
	unsigned char pairs[8 * MARKS_PAIR];
	struct marks marks = {pairs, 0};

	record(f, "python", "3.11.9", "");
	record(f, "requests", "1", ", \"files\": [\"" SITE "requests-1.dist-info/RECORD\"]");
	tmpdir_write_text(&f->dir, SITE "requests-1.dist-info/METADATA",
			  "Name: requests\nVersion: 1\n");
	tmpdir_write_text(&f->dir, SITE "requests-1.dist-info/RECORD", "");
	look_again(f, &marks);
	marks.n = marks_of(f, pairs);
	assert_int_equal(marks.n, 1);
	look_again(f, &marks);
	assert_int_equal(f->found.n_kept, 1);
	assert_int_equal(f->found.packages.n, 1); /* python; no requests of pip's */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_no_environment, setup, teardown),
		cmocka_unit_test_setup_teardown(records_and_history, setup, teardown),
		cmocka_unit_test_setup_teardown(unchanged_is_not_read_again, setup, teardown),
		cmocka_unit_test_setup_teardown(signs_of_a_run, setup, teardown),
		cmocka_unit_test_setup_teardown(signs_of_pixi, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_history, setup, teardown),
		cmocka_unit_test_setup_teardown(distributions, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_records, setup, teardown),
		cmocka_unit_test_setup_teardown(old_damage_is_a_fact_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_record_without_end, setup, teardown),
		cmocka_unit_test_setup_teardown(many_damaged_records, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_changed_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(kept_claims_hold, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
