#include "agent/reader/condarc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "tests/support/fault.h"

/* One file as "final? a^ b_ c": ^ top, _ bottom; "-" when the key is not given. */
static void show(const struct condarc *c, struct buf *out)
{
	static const char *const marks[] = {"", "!", "^", "_"};

	if (!c->given)
		buf_adds(out, "-");
	if (c->final)
		buf_adds(out, "final");
	for (size_t i = 0; i < c->n; i++)
		buf_addf(out, "%s%s%s", out->len > 0 ? " " : "", c->items[i].text,
			 marks[c->items[i].mark]);
}

struct parse_row {
	const char *text;
	const char *expect; /* "!": no YAML that counts */
};

static const struct parse_row parse_rows[] = {
	{"", "-"},
	{"# only this\n", "-"},
	{"channels: [a]\n", "-"},
	{"envs_dirs:\n  - /a\n  - ~/b\n", "/a ~/b"},
	{"envs_path:\n- /a\n", "/a"},
	{"envs_dirs: [/a, '/b c', \"/d\\te\"]\n", "/a /b c /d\te"},
	{"envs_dirs:\n", "-"},
	{"envs_dirs: ~\n", "-"},
	{"envs_dirs: /a\n", "-"},
	{"envs_dirs: []\n", ""},
	{"envs_dirs:\n  - ~\n  - null\n  - ''\n  - '~'\n", "~"},
	{"envs_dirs:\n  - [/x]\n  - {a: /y}\n  - /z\n", "/z"},
	{"envs_dirs:\n  - &here /a\n  - *here\n", "/a"},
	{"other:\n  envs_dirs: [/no]\nlist: [{envs_dirs: [/no]}]\nenvs_dirs: [/yes]\n", "/yes"},
	{"? [a, b]\n: c\nenvs_dirs: [/a]\n", "/a"},
	{"- envs_dirs\n", "-"},
	{"text\n", "-"},
	{"envs_dirs: [/a]\nenvs_path: [/b]\n", "/a /b"},
	{"envs_dirs: [/a]\nenvs_dirs: [/b]\nenvs_dirs: [/c]\n", "!"},
	{"--- {a: b}\n--- {envs_dirs: [/a]}\n", "!"},
	{"envs_dirs: [/a\n", "!"},
	{"envs_dirs:\n\t- /a\n", "!"},
	{"envs_dirs: [/a]\n\xFF\n", "!"},
	{"\xEF\xBB\xBF"
	 "envs_dirs: [/a]  #!final\n",
	 "final /a"},
	/* marks */
	{"envs_dirs: #!final\n  - /a #!top\n  - /b  #!bottom\n  - /c # !top\n", "final /a^ /b_ /c"},
	{"envs_dirs:  # !final\n  - /a\n", "/a"},
	{"envs_dirs: #final\n  - '/\xC3\xA9t\xC3\xA9' #top#\n", "final /\xC3\xA9t\xC3\xA9^"},
	{"envs_dirs: [/a, /b] #!final\n", "final /a /b"},
	{"envs_dirs:\n  - /a #!top\n  # a word more\n  - /b\n", "/a /b"},
	{"envs_dirs:\n  - /a #!top\n\n  - /b\n", "/a^ /b"},
	{"envs_dirs:\n  - /a #!final\n", "/a!"},
	{"envs_dirs:\n  - '/a #!top'\n", "/a #!top"},
	{"envs_dirs:\r\n  - /a #!top\r\n  - /b\r\n", "/a^ /b"},
	{"a: '\xE2\x80\xA8'\nenvs_dirs:\n  - /a #!top\n", "/a^"},
	{"channels: #!final\n  - x\nenvs_dirs:\n  - /a\n", "/a"},
};

static void each_file(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parse_rows); i++) {
		struct condarc got = {.given = true};
		struct arena arena;
		struct buf text;

		arena_init(&arena, CONDARC_ARENA_MAX);
		buf_init(&text, 65536);
		if (condarc_parse(parse_rows[i].text, strlen(parse_rows[i].text), &arena, &got,
				  NULL) < 0)
			buf_adds(&text, "!");
		else
			show(&got, &text);
		if (strcmp(buf_cstr(&text), parse_rows[i].expect) != 0)
			fail_msg("%s -> %s, not %s", parse_rows[i].text, buf_cstr(&text),
				 parse_rows[i].expect);
		buf_deinit(&text);
		arena_deinit(&arena);
	}
}

/* Bombs: deep nesting, many items, a big file, aliases of aliases. */
static void bounds_hold(void **state)
{
	struct condarc got;
	struct arena arena;
	struct buf text;

	(void)state;
	arena_init(&arena, CONDARC_ARENA_MAX);
	buf_init(&text, 2 * CONDARC_FILE_MAX);
	buf_adds(&text, "a: ");
	for (int i = 0; i < 60000; i++)
		buf_addc(&text, '[');
	assert_true(condarc_parse(text.data, text.len, &arena, &got, NULL) < 0);
	buf_clear(&text);
	buf_adds(&text, "envs_dirs:\n");
	for (int i = 0; i <= CONDARC_DIRS_MAX; i++)
		buf_addf(&text, "- /%d\n", i);
	assert_int_equal(condarc_parse(text.data, text.len, &arena, &got, NULL), ERR_LIMIT);
	buf_clear(&text);
	for (int i = 0; i <= CONDARC_FILE_MAX; i++)
		buf_addc(&text, '#');
	assert_int_equal(condarc_parse(text.data, text.len, &arena, &got, NULL), ERR_LIMIT);
	buf_clear(&text);
	buf_adds(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 40; i++) {
		buf_addf(&text, "a%d: &a%d [", i, i);
		for (int k = 0; k < 9; k++)
			buf_addf(&text, "*a%d,", i - 1);
		buf_adds(&text, "]\n");
	}
	buf_adds(&text, "envs_dirs: *a39\n");
	assert_int_equal(condarc_parse(text.data, text.len, &arena, &got, NULL), 0);
	assert_false(got.given);
	buf_deinit(&text);
	arena_deinit(&arena);
}

