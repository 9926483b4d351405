#include "agent/cli/args.h"

#include <stdio.h>
#include <string.h>

#include "agent/cli/wrap.h"
#include "lib/base/buf.h"
#include "lib/base/text.h"

#define HELP_COLUMN 22
#define HELP_WIDTH 80
#define HELP_MAX 16384

static void paragraph(struct buf *out, const char *first, const char *prefix, const char *text)
{
	struct wrap w;

	wrap_begin(&w, out, HELP_WIDTH, first, prefix);
	wrap_text(&w, text, NULL);
	wrap_end(&w);
}

/* A line, and its help beside it. */
static void add_option(struct buf *out, const char *name, const char *value, const char *help)
{
	char margin[HELP_COLUMN + 1], first[128];

	(void)snprintf(margin, sizeof(margin), "%*s", HELP_COLUMN, "");
	(void)snprintf(first, sizeof(first), "  %s%s%s ", name, value ? " " : "",
		       value ? value : "");
	(void)snprintf(
		first, sizeof(first), "  %s%s%s%*s", name, value ? " " : "", value ? value : "",
		strlen(first) < HELP_COLUMN ? (int)(HELP_COLUMN - strlen(first)) + 1 : 1, "");
	paragraph(out, first, margin, help);
}

/* Texts are laid out here; an empty line in one ends a paragraph. */
static void print_help(const struct arg_table *table)
{
	const char *text = table->help;
	struct buf out, part;

	buf_init(&out, HELP_MAX);
	buf_init(&part, HELP_MAX);
	paragraph(&out, "usage: envwarden ", "       ", table->synopsis);
	buf_addc(&out, '\n');
	while (*text) {
		const char *end = strstr(text, "\n\n");
		size_t n = end ? (size_t)(end - text) : strlen(text);

		buf_clear(&part);
		buf_add(&part, text, n);
		paragraph(&out, "", "", buf_cstr(&part));
		text += end ? n + 2 : n;
	}
	buf_addc(&out, '\n');
	for (size_t i = 0; i < table->n_options; i++)
		add_option(&out, table->options[i].name, table->options[i].value,
			   table->options[i].help);
	add_option(&out, "--help", NULL, "show this");
	(void)fputs(buf_cstr(&out), stdout);
	buf_deinit(&part);
	buf_deinit(&out);
}

/* The option an argument names ("--since", "--since=2d"); *value is what follows '=', or NULL. */
static const struct arg_option *find(const struct arg_table *table, const char *arg,
				     const char **value)
{
	size_t n = strcspn(arg, "=");

	*value = arg[n] == '=' ? arg + n + 1 : NULL;
	for (size_t i = 0; i < table->n_options; i++) {
		const char *name = table->options[i].name;

		if (strlen(name) == n && memcmp(name, arg, n) == 0)
			return &table->options[i];
	}
	return NULL;
}

static int unknown_option(const struct arg_table *table, const char *arg, struct err *err)
{
	struct text_guess guess = {.word = arg, .n = strcspn(arg, "=")};

	for (size_t i = 0; i < table->n_options; i++)
		text_guess(&guess, table->options[i].name);
	if (guess.best)
		return err_set(err, ERR_USAGE, "unknown option %s; did you mean %s?", arg,
			       guess.best);
	return err_set(err, ERR_USAGE, "unknown option %s", arg);
}

/* Takes the option at argv[*i], and its value if that is the next argument. */
static int take_option(const struct arg_table *table, int argc, char **argv, int *i, void *options,
		       struct err *err)
{
	const char *value;
	const struct arg_option *option = find(table, argv[*i], &value);
	char *at;

	if (!option)
		return unknown_option(table, argv[*i], err);
	at = (char *)options + option->at;
	if (!option->value) {
		if (value)
			return err_set(err, ERR_USAGE, "%s takes no value", option->name);
		*(bool *)at = true;
		return 0;
	}
	if (!value && *i + 1 < argc)
		value = argv[++*i];
	if (!value)
		return err_set(err, ERR_USAGE, "%s needs a value", option->name);
	*(const char **)(void *)at = value;
	return 0;
}

static int take_word(const struct arg_table *table, const char *word, struct args *out,
		     struct err *err)
{
	if (out->n_words >= table->max_words)
		return err_set(err, ERR_USAGE, "unexpected argument %s", word);
	out->words[out->n_words++] = word;
	return 0;
}

int args_parse(const struct arg_table *table, int argc, char **argv, void *options,
	       struct args *out, struct err *err)
{
	struct args found = {0};
	bool only_words = false;
	int rc = 0;

	for (int i = 1; rc == 0 && i < argc; i++) {
		const char *arg = argv[i];

		if (only_words || arg[0] != '-' || strcmp(arg, "-") == 0) {
			rc = take_word(table, arg, &found, err);
		} else if (strcmp(arg, "--") == 0) {
			only_words = true;
		} else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
			print_help(table);
			found.help = true;
			break;
		} else {
			rc = take_option(table, argc, argv, &i, options, err);
		}
	}
	if (rc == 0)
		*out = found;
	return rc;
}
