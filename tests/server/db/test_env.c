#include "server/db/db_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/db/db_status.h"
#include "tests/server/db/store.h"

static struct db_env get(struct store *s, unsigned char env)
{
	struct uuid id = id_of(env);
	struct db_env e;

	assert_int_equal(db_env_get(s->conn, &id, NULL, T0, &s->arena, &e, &s->err), 0);
	return e;
}

/* "name=version name=version ..." of what it has now. */
static const char *packages(struct store *s, unsigned char env)
{
	static char text[512];
	struct db_package *list;
	size_t n, len = 0;

	assert_int_equal(db_env_packages(s->conn, get(s, env).row, &s->arena, &list, &n, &s->err),
			 0);
	assert_int_equal(n, get(s, env).package_count);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%s%s", i ? " " : "",
					list[i].package.name, list[i].package.version,
					list[i].package.requested ? "!" : "");
	return text;
}

static int64_t env_count(struct store *s, const char *name, const char *version)
{
	struct package p = package_of(name, version);
	unsigned char key[PACKAGE_KEY_SIZE];
	struct db_package got;

	package_def_key(&p, key);
	assert_int_equal(db_package_get(s->conn, key, &s->arena, &got, &s->err), 0);
	return got.env_count;
}

static void step(struct store *s, struct journal_writer *w, enum change_kind kind,
		 unsigned char env, const char *prefix, const char *add, const char *remove)
{
	struct change c = change_of(kind, env, prefix);
	struct package p;

	if (add) {
		p = package_of(add, "1");
		p.requested = true;
		assert_int_equal(package_list_add(&c.added, &p), 0);
	}
	if (remove) {
		p = package_of(remove, "1");
		assert_int_equal(package_list_add(&c.removed, &p), 0);
	}
	assert_int_equal(journal_write(s, w, &c), 0);
}

static const char *const ab[] = {"a=1", "b=1", NULL};

static void test_follows_changes(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};

	env_make(s, &w, 1, "/home/ana/envs/x", ab);
	env_make(s, &w, 2, "/home/ana/envs/y/", ab);
	assert_string_equal(get(s, 1).name, "x");
	assert_string_equal(get(s, 2).name, "y");
	assert_string_equal(get(s, 1).user, "ana");
	assert_string_equal(packages(s, 1), "a=1 b=1");
	assert_int_equal(env_count(s, "a", "1"), 2);
	step(s, &w, CHANGE_UPDATED, 1, "/home/ana/envs/x", "c", "a");
	assert_string_equal(packages(s, 1), "b=1 c=1!");
	assert_int_equal(env_count(s, "a", "1"), 1);
	step(s, &w, CHANGE_UPDATED, 1, "/home/ana/envs/x", "b", "b"); /* now asked for by name */
	assert_string_equal(packages(s, 1), "b=1! c=1!");
	assert_int_equal(env_count(s, "b", "1"), 2);
	step(s, &w, CHANGE_RENAMED, 1, "/home/ana/envs/z", NULL, NULL);
	assert_string_equal(get(s, 1).name, "z");
	assert_string_equal(packages(s, 1), "b=1! c=1!");
	step(s, &w, CHANGE_DELETED, 1, "/home/ana/envs/z", NULL, NULL);
	assert_true(get(s, 1).deleted);
	assert_string_equal(packages(s, 1), "");
	assert_int_equal(env_count(s, "c", "1"), 0);
	step(s, &w, CHANGE_RECREATED, 1, "/home/ana/envs/z", "d", NULL);
	assert_false(get(s, 1).deleted);
	assert_string_equal(packages(s, 1), "d=1!");
	/* Made anew before anybody saw the old one go: only what differs is told. */
	step(s, &w, CHANGE_RECREATED, 1, "/home/ana/envs/z", "e", NULL);
	assert_string_equal(packages(s, 1), "d=1! e=1!");
	/* A new epoch tells the whole content again: it replaces what was believed. */
	w = (struct journal_writer){.machine = w.machine, .epoch = id_of(201)};
	env_make(s, &w, 2, "/home/ana/envs/y", (const char *const[]){"b=1", NULL});
	assert_string_equal(packages(s, 2), "b=1");
	assert_int_equal(env_count(s, "a", "1"), 0);
	assert_int_equal(env_count(s, "b", "1"), 1);
}

static void test_windows_names(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 2), .epoch = id_of(200)};
	struct change c = change_of(CHANGE_CREATED, 1, "C:\\Users\\ana\\envs\\churn");

	c.platform = "win-64";
	assert_int_equal(journal_write(s, &w, &c), 0);
	assert_string_equal(get(s, 1).name, "churn");
}

