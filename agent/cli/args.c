#include "agent/cli/args.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"

#define HELP_COLUMN 22

static void print_help(const struct arg_table *table)
{
	printf("usage: envwarden %s\n\n%s\n\n", table->synopsis, table->help);
	for (size_t i = 0; i < table->n_options; i++) {
		const struct arg_option *option = &table->options[i];
		int n = printf("  %s%s%s", option->name, option->value ? " " : "",
			       option->value ? option->value : "");

		printf("%*s%s\n", n < HELP_COLUMN ? HELP_COLUMN - n : 1, "", option->help);
	}
	printf("  %-*s%s\n", HELP_COLUMN - 2, "--help", "show this");
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
	for (size_t i = 0; i < table->n_options; i++) {
		const char *name = table->options[i].name;

		if (text_is_nearly(arg, strcspn(arg, "="), name))
			return err_set(err, ERR_USAGE, "unknown option %s; did you mean %s?", arg,
				       name);
	}
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