/* Files in rising priority, in the form of show(), and the list that conda and mamba make of them
 * (conda/common/configuration.py, SequenceLoadedParameter.merge). */
struct merge_row {
	const char *files[4];
	const char *conda;
	const char *mamba;
};

static const struct merge_row merge_rows[] = {
	{{"-"}, "", ""},
	{{"/a /b"}, "/a /b", "/a /b"},
	{{"/a /b", "/c"}, "/c /a /b", "/c /a /b"},
	{{"/a", "-", "/b"}, "/b /a", "/b /a"},
	{{"/a /b", "/b /c"}, "/b /c /a", "/b /c /a"},
	{{"final /a", "/b"}, "/a", "/b /a"},
	{{"/a", "final /b", "/c"}, "/b /a", "/c /b /a"},
	{{"/a^ /b", "/c"}, "/a /c /b", "/c /a /b"},
	{{"/a /b_", "/c"}, "/c /a /b", "/c /a /b"},
	{{"/a_ /b", "/c_ /d"}, "/d /b /c /a", "/c /d /a /b"},
	{{"/a^", "/b^", "/c"}, "/a /b /c", "/c /b /a"},
	{{"/x^ /y", "/x_"}, "/y /x", "/x /y"},
	{{"/1 /2_ /3^", "final /4 /5_ /6^", "/7^"}, "/3 /6 /4 /1 /5 /2", "/7 /4 /5 /6 /1 /2 /3"},
};

static void read_list(const char *text, struct arena *arena, struct condarc *out)
{
	char *copy = arena_strdup(arena, text);
	char *rest = copy;

	*out = (struct condarc){.given = strcmp(text, "-") != 0};
	out->items = arena_calloc(arena, 16, sizeof *out->items);
	while (out->given && *rest != '\0') {
		char *word = rest;
		char *end = word + strcspn(word, " ") - 1;
		struct condarc_item *item = &out->items[out->n];

		rest = end[1] == ' ' ? end + 2 : end + 1;
		end[1] = '\0';
		if (strcmp(word, "final") == 0) {
			out->final = true;
			continue;
		}
		item->mark = *end == '^'   ? CONDARC_TOP
			     : *end == '_' ? CONDARC_BOTTOM
					   : CONDARC_PLAIN;
		if (item->mark != CONDARC_PLAIN)
			*end = '\0';
		item->text = word;
		out->n++;
	}
}

static void join(const char *const *dirs, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "%s%s", i > 0 ? " " : "", dirs[i]);
}

static void each_merge(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(merge_rows); i++) {
		const struct merge_row *row = &merge_rows[i];
		struct condarc files[4];
		const struct condarc *refs[4];
		size_t n = 0;
		struct arena arena;

		arena_init(&arena, 1 << 20);
		for (; n < 4 && row->files[n] != NULL; n++) {
			read_list(row->files[n], &arena, &files[n]);
			refs[n] = &files[n];
		}
		for (int mamba = 0; mamba < 2; mamba++) {
			const char *const *dirs;
			size_t n_dirs;
			struct buf text;

			buf_init(&text, 4096);
			assert_int_equal(condarc_merge(refs, n,
						       mamba ? CONDARC_BY_MAMBA : CONDARC_BY_CONDA,
						       &arena, &dirs, &n_dirs),
					 0);
			join(dirs, n_dirs, &text);
			if (strcmp(buf_cstr(&text), mamba ? row->mamba : row->conda) != 0)
				fail_msg("row %zu: %s, not %s", i, buf_cstr(&text),
					 mamba ? row->mamba : row->conda);
			buf_deinit(&text);
		}
		arena_deinit(&arena);
	}
}

static int all_of_it(void *ctx)
{
	static const char text[] = "envs_dirs: #!final\n  - /a #!top\n  - ~/b\n";
	const char *const *dirs;
	size_t n;
	struct condarc got = {0};
	const struct condarc *files[] = {&got};
	struct arena arena;
	int rc;

	(void)ctx;
	arena_init(&arena, CONDARC_ARENA_MAX);
	rc = condarc_parse(text, sizeof text - 1, &arena, &got, NULL);
	if (rc == 0)
		rc = condarc_merge(files, 1, CONDARC_BY_CONDA, &arena, &dirs, &n);
	if (rc == 0)
		assert_int_equal(n, 2);
	arena_deinit(&arena);
	return rc;
}

static void memory_runs_out(void **state)
{
	(void)state;
	fault_each_alloc(all_of_it, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_file),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(each_merge),
		cmocka_unit_test(memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