/* One environment on a network file system, seen from two machines. */
static void test_shared_id(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct journal_writer v = {.machine = store_machine(s, 2), .epoch = id_of(201)};
	struct uuid id = id_of(1);
	struct db_env e;

	env_make(s, &w, 1, "/nfs/envs/x", ab);
	env_make(s, &v, 1, "/mnt/envs/x", ab);
	step(s, &v, CHANGE_DELETED, 1, "/mnt/envs/x", NULL, NULL);
	assert_int_equal(db_env_get(s->conn, &id, &w.machine, T0, &s->arena, &e, &s->err), 0);
	assert_string_equal(e.path, "/nfs/envs/x");
	assert_false(e.deleted);
	assert_int_equal(db_env_get(s->conn, &id, &v.machine, T0, &s->arena, &e, &s->err), 0);
	assert_true(e.deleted);
	assert_int_equal(env_count(s, "a", "1"), 1);
}

static void test_find_and_known(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct uuid one = id_of(1), two = id_of(2);
	struct db_env e, *list;
	size_t n;

	env_make(s, &w, 1, "/envs/x", ab);
	env_make(s, &w, 2, "/other/x", ab);
	step(s, &w, CHANGE_DELETED, 2, "/other/x", NULL, NULL);
	assert_int_equal(db_env_find(s->conn, &w.machine, "x", T0, &s->arena, &e, &s->err), 0);
	assert_int_equal(uuid_cmp(&e.id, &one), 0); /* the live one */
	assert_int_equal(db_env_find(s->conn, &w.machine, "/other/x", T0, &s->arena, &e, &s->err),
			 0);
	assert_int_equal(uuid_cmp(&e.id, &two), 0); /* by its last path */
	assert_int_equal(
		db_env_find(s->conn, &w.machine, "' OR 1=1 --", T0, &s->arena, &e, &s->err),
		ERR_NOTFOUND);
	assert_int_equal(db_env_known(s->conn, &w.machine, 10, &s->arena, &list, &n, &s->err), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].path, "/envs/x");
}

/* Agents' clocks may be wrong. */
static void test_future(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct change c = change_of(CHANGE_CREATED, 1, "/envs/x");

	c.time_ms = INT64_MAX;
	assert_int_equal(journal_write(s, &w, &c), 0);
	assert_int_equal(get(s, 1).last_change_ms, T0 + 5);
}

static int64_t total(struct store *s, const struct db_env_filter *f)
{
	struct db_env_counts counts;
	struct db_env *list;
	size_t n;

	assert_int_equal(db_env_count(s->conn, f, &counts, &s->err), 0);
	assert_int_equal(
		db_env_list(s->conn, f, DB_ENVS_BY_NAME, NULL, 1000, &s->arena, &list, &n, &s->err),
		0);
	assert_int_equal(n, counts.total);
	assert_int_equal(counts.total, counts.ok + counts.warn + counts.block);
	return counts.total;
}

static void test_filters(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	struct uuid one = id_of(1), nobody = id_of(99);
	struct status_entry block = {
		.environment = one, .action = ACTION_BLOCK, .message = "no", .until_ms = T0 + 100};
	size_t i;

	env_make(s, &w, 1, "/envs/a_b", ab);
	env_make(s, &w, 2, "/envs/axb", (const char *const[]){"a=2", NULL});
	env_make(s, &w, 3, "/envs/100%", NULL);
	env_make(s, &w, 4, "/envs/back\\slash", NULL);
	env_make(s, &w, 5, "/envs/gone", NULL);
	step(s, &w, CHANGE_DELETED, 5, "/envs/gone", NULL, NULL);
	env_make(s, &w, 6, "/envs/Robert'); DROP TABLE env;--", NULL);
	assert_int_equal(db_env_archive(s->conn, &(struct uuid){{2}}, true, &s->err), ERR_NOTFOUND);
	assert_int_equal(db_status_set(s->conn, &block, "ana", T0, &s->err), 0);
	const struct {
		struct db_env_filter filter;
		int64_t want;
	} table[] = {
		{{.text = NULL}, 5},
		{{.shown = DB_ENVS_ALL}, 6},
		{{.shown = DB_ENVS_DELETED}, 1},
		{{.text = "a_b"}, 1},
		{{.text = "A_B"}, 1},
		{{.text = "%"}, 1},
		{{.text = "\\"}, 1},
		{{.text = "envs/a"}, 2},
		{{.text = "robert'); drop"}, 1},
		{{.text = "' OR '1'='1"}, 0},
		{{.user = "ana"}, 5},
		{{.user = "an"}, 0},
		{{.platform = "linux-64"}, 5},
		{{.platform = "win-64"}, 0},
		{{.machine = &w.machine}, 5},
		{{.machine = &nobody}, 0},
		{{.package = "a"}, 2},
		{{.package = "a", .version = "2"}, 1},
		{{.package = "a", .version = "3"}, 0},
		{{.has_status = true, .status = ACTION_BLOCK, .now_ms = T0}, 1},
		{{.has_status = true, .status = ACTION_ALLOW, .now_ms = T0}, 4},
		{{.has_status = true, .status = ACTION_BLOCK, .now_ms = T0 + 100}, 0},
		{{.has_status = true, .status = ACTION_WARN, .now_ms = T0}, 0},
		{{.text = "a",
		  .user = "ana",
		  .platform = "linux-64",
		  .machine = &w.machine,
		  .package = "a",
		  .version = "1",
		  .has_status = true,
		  .status = ACTION_BLOCK,
		  .now_ms = T0},
		 1},
	};

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (total(s, &table[i].filter) != table[i].want)
			fail_msg("row %zu: %d", i, (int)total(s, &table[i].filter));
	}
	assert_int_equal(db_env_archive(s->conn, &one, true, &s->err), 0);
	assert_int_equal(total(s, &(struct db_env_filter){.text = NULL}), 4);
	assert_int_equal(total(s, &(struct db_env_filter){.shown = DB_ENVS_ARCHIVED}), 1);
	assert_true(get(s, 1).archived);
}

