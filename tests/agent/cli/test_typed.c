#include "agent/cli/typed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

#define WORDS_MAX 12

static const struct {
	const char *tool;
	const char *words; /* parted by blanks; "_" is an empty one */
	enum typed_kind kind;
	const char *what;
	const char *manifest;
} cases[] = {
	{"conda", "", TYPED_NOTHING, NULL, NULL},
	{"conda", "activate", TYPED_ENV, "base", NULL},
	{"conda", "activate a", TYPED_ENV, "a", NULL},
	{"conda", "activate --stack a", TYPED_ENV, "a", NULL},
	{"conda", "activate a --no-stack _", TYPED_ENV, "a", NULL},
	{"conda", "activate ./a", TYPED_ENV, "./a", NULL},
	{"conda", "activate -n a", TYPED_NAME, "a", NULL},
	{"conda", "activate -x", TYPED_ENV, "-x", NULL},
	{"conda", "activate -prod --dev", TYPED_ENV, "-prod", NULL},
	{"micromamba", "activate -x", TYPED_ENV, "base", NULL},
	{"conda", "activate a --help", TYPED_NOTHING, NULL, NULL},
	{"conda", "-v activate a", TYPED_ENV, "a", NULL},
	{"conda", "activate a > f", TYPED_ENV, "a", NULL},
	{"conda", "activate >> & ! f a < g", TYPED_ENV, "a", NULL},
	{"conda", "activate > ! f", TYPED_ENV, "base", NULL},
	{"conda", "activate >", TYPED_ENV, ">", NULL},
	{"conda", "activate >x a", TYPED_ENV, "a", NULL},
	{"conda", "deactivate", TYPED_NOTHING, NULL, NULL},
	{"conda", "install activate", TYPED_NOTHING, NULL, NULL},
	{"micromamba", "activate -p /a", TYPED_PREFIX, "/a", NULL},
	{"micromamba", "activate --prefix=/a --stack", TYPED_PREFIX, "/a", NULL},
	{"micromamba", "activate --name", TYPED_ENV, "base", NULL},
	{"micromamba", "run", TYPED_ACTIVE, NULL, NULL},
	{"micromamba", "run python -n a", TYPED_ACTIVE, NULL, NULL},
	{"micromamba", "run -n a python -p /b", TYPED_NAME, "a", NULL},
	{"micromamba", "run -na python", TYPED_NAME, "a", NULL},
	{"micromamba", "run --cwd /x -e A=1 -p /a python", TYPED_PREFIX, "/a", NULL},
	{"micromamba", "run < g -n a x > f", TYPED_NAME, "a", NULL},
	{"micromamba", "run -- -n a", TYPED_ACTIVE, NULL, NULL},
	{"micromamba", "run --help", TYPED_NOTHING, NULL, NULL},
	{"mamba", "run --name=a x", TYPED_NAME, "a", NULL},
	{"pixi", "", TYPED_NOTHING, NULL, NULL},
	{"pixi", "shell", TYPED_PIXI, "default", NULL},
	{"pixi", "s -e test", TYPED_PIXI, "test", NULL},
	{"pixi", "-v --color never shell --environment=test", TYPED_PIXI, "test", NULL},
	{"pixi", "shell-hook -s bash", TYPED_PIXI, "default", NULL},
	{"pixi", "shell --manifest-path /w/pixi.toml", TYPED_PIXI, "default", "/w/pixi.toml"},
	{"pixi", "run -m /w -e test start -e x -m y", TYPED_PIXI, "test", "/w"},
	{"pixi", "r start", TYPED_PIXI, "default", NULL},
	{"pixi", "run -- -e x", TYPED_PIXI, "default", NULL},
	{"pixi", "run -w other start", TYPED_NOTHING, NULL, NULL},
	{"pixi", "run --help", TYPED_NOTHING, NULL, NULL},
	{"pixi", "add run", TYPED_NOTHING, NULL, NULL},
	{"pixi", "install -e shell", TYPED_NOTHING, NULL, NULL},
	{"", "activate a", TYPED_ENV, "a", NULL},
};

static bool same(const char *a, const char *b)
{
	return !a || !b ? a == b : strcmp(a, b) == 0;
}

static size_t split(char *text, char *words[WORDS_MAX])
{
	size_t n = 0;

	for (char *p = text; *p;) {
		size_t len = strcspn(p, " ");

		words[n++] = p;
		p += len;
		if (*p)
			*p++ = '\0';
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i], "_") == 0)
			*words[i] = '\0';
	}
	return n;
}

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[256];
		char *words[WORDS_MAX];
		struct typed got;

		(void)snprintf(text, sizeof(text), "%s", cases[i].words);
		got = typed_read(cases[i].tool, split(text, words), words);
		if (got.kind != cases[i].kind ||
		    (got.kind != TYPED_NOTHING &&
		     (!same(got.what, cases[i].what) || !same(got.manifest, cases[i].manifest))))
			fail_msg("%s %s: %d %s %s", cases[i].tool, cases[i].words, (int)got.kind,
				 got.what ? got.what : "-", got.manifest ? got.manifest : "-");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_words)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
