#include "server/admin-cli/help.h"

#include <string.h>

#include "lib/base/text.h"

#define COLUMNS 80

/* Bytes up to the next blank; what is in brackets stays together. */
static size_t word_length(const char *text)
{
	size_t depth = 0;
	size_t n = 0;

	for (; text[n] && (depth > 0 || text[n] != ' '); n++) {
		depth += text[n] == '[';
		depth -= text[n] == ']' && depth > 0;
	}
	return n;
}

/* Ends the line; `column`: where it stands; later lines are indented. All of it is ASCII. */
static void wrap(FILE *to, size_t column, int indent, const char *text)
{
	while (*text) {
		size_t n = word_length(text);

		if (column + 1 + n > COLUMNS) {
			(void)fprintf(to, "\n%*s", indent, "");
			column = (size_t)indent;
		} else if (column > (size_t)indent) {
			(void)fputc(' ', to);
			column++;
		}
		(void)fwrite(text, 1, n, to);
		column += n;
		text += n + (text[n] == ' ');
	}
	(void)fputc('\n', to);
}

static void words(FILE *to)
{
	wrap(to, 0, 0,
	     "ENV is an id, a path or a name. TIME is 2026-11-22, 2026-11-22T17:17:42Z, or a span "
	     "like 30m, 12h, 7d or 2w: so long ago, or from now for what ends.");
}

void help_command(FILE *to, const struct command *command)
{
	int n = fprintf(to, "usage: envwarden-admin %s", command->name);

	wrap(to, (size_t)n, 7, command->usage);
	(void)fputc('\n', to);
	wrap(to, 0, 0, command->help);
	(void)fputc('\n', to);
	if (strstr(command->usage, "ENV") || strstr(command->usage, "TIME"))
		words(to);
	(void)fputs("Every command takes --server URL, --ca FILE, --token-file F and --json.\n",
		    to);
}

size_t help_commands(FILE *to, const struct command *commands, size_t n, const char *first_word)
{
	size_t len = first_word ? strlen(first_word) : 0;
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		const char *name = commands[i].name;
		int at;

		if (first_word && (strncmp(name, first_word, len) != 0 ||
				   (name[len] != ' ' && name[len] != '\0')))
			continue;
		at = fprintf(to, "  %s", name);
		wrap(to, (size_t)at, 6, commands[i].usage);
		(void)fputs("      ", to);
		wrap(to, 6, 6, commands[i].help);
		found++;
	}
	return found;
}

void help_begin(FILE *to)
{
	(void)fputs("usage: envwarden-admin [--server URL] [--ca FILE] [--token-file F] [--json]\n"
		    "       COMMAND\n\n",
		    to);
}

void help_end(FILE *to, const char *config)
{
	(void)fputc('\n', to);
	words(to);
	(void)fprintf(to,
		      "More about one: envwarden-admin COMMAND --help\nSettings: %s\n"
		      "Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 server not reachable,\n"
		      "7 not permitted.\n",
		      config);
}
