#include "agent/core/hide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "tests/support/fault.h"

/* What was noted, to be looked up again. */
struct notes {
	struct {
		char hex[HIDE_HEX + 1];
		char text[4200];
	} items[80];
	size_t n;
};

static int note(void *ctx, const char hex[HIDE_HEX], const char *hidden, size_t n)
{
	struct notes *notes = ctx;

	assert_true(notes->n < ARRAY_SIZE(notes->items) && n < sizeof(notes->items->text));
	memcpy(notes->items[notes->n].hex, hex, HIDE_HEX);
	memcpy(notes->items[notes->n].text, hidden, n);
	notes->items[notes->n++].text[n] = '\0';
	return 0;
}

static const char *look_up(void *ctx, const char hex[HIDE_HEX])
{
	struct notes *notes = ctx;

	for (size_t i = 0; i < notes->n; i++)
		if (memcmp(notes->items[i].hex, hex, HIDE_HEX) == 0)
			return notes->items[i].text;
	return NULL;
}

/* --- paths -------------------------------------------------------------------------------- */

static const struct {
	const char *pattern;
	const char *path;
	bool hidden;
} paths[] = {
	{"/", "/home/ana", true},
	{"/home/ana", "/home/ana", true},
	{"/home/ana", "/home/ana/envs/x", true},
	{"/home/ana/", "/home/ana/envs/x", true},
	{"/home/ana", "/home/anaconda", false},
	{"/home/*/secret", "/home/ben/secret/deep", true},
	{"/home/*/secret", "/home/ben/public", false},
	{"/home/**", "/home/ben/x", true},
	{"/home/**/secret", "/home/ben/a/b/secret", true},
	{"/home/**/secret", "/srv/secret", false},
};

static void which_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const struct hide h = {.patterns = &paths[i].pattern, .n = 1};

		if (hide_matches(&h, paths[i].path) != paths[i].hidden)
			fail_msg("%s against %s", paths[i].path, paths[i].pattern);
	}
}

/* --- changes ------------------------------------------------------------------------------ */

#define ON "/"
#define SECRET "/home/ana/secret"
#define SPACED "/home/ana/my env"

/* In `told`, "#" stands for any stand-in. */
static const struct {
	const char *pattern;
	const char *prefix;
	const char *source;
	const char *command;
	const char *told;
} commands[] = {
	{SECRET, SECRET, "", "conda create -n secret python=3.12", "conda create -n # python=3.12"},
	{SECRET, SECRET, "", "conda create -p " SECRET " python", "conda create -p # python"},
	{SECRET, SECRET, "", "conda create --prefix=" SECRET "/ x", "conda create --prefix=#/ x"},
	{SECRET, SECRET, "", "mamba create --name=secret x", "mamba create --name=# x"},
	{SECRET, SECRET, "", "pip install -r " SECRET "/req.txt", "pip install -r #"},
	{SECRET, SECRET, "", "conda create -p './secret' x", "conda create -p '#' x"},
	{SECRET, SECRET, "", "conda create -p ../else x", "conda create -p # x"},
	{SECRET, SECRET, "", "conda env create -f ~/specs/prod.yml", "conda env create -f #"},
	{SECRET, SECRET, "", "conda env create -f secret.yml", "conda env create -f #"},
	{SECRET, SECRET, "", "conda create -n secret-2 x", "conda create -n secret-2 x"},
	{SECRET, SECRET, "", "/opt/conda/bin/conda install x", "/opt/conda/bin/conda install x"},
	{SECRET, SECRET, "", SECRET "/bin/conda install x", "# install x"},
	{"/home/ana", SPACED, "", "conda create -p " SPACED " x", "conda create -p # x"},
	{"/home/ana", SPACED, "", "conda create -p \"" SPACED "/sub\" x",
	 "conda create -p \"#\" x"},
	{"/home/ana", "/srv/env", "", "pip install file:///home/ana/w.whl", "pip install file://#"},
	{"/home/ana", "/srv/env", "", "pip install w@file:///home/ana/w.whl x",
	 "pip install w@file://# x"},
	{"/home/ana", "/srv/env", "", "conda install -c https://x.org/home/ana a",
	 "conda install -c https://x.org/home/ana a"},
	{"/home/ana", "/srv/env", "", "conda install x,/home/ana/a,/home/ana/b",
	 "conda install x,#"},
	{"/home/ana", "/srv/env", "", "conda install -c conda-forge/label/dev ./a",
	 "conda install -c conda-forge/label/dev ./a"},
	{"/home/ana", "/srv/env", "", "tool -f=/srv/a:/home/ana/b", "tool -f=/srv/a:#"},
	{"/home/ana", "/srv/env", "/home/ana/base", "conda create --clone base -n env",
	 "conda create --clone # -n env"},
	{ON, "/srv/env", "", "/opt/conda/bin/conda create -n env -c conda-forge/label/dev x",
	 "# create -n # -c conda-forge/label/dev x"},
	{ON, "/srv/conda", "", "conda install conda", "conda install #"},
	{SECRET, SECRET, "", "", ""},
	{SECRET, SECRET, "", "  ", "  "},
};

