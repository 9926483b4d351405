/*
 * Policies written to do harm: huge, nested, referring to themselves, with patterns and specs that
 * make a matcher go back and forth. All end soon, refused or read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/policy/eval.h"
#include "lib/policy/policy_check.h"
#include "lib/policy/policy_read.h"

/* Processor time, so that a busy machine fails nothing. What goes wrong takes years, not minutes.
 */
#define SECONDS_MAX 30
#define NOW INT64_C(1764000000000)
#define PACKAGES 400
#define NAME_SIZE 120

struct world {
	struct buf yaml;
	struct arena arena;
	struct problems problems;
	struct policy policy;
	clock_t begin;
};

static int setup(void **state)
{
	struct world *w = mem_calloc(1, sizeof(*w));

	assert_non_null(w);
	buf_init(&w->yaml, 64U << 20);
	arena_init(&w->arena, POLICY_MEMORY_MAX);
	problems_init(&w->problems, &w->arena);
	w->begin = clock();
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	double seconds = (double)(clock() - w->begin) / CLOCKS_PER_SEC;

	buf_deinit(&w->yaml);
	arena_deinit(&w->arena);
	mem_free(w);
	if (seconds > SECONDS_MAX)
		fail_msg("%.1f s", seconds);
	return 0;
}

static void add(struct buf *out, const char *text)
{
	buf_add(out, text, strlen(text));
}

static void repeat(struct buf *out, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		add(out, text);
}

static int read_it(struct world *w)
{
	assert_int_equal(buf_rc(&w->yaml), 0);
	return policy_read(w->yaml.data, w->yaml.len, &w->arena, &w->policy, &w->problems, NULL);
}

static void refused(struct world *w, const char *because)
{
	assert_int_equal(read_it(w), ERR_INVALID);
	assert_in_range(w->problems.n, 1, 1000);
	if (!strstr(w->problems.items[0].text, because))
		fail_msg("%s", w->problems.items[0].text);
}

/* --- shapes --- */

static void test_deep_lists(void **state)
{
	struct world *w = *state;

	add(&w->yaml, "policy: 1\nrules: ");
	repeat(&w->yaml, "[", 200000);
	refused(w, "deep");
}

static void test_deep_maps(void **state)
{
	struct world *w = *state;

	add(&w->yaml, "policy: 1\nrules:\n");
	for (size_t i = 1; i < 2000; i++) {
		repeat(&w->yaml, " ", i);
		add(&w->yaml, "a:\n");
	}
	refused(w, "deep");
}

static void nest_conditions(struct world *w, size_t depth)
{
	add(&w->yaml, "policy: 1\nrules: [{id: a, action: warn, when: ");
	repeat(&w->yaml, "{not: ", depth);
	add(&w->yaml, "{package: x}");
	repeat(&w->yaml, "}", depth);
	add(&w->yaml, "}]\n");
}

static void test_conditions_in_conditions(void **state)
{
	struct world *w = *state;

	nest_conditions(w, POLICY_DEPTH_MAX - 1);
	assert_int_equal(read_it(w), 0);
	buf_clear(&w->yaml);
	nest_conditions(w, POLICY_DEPTH_MAX + 1);
	refused(w, "deep");
}

static void test_cycle(void **state)
{
	struct world *w = *state;

	add(&w->yaml, "policy: 1\nrules: &a\n  - {id: b, action: warn, when: {all: *a}}\n");
	refused(w, "aliases are not supported");
}

static void test_laughs(void **state)
{
	struct world *w = *state;

	add(&w->yaml, "policy: 1\na0: &a0 [lol]\n");
	for (size_t i = 1; i < 60; i++)
		buf_addf(&w->yaml, "a%zu: &a%zu [*a%zu, *a%zu]\n", i, i, i - 1, i - 1);
	refused(w, "aliases are not supported");
}

static void test_too_many_bytes(void **state)
{
	struct world *w = *state;

	add(&w->yaml, "policy: 1\n");
	repeat(&w->yaml, "# and so on and so on and so on\n", POLICY_SOURCE_MAX / 32 + 1);
	assert_true(read_it(w) < 0);
}

/* As many as there may be in one text, each wrong: the first ones are told. */
static void test_many_faults(void **state)
{
	struct world *w = *state;

	add(&w->yaml, "policy: 1\nrules:\n");
	repeat(&w->yaml, "  - {id: same, when: {package: x}, action: maybe}\n", 20000);
	refused(w, "not known here");
}

