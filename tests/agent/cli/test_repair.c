#include "agent/cli/repair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "tests/support/fault.h"

#define PREFIX "/home/ana/envs/old"
#define PIXI "/w/.pixi/envs/default"

/* What becomes of a fix; or why there is nothing to run (NULL tool). */
static const struct {
	const char *prefix;
	const char *fix;
	const char *tool;
	const char *text;
} rows[] = {
	{PREFIX, "conda install -n old 'x>=3'", "conda", "conda install -p " PREFIX " 'x>=3'"},
	{PREFIX, "conda install --name old x", "conda", "conda install -p " PREFIX " x"},
	{PREFIX, "conda install -p " PREFIX " x", "conda", "conda install -p " PREFIX " x"},
	{PREFIX, "conda install --prefix=" PREFIX " x", "conda",
	 "conda install --prefix=" PREFIX " x"},
	{PREFIX, "conda update -p " PREFIX " x", "conda", "conda update -p " PREFIX " x"},
	{PREFIX, "conda update -n old 'x>=3'", "conda", "conda install -p " PREFIX " 'x>=3'"},
	{PREFIX, "mamba update -n old 'x>=3'", "mamba", "mamba update -p " PREFIX " 'x>=3'"},
	/* The active one is not meant. */
	{PREFIX, "micromamba remove x", "micromamba", "micromamba remove x -p " PREFIX},
	{PREFIX, "pip install 'y>=2'", "python", PREFIX "/bin/python -m pip install 'y>=2'"},
	{PREFIX, "python -m pip install y", "python", PREFIX "/bin/python -m pip install y"},
	{PREFIX, PREFIX "/bin/python -m pip uninstall y", "python",
	 PREFIX "/bin/python -m pip uninstall y"},
	{PREFIX, "uv pip install y", "uv", "uv pip install --python " PREFIX " y"},
	{PREFIX, "uv pip install --python " PREFIX " y", "uv",
	 "uv pip install --python " PREFIX " y"},
	{PREFIX, "conda run -n old pip install y", "python", PREFIX "/bin/python -m pip install y"},
	{PREFIX, "conda run --no-capture-output -p " PREFIX " python -m pip install y", "python",
	 PREFIX "/bin/python -m pip install y"},
	{PREFIX, "conda run pip install y", "python", PREFIX "/bin/python -m pip install y"},
	{PIXI, "pixi add --manifest-path /w 'x>=3'", "pixi", "pixi add --manifest-path /w 'x>=3'"},
	{PIXI, "pixi update x", "pixi", "pixi update --manifest-path /w x"},
	{PREFIX, "", NULL, "no automatic fix is known"},
	{PREFIX, "conda install x>=3", NULL, "'>'"},
	{PREFIX, "conda install -n other x", NULL, "another environment"},
	{PREFIX, "conda install --name=other x", NULL, "another environment"},
	{PREFIX, "conda install -nother x", NULL, "another environment"},
	{PREFIX, "conda install -p /other x", NULL, "another environment"},
	{PREFIX, "conda install -p/other x", NULL, "another environment"},
	{PREFIX, "conda install --prefix=/other x", NULL, "another environment"},
	{PREFIX, "conda install -n old -p /other x", NULL, "another environment"},
	{PREFIX, "conda install -n old x -n other", NULL, "another environment"},
	{PREFIX, "conda install -p " PREFIX " x -p", NULL, "another environment"},
	{PREFIX, "conda run -p /other pip install y", NULL, "another environment"},
	{PREFIX, "pip install --target /other y", NULL, "another place"},
	{PREFIX, "pip install --python /other y", NULL, "another place"},
	{PREFIX, "python -m pip install --prefix=/other y", NULL, "another place"},
	{PREFIX, "uv pip install --system y", NULL, "another place"},
	{PREFIX, "conda config --set x y", NULL, "does not change"},
	{PREFIX, "conda", NULL, "does not change"},
	{PREFIX, "conda run", NULL, "runs nothing"},
	{PREFIX, "conda run -n old sh -c id", NULL, "not pip or uv"},
	{PREFIX, "conda run -n old python -c 1", NULL, "something else than pip"},
	{PREFIX, "python -c 1", NULL, "something else than pip"},
	{PREFIX, "pip config list", NULL, "does not change"},
	{PREFIX, "uv run x", NULL, "uv pip alone"},
	{PREFIX, "uv pip install --python /other y", NULL, "another environment"},
	{PREFIX, "pixi add x", NULL, "which workspace"},
	{PIXI, "pixi update -p " PIXI " x", NULL, "not environments by -n or -p"},
	{PIXI, "pixi run x", NULL, "does not change"},
	{PREFIX, "/usr/bin/conda install x", NULL, "begins with"},
	{PREFIX, "rm -rf x", NULL, "begins with \"rm\""},
	{PREFIX, "HOME=/x conda install y", NULL, "begins with"},
	{PREFIX, "/other/bin/python -m pip install y", NULL, "begins with"},
};

