#include "agent/cli/typed.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"

struct words {
	char *const *at;
	size_t left;
};

static const char *next(struct words *w)
{
	if (w->left == 0)
		return NULL;
	w->left--;
	return *w->at++;
}

/* The same but for redirections, which tcsh hands over with the words: ">", "&", "!", "file". */
static const char *next_typed(struct words *w)
{
	const char *word = next(w);

	while (w->left > 0 && *word && word[strspn(word, "<>")] == '\0') {
		do
			word = next(w);
		while (word && (strcmp(word, "&") == 0 || strcmp(word, "!") == 0));
		word = next(w);
	}
	return word;
}

static bool is_one_of(const char *word, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(word, names[i]) == 0)
			return true;
	}
	return false;
}

static bool is_help(const char *word)
{
	return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

/* "-n VALUE", "-nVALUE", "--name VALUE", "--name=VALUE": the value; NULL: another option, or
 * without its value. */
static const char *value_of(const char *word, const char *brief, const char *full, struct words *w)
{
	size_t n = strlen(full);

	if (strcmp(word, brief) == 0 || strcmp(word, full) == 0)
		return next(w);
	if (text_starts(word, full) && word[n] == '=')
		return word + n + 1;
	if (word[1] != '-' && text_starts(word, brief))
		return word + strlen(brief) + (word[strlen(brief)] == '=');
	return NULL;
}

/* -n or -p into *out; false: it is neither. */
static bool take_target(const char *word, struct words *w, struct typed *out)
{
	const char *value = value_of(word, "-n", "--name", w);

	if (value) {
		*out = (struct typed){TYPED_NAME, value, NULL};
		return true;
	}
	value = value_of(word, "-p", "--prefix", w);
	if (value)
		*out = (struct typed){TYPED_PREFIX, value, NULL};
	return value != NULL;
}

/* To conda any other word is an environment's name, "-x" too. */
static bool is_name(const char *word, bool conda)
{
	static const char *const options[] = {"--stack", "--no-stack", "--dev",	  "-n",
					      "--name",	 "-p",	       "--prefix"};

	return *word != '-' || (conda && !is_one_of(word, options, ARRAY_SIZE(options)));
}

static struct typed read_activate(struct words *w, bool conda)
{
	struct typed out = {TYPED_ENV, "base", NULL};
	const char *word;

	while ((word = next_typed(w))) {
		if (is_help(word))
			return (struct typed){TYPED_NOTHING, NULL, NULL};
		if (!is_name(word, conda))
			(void)take_target(word, w, &out);
		else if (*word)
			out = (struct typed){TYPED_ENV, word, NULL};
	}
	return out;
}

/* Options up to the program that is to be run. */
static struct typed read_run(struct words *w)
{
	static const char *const with_value[] = {"--cwd", "-e",	      "--env",
						 "-a",	  "--attach", "--label"};
	struct typed out = {TYPED_ACTIVE, NULL, NULL};
	const char *word;

	while ((word = next_typed(w)) && *word == '-' && strcmp(word, "--") != 0) {
		if (is_help(word))
			return (struct typed){TYPED_NOTHING, NULL, NULL};
		if (!take_target(word, w, &out) &&
		    is_one_of(word, with_value, ARRAY_SIZE(with_value)))
			(void)next(w);
	}
	return out;
}

static struct typed read_pixi(struct words *w)
{
	static const char *const commands[] = {"shell", "s", "run", "r", "shell-hook"};
	static const char *const with_value[] = {"--auth-file",
						 "--change-ps1",
						 "--color",
						 "--concurrent-downloads",
						 "--concurrent-solves",
						 "--pinning-strategy",
						 "--platform",
						 "--pypi-keyring-provider",
						 "--shell",
						 "--tls-root-certs",
						 "-s"};
	struct typed out = {TYPED_NOTHING, "default", NULL};
	const char *word, *value;

	while ((word = next_typed(w)) && strcmp(word, "--") != 0) {
		/* -w names a workspace that only pixi's own registry knows. */
		if (is_help(word) || strcmp(word, "-V") == 0 ||
		    value_of(word, "-w", "--workspace", w))
			return (struct typed){TYPED_NOTHING, NULL, NULL};
		if (*word != '-') {
			if (out.kind == TYPED_PIXI)
				break; /* the task */
			if (!is_one_of(word, commands, ARRAY_SIZE(commands)))
				return out;
			out.kind = TYPED_PIXI;
		} else if ((value = value_of(word, "-e", "--environment", w))) {
			out.what = value;
		} else if ((value = value_of(word, "-m", "--manifest-path", w))) {
			out.manifest = value;
		} else if (is_one_of(word, with_value, ARRAY_SIZE(with_value))) {
			(void)next(w);
		}
	}
	return out;
}

struct typed typed_read(const char *tool, size_t n, char *const *words)
{
	struct words w = {words, n};
	const char *word;

	if (strcmp(tool, "pixi") == 0)
		return read_pixi(&w);
	word = next_typed(&w);
	while (word && *word == '-' && !is_help(word))
		word = next_typed(&w);
	if (word && strcmp(word, "activate") == 0)
		return read_activate(&w, strcmp(tool, "conda") == 0);
	if (word && strcmp(word, "run") == 0)
		return read_run(&w);
	return (struct typed){TYPED_NOTHING, NULL, NULL};
}
