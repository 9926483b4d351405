#include "lib/policy/remedy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/conda/match_spec.h"
#include "tests/support/fault.h"

#define PACKAGE(manager_, name_)                                                                   \
	{                                                                                          \
		.manager = manager_, .name = name_, .version = "1", .build = "", .channel = "",    \
		.subdir = "", .license = "", .url = ""                                             \
	}

static const struct package openssl = PACKAGE("conda", "openssl");
static const struct package pyyaml = PACKAGE("pypi", "pyyaml");
static const struct package pip = PACKAGE("conda", "pip");

static const struct policy_package with_pip[] = {{.package = &openssl}, {.package = &pip}};

static struct policy_facts facts_of(const char *tool, const char *path)
{
	return (struct policy_facts){
		.name = strrchr(path, '/') + 1,
		.path = path,
		.user = "ana",
		.platform = "linux-64",
		.tool = tool,
		.packages = with_pip,
		.n_packages = 2,
	};
}

static const char *remedy_for(const struct policy_facts *facts, const struct package *package,
			      const char *spec, struct arena *arena)
{
	struct match_spec parsed;
	struct condition when = {.kind = CONDITION_PACKAGE, .specs = &parsed, .n_specs = 1};
	const char *out = NULL;

	assert_int_equal(match_spec_parse(spec, strlen(spec), arena, &parsed, NULL), 0);
	assert_int_equal(remedy_of_condition(&when, facts, package, arena, &out), 0);
	return out;
}

/* Behind "conda install -n old ", or "remove ...". */
static const struct {
	const char *spec;
	const char *command;
} opposites[] = {
	{"openssl <3", "install 'openssl>=3'"},
	{"openssl<=3.0.7", "install 'openssl>3.0.7'"},
	{"openssl >3", "install 'openssl<=3'"},
	{"openssl >=3,<3.0.7", "install 'openssl>=3.0.7'"},
	{"openssl <3.0.7,>=3", "install 'openssl>=3.0.7'"},
	{"openssl <3.*", "install 'openssl>=3'"},
	{"openssl <1.1.1zz", "install 'openssl>=1.1.1zz'"},
	{"openssl ==1.0.2u", "install 'openssl!=1.0.2u'"},
	{"openssl 1.0.2u", "install 'openssl!=1.0.2u'"},
	{"openssl=1.1", "install 'openssl!=1.1.*'"},
	{"openssl 1.1.*", "install 'openssl!=1.1.*'"},
	{"openssl 1.1*", "install 'openssl!=1.1.*'"},
	{"openssl !=3.0.9", "install openssl==3.0.9"},
	{"conda-forge::openssl <3", "install 'openssl>=3'"}, /* whatever the channel */
	{"openssl", "remove openssl"},
	{"openssl *", "remove openssl"},
	/* Nothing is sure. */
	{"openssl <1|>3", ""},
	{"openssl ~=3.0", ""},
	{"openssl 1.*.2", ""},
	{"openssl !=3.*", ""},
	{"conda-forge::openssl", ""},
	{"openssl[build=h_0]", ""},
	{"open*", ""},
	{"*[license=GPL]", ""},
	{"other <3", ""},
};

static void opposites_are_sure(void **state)
{
	struct policy_facts facts = facts_of("conda", "/home/ana/envs/old");
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(opposites); i++) {
		const char *got = remedy_for(&facts, &openssl, opposites[i].spec, &arena);
		const char *rest = strrchr(got, ' ');

		print_message("%s: %s\n", opposites[i].spec, got);
		if (!*opposites[i].command) {
			assert_string_equal(got, "");
			continue;
		}
		assert_non_null(strstr(got, " -n old "));
		assert_non_null(rest);
		assert_string_equal(rest, strchr(opposites[i].command, ' '));
		assert_int_equal(strncmp(got + strlen("conda "), opposites[i].command, 6), 0);
	}
	arena_deinit(&arena);
}

