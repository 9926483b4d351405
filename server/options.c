#include "server/options.h"

#include <string.h>

#include "lib/base/text.h"

/* The option an argument names; *value is what stands after '=', NULL if there is none. */
static const struct option *find(const struct option *options, size_t n, const char *arg,
				 const char **value)
{
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < n; i++) {
		if (strlen(options[i].name) == len && memcmp(options[i].name, arg, len) == 0) {
			*value = arg[len] == '=' ? arg + len + 1 : NULL;
			return &options[i];
		}
	}
	return NULL;
}

static int unknown(const struct option *options, size_t n, const char *arg, struct err *err)
{
	struct text_guess guess = {.word = arg, .n = strcspn(arg, "=")};

	for (size_t i = 0; i < n; i++)
		text_guess(&guess, options[i].name);
	if (guess.best)
		return err_set(err, ERR_USAGE, "unknown argument \"%.64s\"; did you mean %s?", arg,
			       guess.best);
	return err_set(err, ERR_USAGE, "unknown argument \"%.64s\"", arg);
}

static int set(const struct option *option, const char *value, struct err *err)
{
	if (option->list) {
		if (option->list->n == OPTION_VALUES_MAX)
			return err_set(err, ERR_USAGE, "%s: given more than %d times", option->name,
				       OPTION_VALUES_MAX);
		option->list->items[option->list->n++] = value;
		return 0;
	}
	if (*option->text)
		return err_set(err, ERR_USAGE, "%s: given twice", option->name);
	*option->text = value;
	return 0;
}

int options_parse(const struct option *options, size_t n, int argc, char **argv, struct err *err)
{
	for (int i = 0; i < argc; i++) {
		const char *value;
		const struct option *option = find(options, n, argv[i], &value);
		int rc;

		if (!option)
			return unknown(options, n, argv[i], err);
		if (option->flag) {
			if (value)
				return err_set(err, ERR_USAGE, "%s: takes no value", option->name);
			*option->flag = true;
			continue;
		}
		if (!value && i + 1 < argc)
			value = argv[++i];
		if (!value)
			return err_set(err, ERR_USAGE, "%s: needs a value", option->name);
		rc = set(option, value, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < n; i++) {
		if (options[i].required && !*options[i].text)
			return err_set(err, ERR_USAGE, "%s is needed", options[i].name);
	}
	return 0;
}