/* Walks all pages; something changes after the first. */
static size_t walk(struct store *s, struct journal_writer *w, enum db_env_order order, bool *seen)
{
	struct db_env_filter filter = {.now_ms = T0};
	struct db_cursor cursor = {.set = false};
	struct db_env *list;
	size_t n, count = 0;

	for (;;) {
		assert_int_equal(db_env_list(s->conn, &filter, order, &cursor, 7, &s->arena, &list,
					     &n, &s->err),
				 0);
		if (n == 0)
			return count;
		for (size_t i = 0; i < n; i++) {
			assert_false(seen[list[i].id.b[0]]);
			seen[list[i].id.b[0]] = true;
		}
		if (count == 0) /* the last of the first page is changed, and one comes before it */
			step(s, w, CHANGE_CONFIG, list[n - 1].id.b[0], list[n - 1].path, NULL,
			     NULL);
		count += n;
		cursor = (struct db_cursor){.set = true,
					    .num = list[n - 1].last_change_ms,
					    .text = list[n - 1].name,
					    .id = list[n - 1].row};
	}
}

static void test_pages(void **state)
{
	struct store *s = *state;
	struct journal_writer w = {.machine = store_machine(s, 1), .epoch = id_of(200)};
	char path[64];

	for (unsigned char i = 1; i <= 40; i++) {
		(void)snprintf(path, sizeof(path), "/envs/%u", i % 4); /* many equal names */
		env_make(s, &w, i, arena_strdup(&s->arena, path), NULL);
	}
	assert_int_equal(walk(s, &w, DB_ENVS_BY_CHANGE, (bool[256]){false}), 40);
	assert_int_equal(walk(s, &w, DB_ENVS_BY_NAME, (bool[256]){false}), 40);
}

/* What a machine tells of its own environments; lines can't be forged, nor the store filled. */
static void test_notes(void **state)
{
	static const char *const texts[] = {"conda-meta/x.json: torn", "two\nlines"};
	static char big[DB_NOTES_MAX];
	const char *const many[] = {"first", big, "third"};
	struct store *s = *state;
	struct uuid mine = store_machine(s, 1), other = store_machine(s, 2);
	struct journal_writer w = {.machine = mine, .epoch = id_of(200)};
	struct db_env_notes notes = {
		.environment = id_of(1), .texts = texts, .n = 2, .excluded = true};

	env_make(s, &w, 1, "/e/x", ab);
	assert_int_equal(get(s, 1).n_notes, 0);
	assert_int_equal(db_env_note(s->conn, &other, &notes, &s->err), 0);
	assert_int_equal(get(s, 1).n_notes, 0);
	assert_int_equal(db_env_note(s->conn, &mine, &notes, &s->err), 0);
	assert_int_equal(get(s, 1).n_notes, 2);
	assert_string_equal(get(s, 1).notes[0], texts[0]);
	assert_string_equal(get(s, 1).notes[1], "two\\x0alines");
	assert_true(get(s, 1).excluded);
	memset(big, 'x', sizeof(big) - 1);
	notes = (struct db_env_notes){.environment = id_of(1), .texts = many, .n = 3};
	assert_int_equal(db_env_note(s->conn, &mine, &notes, &s->err), 0);
	assert_int_equal(get(s, 1).n_notes, 2);
	assert_string_equal(get(s, 1).notes[0], "first");
	assert_string_equal(get(s, 1).notes[1], "...");
	notes.n = 0;
	assert_int_equal(db_env_note(s->conn, &mine, &notes, &s->err), 0);
	assert_int_equal(get(s, 1).n_notes, 0);
	assert_false(get(s, 1).excluded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_follows_changes, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_windows_names, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_shared_id, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_find_and_known, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_future, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_filters, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_notes, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_pages, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