static const struct {
	const char *tool;
	const char *path;
	const struct package *package;
	const char *spec;
	const char *command;
} tools[] = {
	{"mamba", "/o/envs/a", &openssl, "openssl <3", "mamba install -n a 'openssl>=3'"},
	{"micromamba", "/o/a b", &openssl, "openssl <3",
	 "micromamba install -p '/o/a b' 'openssl>=3'"},
	{"unknown", "/o/it's", &openssl, "openssl <3",
	 "conda install -p '/o/it'\\''s' 'openssl>=3'"},
	{"conda", "/o/x", &pyyaml, "pyyaml <6", "/o/x/bin/python -m pip install 'pyyaml>=6'"},
	{"conda", "/o/x y", &pyyaml, "pyyaml", "'/o/x y'/bin/python -m pip uninstall pyyaml"},
	{"pixi", "/w/.pixi/envs/default", &openssl, "openssl <3",
	 "pixi add --manifest-path /w 'openssl>=3'"},
	{"pixi", "/w s/.pixi/envs/default", &pyyaml, "pyyaml <6",
	 "pixi add --pypi --manifest-path '/w s' 'pyyaml>=6'"},
	{"pixi", "/w/.pixi/envs/default", &openssl, "openssl",
	 "pixi remove --manifest-path /w openssl"},
	{"pixi", "/w/.pixi/envs/test", &openssl, "openssl <3", ""},
	{"pixi", "/w/envs/default", &openssl, "openssl <3", ""},
};

static void each_tool_has_its_own(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		struct policy_facts facts = facts_of(tools[i].tool, tools[i].path);

		assert_string_equal(remedy_for(&facts, tools[i].package, tools[i].spec, &arena),
				    tools[i].command);
	}
	arena_deinit(&arena);
}

static void without_pip_there_is_uv(void **state)
{
	struct policy_facts facts = facts_of("conda", "/o/x");
	struct policy_facts windows = facts_of("conda", "C:\\o/x");
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	facts.n_packages = 1;
	assert_string_equal(remedy_for(&facts, &pyyaml, "pyyaml <6", &arena),
			    "uv pip install --python /o/x 'pyyaml>=6'");
	windows.platform = "win-64";
	assert_string_equal(remedy_for(&windows, &pyyaml, "pyyaml <6", &arena),
			    "'C:\\o/x'/python.exe -m pip install 'pyyaml>=6'");
	arena_deinit(&arena);
}

/* "all" is lifted by one of its conditions; "any" and "not" are not that simple. */
static void conditions_of_conditions(void **state)
{
	struct policy_facts facts = facts_of("conda", "/o/x");
	struct match_spec spec, other;
	struct condition package = {.kind = CONDITION_PACKAGE, .specs = &spec, .n_specs = 1};
	struct condition two[] = {{.kind = CONDITION_MANAGER}, package};
	struct condition both = {.kind = CONDITION_PACKAGE, .n_specs = 2};
	struct match_spec specs[2];
	struct arena arena;
	const char *out;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_int_equal(match_spec_parse("openssl <3", 10, &arena, &spec, NULL), 0);
	assert_int_equal(match_spec_parse("openssl <2", 10, &arena, &other, NULL), 0);
	for (int kind = CONDITION_ALL; kind <= CONDITION_NOT; kind++) {
		struct condition c = {
			.kind = (enum condition_kind)kind, .children = two, .n_children = 2};

		assert_int_equal(remedy_of_condition(&c, &facts, &openssl, &arena, &out), 0);
		assert_string_equal(
			out, kind == CONDITION_ALL ? "conda install -p /o/x 'openssl>=3'" : "");
	}
	specs[0] = spec;
	specs[1] = other;
	both.specs = specs;
	assert_int_equal(remedy_of_condition(&both, &facts, &openssl, &arena, &out), 0);
	assert_string_equal(out, "");
	assert_int_equal(remedy_of_condition(&package, &facts, NULL, &arena, &out), 0);
	assert_string_equal(out, "");
	arena_deinit(&arena);
}

static int find_once(void *ctx)
{
	struct policy_facts facts = facts_of("conda", "/o/x");
	struct match_spec spec;
	struct condition when = {.kind = CONDITION_PACKAGE, .specs = &spec, .n_specs = 1};
	struct arena arena;
	const char *out;
	int rc;

	(void)ctx;
	arena_init(&arena, 1 << 20);
	rc = match_spec_parse("pyyaml <6", 9, &arena, &spec, NULL);
	if (rc == 0)
		rc = remedy_of_condition(&when, &facts, &pyyaml, &arena, &out);
	if (rc == 0)
		assert_string_equal(out, "/o/x/bin/python -m pip install 'pyyaml>=6'");
	arena_deinit(&arena);
	return rc;
}

static void memory_may_run_out(void **state)
{
	(void)state;
	fault_each_alloc(find_once, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opposites_are_sure),
		cmocka_unit_test(each_tool_has_its_own),
		cmocka_unit_test(without_pip_there_is_uv),
		cmocka_unit_test(conditions_of_conditions),
		cmocka_unit_test(memory_may_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
