/* Stores that were damaged while nobody looked: found by the probe, and set aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/store/store.h"
#include "lib/base/mem.h"
#include "tests/agent/store/fixture.h"

static void fill(struct fixture *f)
{
	struct store_bundle set = {"status", 1, "a bundle that is recognised", 27};

	fixture_see(f, "/e/a", 7, "a=1 b=1 a-recognised-name=1");
	fixture_see(f, "/e/a", 7, "a=2 b=1 a-recognised-name=1");
	fixture_see(f, "/e/b", 8, "a=1 b=1");
	assert_int_equal(store_kv_put(f->store, "k", "a setting that is recognised", 28, NULL), 0);
	assert_int_equal(store_trusted_put(f->store, &set, 1, NULL), 0);
	store_close(f->store);
	f->store = NULL;
}

/* In a child, as the agent does it: negative = it ended badly, else whether it was found damaged.
 */
static int probe(struct fixture *f)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* What the sanitizer or LMDB says about a damaged page is no news here. */
		if (!freopen("/dev/null", "w", stderr))
			_exit(3);
		_exit(store_probe(f->dir.path, NULL) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void start_anew(struct fixture *f)
{
	tmpdir_remove(&f->dir);
	tmpdir_make(&f->dir);
	fixture_reopen(f);
}

static FILE *open_file(struct fixture *f)
{
	char path[TMPDIR_PATH_MAX];
	FILE *file;

	tmpdir_path(&f->dir, "data.mdb", path);
	file = fopen(path, "r+b");
	assert_non_null(file);
	return file;
}

static long size_of(FILE *file)
{
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	return ftell(file);
}

/* Turns a bit in every place where the text stands. */
static void damage_text(struct fixture *f, const char *text)
{
	FILE *file = open_file(f);
	long size = size_of(file);
	char *data = mem_alloc((size_t)size);
	size_t n = strlen(text);
	int found = 0;

	assert_non_null(data);
	rewind(file);
	assert_int_equal(fread(data, 1, (size_t)size, file), size);
	for (long i = 0; i + (long)n <= size; i++) {
		if (memcmp(data + i, text, n) == 0) {
			assert_int_equal(fseek(file, i, SEEK_SET), 0);
			fputc(data[i] ^ 1, file);
			found++;
		}
	}
	assert_true(found > 0);
	mem_free(data);
	fclose(file);
}

static void a_sound_store(void **state)
{
	struct fixture *f = *state;

	fill(f);
	assert_int_equal(probe(f), 0);
	fixture_reopen(f);
}

static void there_is_none(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	f->store = NULL;
	tmpdir_remove(&f->dir);
	tmpdir_make(&f->dir);
	assert_int_equal(store_probe(f->dir.path, NULL), ERR_NOTFOUND);
	fixture_reopen(f);
}

static void one_bit_anywhere(void **state)
{
	static const char *const texts[] = {
		"a-recognised-name",	       /* a definition */
		"/e/a",			       /* an environment and changes */
		"a bundle that is recognised", /* signed state */
		"a setting that is recognised",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		fill(f);
		damage_text(f, texts[i]);
		assert_int_equal(probe(f), 1);
		start_anew(f);
	}
}

static void damaged_values_are_never_believed(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct environment env;
	struct buf out;
	uint64_t version;

	fill(f);
	damage_text(f, "a bundle that is recognised");
	damage_text(f, "a setting that is recognised");
	damage_text(f, "/e/b");
	fixture_reopen(f);
	buf_init(&out, 1000);
	assert_int_equal(store_trusted_get(f->store, "status", &version, &out, &err), ERR_CORRUPT);
	assert_int_equal(store_kv_get(f->store, "k", &out, &err), ERR_CORRUPT);
	assert_int_equal(out.len, 0);
	assert_int_equal(store_environment_at(f->store, "/e/b", &f->arena, &env, &err),
			 ERR_CORRUPT);
	assert_int_equal(store_environment_at(f->store, "/e/a", &f->arena, &env, &err), 0);
	buf_deinit(&out);
	start_anew(f);
}

static void cut_short_anywhere(void **state)
{
	struct fixture *f = *state;
	int found = 0;
	long size;
	FILE *file;

	for (int i = 0; i < 8; i++) {
		struct store *s = NULL;
		char path[TMPDIR_PATH_MAX];
		int rc;

		fill(f);
		file = open_file(f);
		size = size_of(file);
		fclose(file);
		tmpdir_path(&f->dir, "data.mdb", path);
		assert_int_equal(truncate(path, size / 8 * i), 0);
		if (probe(f) != 0)
			found++;
		/* Opening it all the same must not end the process. */
		rc = store_open(f->dir.path, &f->options, &s, NULL);
		assert_true(rc == 0 || rc == ERR_CORRUPT);
		store_close(s);
		start_anew(f);
	}
	/* An empty file is as good as none, and the last eighth may not have been in use. */
	assert_true(found >= 6);
}

static void something_else_altogether(void **state)
{
	struct fixture *f = *state;
	struct store *s;

	store_close(f->store);
	f->store = NULL;
	tmpdir_write_text(&f->dir, "data.mdb", "this is no store at all, and never was one");
	assert_true(store_probe(f->dir.path, NULL) < 0);
	assert_true(store_open(f->dir.path, &f->options, &s, NULL) < 0);
	start_anew(f);
}

static void it_is_set_aside(void **state)
{
	struct fixture *f = *state;
	char dir[TMPDIR_PATH_MAX];
	char first[STORE_PATH_MAX];
	char second[STORE_PATH_MAX];
	char want[STORE_PATH_MAX + 32];
	char small[8];
	struct stat st;

	tmpdir_path(&f->dir, "store", dir);
	tmpdir_write_text(&f->dir, "store/data.mdb", "x");
	assert_int_equal(store_set_aside(dir, 1795377055123, small, sizeof(small), NULL),
			 ERR_LIMIT);
	assert_int_equal(store_set_aside(dir, 1795377055123, first, sizeof(first), NULL), 0);
	snprintf(want, sizeof(want), "%s.damaged-2026-11-22-195055", dir);
	assert_string_equal(first, want);
	assert_int_equal(stat(first, &st), 0);
	assert_int_equal(stat(dir, &st), -1);
	tmpdir_mkdir(&f->dir, "store");
	assert_int_equal(store_set_aside(dir, 1795377055123, second, sizeof(second), NULL), 0);
	snprintf(want, sizeof(want), "%s-1", first);
	assert_string_equal(second, want);
	assert_int_equal(store_set_aside(dir, 1795377055123, second, sizeof(second), NULL), ERR_IO);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_sound_store),	  TEST(there_is_none),
		TEST(one_bit_anywhere),	  TEST(damaged_values_are_never_believed),
		TEST(cut_short_anywhere), TEST(something_else_altogether),
		TEST(it_is_set_aside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
