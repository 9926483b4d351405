#include "platform/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "tests/support/tmpdir.h"

struct fixture {
	struct tmpdir dir;
	struct mount_table *table;
};

static void link_to(struct fixture *f, const char *name, const char *target)
{
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, name, path);
	assert_int_equal(symlink(target, path), 0);
}

/* Nothing is mounted there in truth: that what must not be touched is there would not be noticed,
 * so the links in it lead to where following them would show. */
static int setup(void **state)
{
	static struct fixture f;
	char text[3 * TMPDIR_PATH_MAX];
	char path[TMPDIR_PATH_MAX];

	f = (struct fixture){0};
	tmpdir_make(&f.dir);
	tmpdir_path(&f.dir, "far", path);
	assert_int_equal(mkdir(path, 0755), 0);
	tmpdir_path(&f.dir, "near", path);
	assert_int_equal(mkdir(path, 0755), 0);
	link_to(&f, "far/link", "/wrong");
	link_to(&f, "near/up", "../far/x");
	link_to(&f, "near/on", "up");
	link_to(&f, "near/round", "round");
	link_to(&f, "near/here", ".");
	(void)snprintf(text, sizeof text,
		       "1 0 8:1 / / rw - ext4 a rw\n2 1 0:9 / %s/far rw - nfs s:/x rw\n",
		       f.dir.path);
	assert_int_equal(mount_table_read(text, strlen(text), &f.table, NULL), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mount_table_unref(f->table);
	tmpdir_remove(&f->dir);
	return 0;
}

static void leads(void **state)
{
	static const struct {
		const char *path;
		bool from_far; /* the lane may touch the far one */
		const char *to;
		int result;
	} rows[] = {
		{"near/e", false, "near/e", 0},		  {"near//./e/", false, "near/e", 0},
		{"near/here/here/e", false, "near/e", 0}, {"near/../near/e", false, "near/e", 0},
		{"far/link/e", false, "far/link/e", 1},	  {"near/up/e", false, "far/x/e", 1},
		{"near/on/e", false, "far/x/e", 1},	  {"near/on/e", true, "far/x/e", 0},
		{"near/round/e", false, NULL, ERR_LIMIT}, {"gone/x", false, "gone/x", 0},
	};
	struct fixture *f = *state;
	char path[SAFE_PATH_MAX];
	char expected[TMPDIR_PATH_MAX];
	char far[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, "far", far);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t group = rows[i].from_far ? mount_table_find(f->table, far)->group : 0;
		int rc;

		(void)snprintf(path, sizeof path, "%s/%s", f->dir.path, rows[i].path);
		rc = route_follow(f->table, group, path);
		if (rc != rows[i].result)
			fail_msg("%s: %d", rows[i].path, rc);
		if (rows[i].to == NULL)
			continue;
		tmpdir_path(&f->dir, rows[i].to, expected);
		assert_string_equal(path, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(leads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
