#include "agent/core/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"

static const char *const envs_dirs[] = {"/srv/envs", "~/e/../$USER", "$OTHER", "here"};

struct row {
	enum resolve_kind kind;
	const char *typed;
	const char *expect; /* candidates joined by blanks, or "! error" */
	bool mamba;
	bool read_only;
};

static const struct row rows[] = {
	{RESOLVE_DEFAULT, "", "/active", false, false},
	{RESOLVE_NAME, "x",
	 "/srv/envs/x /home/ana/ana/x /work/dir/$OTHER/x /work/dir/here/x /base/envs/x "
	 "/home/ana/.conda/envs/x",
	 false, false},
	{RESOLVE_ENV, "x",
	 "/srv/envs/x /home/ana/ana/x /work/dir/$OTHER/x /work/dir/here/x /base/envs/x "
	 "/home/ana/.conda/envs/x",
	 false, false},
	{RESOLVE_ENV, "x",
	 "/srv/envs/x /home/ana/ana/x /work/dir/$OTHER/x /work/dir/here/x "
	 "/home/ana/.conda/envs/x /base/envs/x",
	 false, true},
	{RESOLVE_ENV, "x",
	 "/srv/envs/x /home/ana/ana/x /work/dir/$OTHER/x /work/dir/here/x /base/envs/x", true,
	 true},
	{RESOLVE_NAME, "root",
	 "/srv/envs/root /home/ana/ana/root /work/dir/$OTHER/root /work/dir/here/root "
	 "/base/envs/root",
	 true, false},
	{RESOLVE_NAME, "base", "/base", true, false},
	{RESOLVE_NAME, "base", "/base", false, false},
	{RESOLVE_NAME, "root", "/base", false, false},
	{RESOLVE_ENV, "./x", "/work/dir/x", false, false},
	{RESOLVE_ENV, "../x", "/work/x", false, false},
	{RESOLVE_ENV, "/a/b/../c//d/./", "/a/c/d", false, false},
	{RESOLVE_ENV, "/../../etc", "/etc", false, false},
	{RESOLVE_ENV, "~/envs/x", "/home/ana/envs/x", false, false},
	{RESOLVE_PREFIX, "x", "/work/dir/x", false, false},
	{RESOLVE_PREFIX, "/p", "/p", false, false},
	{RESOLVE_NAME, "a/b", "! an environment's name has no '/', ':' or '#'", false, false},
	{RESOLVE_NAME, "a:b", "! an environment's name has no '/', ':' or '#'", false, false},
	{RESOLVE_PREFIX, "~", "/home/ana", false, false},
	{RESOLVE_PREFIX, "$CONDA_PREFIX/../${USER}-1/$NO", "/ana-1/$NO", false, false},
	{RESOLVE_NAME, "", "! no environment named", false, false},
};

static void each_target(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct resolve_input in = {.kind = rows[i].kind,
						 .typed = rows[i].typed,
						 .where = {.cwd = "/work/dir",
							   .conda_prefix = "/active",
							   .base = "/base",
							   .user = "ana",
							   .home = "/home/ana"},
						 .mamba = rows[i].mamba,
						 .base_read_only = rows[i].read_only,
						 .envs_dirs = envs_dirs,
						 .n_envs_dirs = ARRAY_SIZE(envs_dirs)};
		struct resolved out;
		struct arena arena;
		struct err err = ERR_INIT;
		struct buf got;

		arena_init(&arena, 1 << 20);
		buf_init(&got, 4096);
		if (resolve(&in, &arena, &out, &err) < 0)
			buf_addf(&got, "! %s", err.text);
		else
			for (size_t k = 0; k < out.n; k++)
				buf_addf(&got, "%s%s", k > 0 ? " " : "", out.candidates[k]);
		assert_string_equal(buf_cstr(&got), rows[i].expect);
		buf_deinit(&got);
		arena_deinit(&arena);
	}
}

static void nothing_is_active(void **state)
{
	const struct resolve_input in = {
		.kind = RESOLVE_DEFAULT, .typed = "", .where = {.cwd = "", .conda_prefix = ""}};
	struct resolved out;
	struct arena arena;
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_int_equal(resolve(&in, &arena, &out, &err), ERR_INVALID);
	assert_non_null(strstr(err.text, "no environment is active"));
	arena_deinit(&arena);
}

static void each_once(void **state)
{
	struct resolved out = {.n = 0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_int_equal(resolve_add(&out, &arena, "/a/b"), 0);
	assert_int_equal(resolve_add(&out, &arena, "/a//b/"), 0);
	assert_int_equal(resolve_add(&out, &arena, "not absolute"), 0);
	assert_int_equal(out.n, 1);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_target),
		cmocka_unit_test(nothing_is_active),
		cmocka_unit_test(each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
