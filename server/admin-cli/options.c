#include "server/admin-cli/options.h"

#include <string.h>

#include "lib/base/text.h"

static const struct {
	const char *name;
	bool value;
} table[OPT_N] = {
	[OPT_SERVER] = {"--server", true},
	[OPT_CA] = {"--ca", true},
	[OPT_TOKEN_FILE] = {"--token-file", true},
	[OPT_JSON] = {"--json", false},
	[OPT_HELP] = {"--help", false},
	[OPT_USER] = {"--user", true},
	[OPT_PASSWORD_FILE] = {"--password-file", true},
	[OPT_QUERY] = {"--query", true},
	[OPT_MACHINE] = {"--machine", true},
	[OPT_PLATFORM] = {"--platform", true},
	[OPT_STATUS] = {"--status", true},
	[OPT_LIMIT] = {"--limit", true},
	[OPT_MESSAGE] = {"--message", true},
	[OPT_UNTIL] = {"--until", true},
	[OPT_NO_WAIT] = {"--no-wait", false},
	[OPT_SINCE] = {"--since", true},
	[OPT_FOLLOW] = {"--follow", false},
	[OPT_USES] = {"--uses", true},
	[OPT_EXPIRES] = {"--expires", true},
	[OPT_LABELS] = {"--labels", true},
	[OPT_EPHEMERAL] = {"--ephemeral", false},
	[OPT_TITLE] = {"--title", true},
	[OPT_NOTE] = {"--note", true},
	[OPT_YES] = {"--yes", false},
	[OPT_RULE] = {"--rule", true},
	[OPT_REASON] = {"--reason", true},
	[OPT_TICKET] = {"--ticket", true},
	[OPT_PACKAGE] = {"--package", true},
	[OPT_FOR] = {"--for", true},
	[OPT_AND_STATUS] = {"--and-status", false},
	[OPT_ALL] = {"--all", false},
	[OPT_OUT] = {"-o", true},
	[OPT_VALID] = {"--valid", true},
	[OPT_FORCE] = {"--force", false},
};

const char *option_name(enum option option)
{
	return table[option].name;
}

/* OPT_N when there is none. The name may be followed by "=value". */
static enum option option_called(const char *arg, const char **value)
{
	size_t n = strcspn(arg, "=");
	int i;

	if (strcmp(arg, "-h") == 0)
		arg = "--help", n = strlen(arg);
	*value = arg[n] ? arg + n + 1 : NULL;
	for (i = 0; i < OPT_N; i++)
		if (strlen(table[i].name) == n && strncmp(table[i].name, arg, n) == 0)
			return (enum option)i;
	return OPT_N;
}

static int unknown_option(const char *arg, struct err *err)
{
	struct text_guess guess = {.word = arg, .n = strcspn(arg, "=")};

	for (int i = 0; i < OPT_N; i++)
		text_guess(&guess, table[i].name);
	if (guess.best)
		return err_set(err, ERR_USAGE, "unknown option %s; did you mean %s?", arg,
			       guess.best);
	return err_set(err, ERR_USAGE, "unknown option %s", arg);
}

/* *i is the option's place and moves on to its value's. */
static int take_option(int argc, const char *const *argv, int *i, struct options *o,
		       struct err *err)
{
	const char *value;
	enum option option = option_called(argv[*i], &value);

	if (option == OPT_N)
		return unknown_option(argv[*i], err);
	if (o->values[option])
		return err_set(err, ERR_USAGE, "%s is given twice", table[option].name);
	if (!table[option].value && value)
		return err_set(err, ERR_USAGE, "%s takes no value", table[option].name);
	if (table[option].value && !value) {
		if (*i + 1 >= argc)
			return err_set(err, ERR_USAGE, "%s needs a value", table[option].name);
		value = argv[++*i];
	}
	o->values[option] = value ? value : "";
	return 0;
}

int options_parse(int argc, const char *const *argv, struct options *out, struct err *err)
{
	struct options o = {0};
	bool words_only = false;
	int rc;
	int i;

	for (i = 1; i < argc; i++) {
		if (!words_only && strcmp(argv[i], "--") == 0) {
			words_only = true;
		} else if (!words_only && argv[i][0] == '-' && argv[i][1] != '\0') {
			rc = take_option(argc, argv, &i, &o, err);
			if (rc < 0)
				return rc;
		} else if (o.n_words == OPTIONS_WORDS_MAX) {
			return err_set(err, ERR_USAGE, "more than %d words", OPTIONS_WORDS_MAX);
		} else {
			o.words[o.n_words++] = argv[i];
		}
	}
	*out = o;
	return 0;
}

int options_number(const struct options *o, enum option option, uint64_t fallback, uint64_t *out,
		   struct err *err)
{
	const char *text = o->values[option];
	unsigned long long v;

	if (!text) {
		*out = fallback;
		return 0;
	}
	if (text_to_u64(text, strlen(text), &v) < 0 || v == 0 || v > INT64_MAX)
		return err_set(err, ERR_USAGE, "%s: a number from 1 on, not \"%s\"",
			       table[option].name, text);
	*out = v;
	return 0;
}