static bool is_told(const char *text, const char *told)
{
	for (; *told; told++) {
		if (*told != '#') {
			if (*text++ != *told)
				return false;
			continue;
		}
		if (strncmp(text, HIDE_MARK, sizeof(HIDE_MARK) - 1) != 0)
			return false;
		text += sizeof(HIDE_MARK) - 1;
		if (strspn(text, "0123456789abcdef") < HIDE_HEX)
			return false;
		text += HIDE_HEX;
	}
	return *text == '\0';
}

static void each_command(void **state)
{
	static struct notes notes;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct hide h = {
			.patterns = &commands[i].pattern, .n = 1, .note = note, .ctx = &notes};
		const char *back;
		struct arena arena;
		struct change c;

		notes.n = 0;
		change_init(&c);
		c.prefix = commands[i].prefix;
		c.command = commands[i].command;
		arena_init(&arena, 1 << 20);
		assert_int_equal(hide_change(&h, commands[i].source, &arena, &c), 0);
		if (!is_told(c.command, commands[i].told))
			fail_msg("%s became %s", commands[i].command, c.command);
		assert_int_equal(strcmp(c.prefix, commands[i].prefix) != 0,
				 hide_matches(&h, commands[i].prefix));
		assert_int_equal(
			hide_reveal(c.command, CHANGE_COMMAND_MAX, look_up, &notes, &arena, &back),
			0);
		assert_string_equal(back, commands[i].command);
		assert_int_equal(
			hide_reveal(c.prefix, CHANGE_PATH_MAX, look_up, &notes, &arena, &back), 0);
		assert_string_equal(back, commands[i].prefix);
		arena_deinit(&arena);
	}
}

/* The same path has the same stand-in, with the same key; with another key another one. */
static void stand_ins(void **state)
{
	struct hide h = {.n = 0};
	struct arena arena;
	const char *a;
	const char *b;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_int_equal(hide_text(&h, SECRET, strlen(SECRET), &arena, &a), 0);
	assert_int_equal(hide_text(&h, SECRET, strlen(SECRET), &arena, &b), 0);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), HIDE_STAND_IN);
	h.key[0] = 1;
	assert_int_equal(hide_text(&h, SECRET, strlen(SECRET), &arena, &b), 0);
	assert_string_not_equal(a, b);
	arena_deinit(&arena);
}

/* A command of many short words can't become longer than a command may be, nor noted without end.
 */
static void long_commands(void **state)
{
	static struct notes notes;
	static const char *const patterns[] = {ON};
	const struct hide h = {.patterns = patterns, .n = 1, .note = note, .ctx = &notes};
	char command[CHANGE_COMMAND_MAX + 1];
	struct arena arena;
	struct change c;

	(void)state;
	for (size_t i = 0; i < CHANGE_COMMAND_MAX; i++)
		command[i] = "/a "[i % 3];
	command[CHANGE_COMMAND_MAX] = '\0';
	notes.n = 0;
	change_init(&c);
	c.prefix = "/srv/env";
	c.command = command;
	arena_init(&arena, 1 << 20);
	assert_int_equal(hide_change(&h, "", &arena, &c), 0);
	assert_true(strlen(c.command) <= CHANGE_COMMAND_MAX);
	assert_null(strstr(c.command, "/a"));
	assert_true(notes.n <= 66);

	memset(command, 'x', CHANGE_COMMAND_MAX);
	memcpy(command + CHANGE_COMMAND_MAX - 8, " /a /bcd", 8);
	notes.n = 0;
	c.command = command;
	assert_int_equal(hide_change(&h, "", &arena, &c), 0);
	assert_true(strlen(c.command) <= CHANGE_COMMAND_MAX);
	assert_null(strchr(c.command, '/'));
	arena_deinit(&arena);
}

/* What looks like a stand-in and is none stays; what would grow beyond the bound stays, too. */
static void not_ours(void **state)
{
	static struct notes notes;
	static const char text[] =
		"a /hashed/ /hashed/0123 /hashed/0123456789abcdef0123456789abcdef";
	struct arena arena;
	const char *back;

	(void)state;
	notes.n = 0;
	arena_init(&arena, 1 << 20);
	assert_int_equal(hide_reveal(text, 4096, look_up, &notes, &arena, &back), 0);
	assert_string_equal(back, text);
	assert_int_equal(note(&notes, "0123456789abcdef0123456789abcdef", text, 60), 0);
	assert_int_equal(hide_reveal(text, 64, look_up, &notes, &arena, &back), 0);
	assert_string_equal(back, text);
	arena_deinit(&arena);
}

static int hide_again(void *ctx)
{
	static const char *const patterns[] = {SECRET};
	struct hide h = {.patterns = patterns, .n = 1};
	struct arena arena;
	struct change c;
	const char *back;
	int rc;

	(void)ctx;
	change_init(&c);
	c.prefix = SECRET;
	c.command = "conda create -p " SECRET " -n secret";
	arena_init(&arena, 1 << 20);
	rc = hide_change(&h, "", &arena, &c);
	if (rc == 0)
		rc = hide_reveal(c.command, 4096, look_up, &(struct notes){.n = 0}, &arena, &back);
	arena_deinit(&arena);
	return rc;
}

static void out_of_memory(void **state)
{
	(void)state;
	fault_each_alloc(hide_again, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_paths), cmocka_unit_test(each_command),
		cmocka_unit_test(stand_ins),   cmocka_unit_test(long_commands),
		cmocka_unit_test(not_ours),    cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