/* --- patterns and specs, asked about packages that nearly match --- */

struct hostile {
	const char *before; /* of a condition */
	const char *part;
	size_t times;
	const char *after;
	bool refused;
};

static const struct hostile hostile_cases[] = {
	{"{package: \"", "*a", 400, "b\"}", false},
	{"{package: \"", "*", 1000, "b\"}", false},
	{"{package: \"x[version='^", "(1*)*", 60, "b$']\"}", false},
	{"{package: \"x[version='^", "(.*)*", 60, "b$']\"}", false},
	{"{package: \"x[version='^", "1?.?", 60, "1.1.1.1.1.1.1b$']\"}", false},
	{"{package: \"^", "(a*)*", 60, "b$\"}", true}, /* conda's own end of a name's pattern */
	{"{package: \"^", "(", 500, "a$\"}", true},
	{"{package: \"x ", "1|", 400, "1\"}", false},
	{"{package: \"x ", "(", 400, "1\"}", true},
	{"{package: \"x >=", "1.", 400, "1\"}", true},
	{"{package: \"x ", "=*1", 200, "\"}", true},
	{"{package: \"* * ", "*_", 300, "0\"}", false},
	{"{channel: [\"", "*a", 400, "b\"]}", false},
	{"{channel: [\"https://", "*/", 400, "b\"]}", false},
	{"{license: [\"", "*a", 400, "b\"]}", false},
	{"{env_name: \"", "*a", 400, "b\"}", false},
	{"{env_path: \"", "/**", 300, "/b\"}", false},
	{"{env_path: \"", "/*a*", 200, "/**/b\"}", false},
	{"{all: [", "{license: [\"*a*a*a*b\"]}, ", 900, "{env_name: x}]}", false},
};

static void evaluate(struct world *w)
{
	static char name[NAME_SIZE + 1], path[2 * NAME_SIZE + 1];
	static struct package packages[PACKAGES];
	static struct policy_package list[PACKAGES];
	struct policy_facts facts = {.name = name,
				     .path = path,
				     .user = name,
				     .platform = "linux-64",
				     .tool = "conda",
				     .packages = list,
				     .n_packages = PACKAGES};
	struct eval_input in = {.facts = &facts, .now_ms = NOW};
	struct rule_index *index = NULL;
	struct evaluation out;

	memset(name, 'a', NAME_SIZE);
	for (size_t i = 0; i < sizeof(path) - 1; i++)
		path[i] = i % 2 ? 'a' : '/';
	for (size_t i = 0; i < PACKAGES; i++) {
		packages[i] = (struct package){.manager = "conda",
					       .name = i % 2 ? name : "x",
					       .version = "1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.2",
					       .build = name,
					       .channel = name,
					       .subdir = "linux-64",
					       .url = "",
					       .license = name};
		list[i] = (struct policy_package){.package = &packages[i]};
	}
	assert_int_equal(rule_index_new(&w->policy, &w->arena, &index), 0);
	in.index = index;
	assert_int_equal(policy_eval(&in, &w->arena, &out), 0);
}

static void test_patterns(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(hostile_cases); i++) {
		const struct hostile *h = &hostile_cases[i];
		clock_t begin = clock();
		int rc;

		arena_reset(&w->arena);
		problems_init(&w->problems, &w->arena);
		buf_clear(&w->yaml);
		buf_addf(&w->yaml, "policy: 1\nrules: [{id: a, action: warn, when: %s", h->before);
		repeat(&w->yaml, h->part, h->times);
		buf_addf(&w->yaml, "%s}]\n", h->after);
		rc = read_it(w);
		if (rc != (h->refused ? ERR_INVALID : 0))
			fail_msg("%s%s...: %d %s", h->before, h->part, rc,
				 w->problems.n ? w->problems.items[0].text : "");
		if (rc == 0) {
			(void)policy_check(&w->policy, NOW, &w->arena, &w->problems, NULL);
			evaluate(w);
		}
		print_message("%s%s... %.3f s\n", h->before, h->part,
			      (double)(clock() - begin) / CLOCKS_PER_SEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deep_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deep_maps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conditions_in_conditions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cycle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_laughs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_patterns, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
