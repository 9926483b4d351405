#include "agent/cli/hint.h"

#include <string.h>

#include "lib/base/text.h"

static bool is_harmless(const char *text)
{
	struct buf shown;
	bool same;

	buf_init(&shown, 16 * strlen(text) + 1);
	text_escape(&shown, text, strlen(text));
	same = buf_rc(&shown) == 0 && shown.len == strlen(text);
	buf_deinit(&shown);
	return same;
}

/* Every byte that is not plain ASCII by its number. */
static void add_by_number(struct buf *out, const char *text)
{
	static const char digits[] = "0123456789abcdef";

	buf_adds(out, "$'");
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;
		bool plain = byte >= 0x20 && byte < 0x7f && byte != '\'' && byte != '\\';

		if (plain) {
			buf_addc(out, *text);
			continue;
		}
		buf_adds(out, "\\x");
		buf_addc(out, digits[byte >> 4]);
		buf_addc(out, digits[byte & 15]);
	}
	buf_addc(out, '\'');
}

void hint_word(struct buf *out, const char *text)
{
	if (is_harmless(text))
		text_shell_quote(out, text);
	else
		add_by_number(out, text);
}

/* What stands behind "<home>/" in text; NULL: it is not there. */
static const char *below(const char *text, const char *home)
{
	size_t n = home ? strlen(home) : 0;

	while (n > 0 && home[n - 1] == '/')
		n--;
	return n > 0 && strncmp(text, home, n) == 0 && text[n] == '/' ? text + n + 1 : NULL;
}

void hint_path(struct buf *out, const char *path, const char *home)
{
	const char *rest = below(path, home);

	if (!rest || !*rest) {
		hint_word(out, path);
		return;
	}
	buf_adds(out, "~/");
	hint_word(out, rest);
}

void hint_environment(struct buf *out, const char *typed, const char *prefix, const char *name,
		      const char *home)
{
	bool by_name = *typed && *typed != '-' && *typed != '~' && !strchr(typed, '/');

	if (by_name)
		hint_word(out, typed);
	else if (*prefix)
		hint_path(out, prefix, home);
	else
		hint_word(out, name);
}

/* --- commands ----------------------------------------------------------------------------- */

/* Bytes up to the next blank that is not quoted. */
static size_t word_length(const char *command)
{
	char quote = '\0';
	size_t i = 0;

	for (; command[i] && (quote || command[i] != ' '); i++) {
		if (quote) {
			if (command[i] == quote)
				quote = '\0';
		} else if (command[i] == '\'' || command[i] == '"') {
			quote = command[i];
		} else if (command[i] == '\\' && command[i + 1]) {
			i++;
		}
	}
	return i;
}

/* A word that begins with home, bare or right behind a single quote. */
static void add_shell_word(struct buf *out, const char *word, size_t n, const char *home)
{
	bool quoted = *word == '\'';
	const char *rest = below(word + quoted, home);

	if (!rest || rest >= word + n || *rest == ' ' || *rest == '\'') {
		buf_add(out, word, n);
		return;
	}
	buf_adds(out, quoted ? "~/'" : "~/");
	buf_add(out, rest, n - (size_t)(rest - word));
}

void hint_command(struct buf *out, const char *command, const char *home)
{
	while (*command) {
		size_t blanks = strspn(command, " ");
		size_t n;

		buf_add(out, command, blanks);
		command += blanks;
		n = word_length(command);
		if (n > 0)
			add_shell_word(out, command, n, home);
		command += n;
	}
}