static int plan(const char *prefix, const struct reason *reasons, size_t n, struct arena *arena,
		struct repair *out)
{
	struct decision d = {.action = ACTION_BLOCK,
			     .reasons = (struct reason *)(uintptr_t)reasons,
			     .n_reasons = n};
	struct environment_info environment;
	struct repair_input input = {.environment = &environment, .decision = &d, .prefix = prefix};

	environment_info_init(&environment);
	environment.prefix = prefix;
	environment.name = strrchr(prefix, '/') + 1;
	return repair_plan(&input, arena, out);
}

static void each_fix_becomes_a_command_or_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct reason reason = {
			.kind = "rule", .id = "r", .message = "", .fix = rows[i].fix};
		struct repair repair;
		struct arena arena;

		arena_init(&arena, 1 << 20);
		print_message("%s\n", rows[i].fix);
		assert_int_equal(plan(rows[i].prefix, &reason, 1, &arena, &repair), 0);
		assert_int_equal(repair.n, 1);
		assert_int_equal(repair.n_runnable, rows[i].tool != NULL);
		if (rows[i].tool) {
			assert_null(repair.steps[0].why);
			assert_string_equal(repair.steps[0].tool, rows[i].tool);
			assert_string_equal(repair.steps[0].command, rows[i].text);
		} else {
			assert_non_null(strstr(repair.steps[0].why, rows[i].text));
		}
		arena_deinit(&arena);
	}
}

static const struct reason several[] = {
	{.kind = "rule", .id = "a", .message = "", .fix = "conda install -n old x"},
	{.kind = "rule", .id = "b", .message = "", .fix = ""},
	{.kind = "rule", .id = "c", .message = "", .fix = "conda install -p " PREFIX " x"},
	{.kind = "rule", .id = "d", .message = "", .fix = "conda remove -n old y"},
};

static void the_same_is_run_once(void **state)
{
	struct repair repair;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_int_equal(plan(PREFIX, several, ARRAY_SIZE(several), &arena, &repair), 0);
	assert_int_equal(repair.n, 3);
	assert_int_equal(repair.n_runnable, 2);
	assert_string_equal(repair.steps[0].reason->id, "a");
	assert_string_equal(repair.steps[1].reason->id, "b");
	assert_string_equal(repair.steps[2].reason->id, "d");
	arena_deinit(&arena);
}

static int plan_once(void *ctx)
{
	struct repair repair;
	struct arena arena;
	int rc;

	(void)ctx;
	arena_init(&arena, 1 << 20);
	rc = plan(PREFIX, several, ARRAY_SIZE(several), &arena, &repair);
	arena_deinit(&arena);
	return rc;
}

static void memory_may_run_out(void **state)
{
	(void)state;
	fault_each_alloc(plan_once, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fix_becomes_a_command_or_none),
		cmocka_unit_test(the_same_is_run_once),
		cmocka_unit_test(memory_may_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
