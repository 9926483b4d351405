#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "lib/conda/channel.h"
#include "lib/conda/history.h"
#include "lib/conda/history_text.h"

#define TOOL_WORDS_MAX 16 /* a program's path with blanks in it has fewer words */
#define MASK "***"
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* A piece of the command. */
struct span {
	const char *p;
	size_t n;
};

void history_text_copy(const char *text, size_t n, char *out, size_t cap)
{
	size_t len = 0;

	while (n > 0) {
		uint32_t code_point;
		size_t size = text_utf8_decode(text, n, &code_point);
		bool good = size > 0 && code_point != 0;
		const char *from = good ? text : REPLACEMENT;
		size_t piece = good ? size : strlen(REPLACEMENT);

		if (piece >= cap - len)
			break;
		memcpy(out + len, from, piece);
		len += piece;
		size = good ? size : 1;
		text += size;
		n -= size;
	}
	out[len] = '\0';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool equals(struct span word, const char *text)
{
	return word.n == strlen(text) && memcmp(word.p, text, word.n) == 0;
}

static bool starts(struct span word, const char *prefix)
{
	return word.n >= strlen(prefix) && memcmp(word.p, prefix, strlen(prefix)) == 0;
}

static bool is_option(struct span word)
{
	return word.n > 1 && word.p[0] == '-';
}

static bool contains(struct span word, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i + len <= word.n; i++)
		if (memcmp(word.p + i, text, len) == 0)
			return true;
	return false;
}

/* Takes the next word off *rest; false at the end. */
static bool next_word(struct span *rest, struct span *word)
{
	while (rest->n > 0 && is_blank(rest->p[0])) {
		rest->p++;
		rest->n--;
	}
	word->p = rest->p;
	word->n = 0;
	while (rest->n > 0 && !is_blank(rest->p[0])) {
		rest->p++;
		rest->n--;
		word->n++;
	}
	return word->n > 0;
}

/* --- masking ------------------------------------------------------------------------------ */

/* "--token" or "--token=..."; *name_n is where the name ends. */
static bool is_secret_option(struct span word, size_t *name_n)
{
	static const char *const marks[] = {"token",   "passw",	  "secret",
					    "api-key", "api_key", "apikey"};
	const char *equal;

	if (!starts(word, "--"))
		return false;
	equal = memchr(word.p, '=', word.n);
	*name_n = equal != NULL ? (size_t)(equal - word.p) : word.n;
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (contains((struct span){word.p, *name_n}, marks[i]))
			return true;
	return false;
}

void history_mask_command(struct buf *out, const char *command, size_t n)
{
	struct span rest = {command, n};
	const char *end = command; /* of what is written */
	bool secret_follows = false;
	struct span word;

	while (next_word(&rest, &word)) {
		size_t name_n;

		buf_add(out, end, (size_t)(word.p - end));
		end = word.p + word.n;
		if (secret_follows && !is_option(word)) {
			buf_adds(out, MASK);
			secret_follows = false;
			continue;
		}
		secret_follows = is_secret_option(word, &name_n);
		if (secret_follows && name_n < word.n) {
			buf_add(out, word.p, name_n);
			buf_adds(out, "=" MASK);
			secret_follows = false;
		} else {
			channel_mask_url(out, word.p, word.n);
		}
	}
}

/* --- tool and action ---------------------------------------------------------------------- */

static struct span last_part(struct span path)
{
	struct span name = path;

	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] == '/' || path.p[i] == '\\')
			name = (struct span){path.p + i + 1, path.n - i - 1};
	return name;
}

/* The tool a program's path stands for; NULL if none. */
static const char *tool_of(struct span path)
{
	static const struct {
		const char *program;
		const char *tool;
	} programs[] = {
		{"conda", "conda"},
		{"conda.exe", "conda"},
		{"_conda", "conda"},
		{"_conda.exe", "conda"},
		{"conda-script.py", "conda"},
		{"conda-env", "conda"},
		{"conda-env-script.py", "conda"},
		{"__main__.py", "conda"},
		{"mamba", "mamba"},
		{"mamba.exe", "mamba"},
		{"mamba-script.py", "mamba"},
		{"micromamba", "micromamba"},
		{"micromamba.exe", "micromamba"},
	};
	struct span name = last_part(path);

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (equals(name, programs[i].program))
			return programs[i].tool;
	return NULL;
}

/* Moves *rest behind the program. */
static const char *take_tool(struct span *rest)
{
	struct span at = *rest;
	struct span word;

	for (int i = 0; i < TOOL_WORDS_MAX && next_word(&at, &word) && !is_option(word); i++) {
		const char *tool = tool_of(word);

		if (tool != NULL) {
			*rest = at;
			return tool;
		}
	}
	return "unknown";
}

void history_text_action(const char *word, size_t n, char *out, size_t cap)
{
	struct span w = {word, n};

	out[0] = '\0';
	if (equals(w, "upgrade"))
		w = (struct span){"update", strlen("update")};
	else if (equals(w, "uninstall"))
		w = (struct span){"remove", strlen("remove")};
	if (w.n >= cap)
		return;
	for (size_t i = 0; i < w.n; i++)
		if ((w.p[i] < 'a' || w.p[i] > 'z') && w.p[i] != '-')
			return;
	memcpy(out, w.p, w.n);
	out[w.n] = '\0';
}

static bool is_known_action(struct span word)
{
	static const char *const words[] = {"create", "install",   "update", "upgrade",
					    "remove", "uninstall", "rename", "env"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (equals(word, words[i]))
			return true;
	return false;
}

/*
 * The subcommand: the next word, or, behind options (whose values look like words), the next that
 * is one. Empty if there is none.
 */
static struct span take_subcommand(struct span *rest)
{
	struct span at = *rest;
	bool behind_options = false;
	struct span word;

	while (next_word(&at, &word)) {
		if (is_option(word)) {
			behind_options = true;
		} else if (!behind_options || is_known_action(word)) {
			*rest = at;
			return word;
		}
	}
	return (struct span){"", 0};
}

/* --- where a rename or clone comes from --------------------------------------------------- */

/* Takes the words up to the next option; *last is the last one of several, else empty. */
static struct span take_value(struct span *rest, struct span *last)
{
	struct span at = *rest;
	struct span value = {"", 0};
	struct span word;

	*last = value;
	while (next_word(&at, &word) && !is_option(word)) {
		if (value.n == 0) {
			value = word;
		} else {
			value.n = (size_t)(word.p + word.n - value.p);
			*last = word;
		}
		*rest = at;
	}
	return value;
}

/* The value less its last word. */
static struct span cut_last(struct span value, struct span last)
{
	if (last.n > 0)
		value.n = (size_t)(last.p - value.p);
	while (value.n > 0 && is_blank(value.p[value.n - 1]))
		value.n--;
	return value;
}

static bool has_slash(struct span s)
{
	return contains(s, "/") || contains(s, "\\");
}

static void set_source(struct history_facts *facts, struct span value, bool is_path)
{
	struct span rest = value;
	struct span first;

	if (!next_word(&rest, &first))
		return;
	if (!is_path && !has_slash(first))
		value = first;
	history_text_copy(value.p, value.n, facts->source, sizeof facts->source);
	facts->source_is_path = is_path || has_slash(first);
}

/*
 * Takes the value of an option if `word` is one of that name, "--name X" or "--name=X". Returns
 * whether it is.
 */
static bool take_option(struct span word, struct span *rest, const char *name, struct span *value,
			struct span *last)
{
	if (starts(word, name) && word.n > strlen(name) && word.p[strlen(name)] == '=') {
		/* The value begins inside the word: read it again from there. */
		size_t skip = strlen(name) + 1;

		rest->n += (size_t)(rest->p - (word.p + skip));
		rest->p = word.p + skip;
	} else if (!equals(word, name)) {
		return false;
	}
	*value = take_value(rest, last);
	return true;
}

static void set_target(struct history_facts *facts, struct span value)
{
	history_text_copy(value.p, value.n, facts->target, sizeof facts->target);
}

static void parse_target(struct span rest, struct history_facts *facts)
{
	static const char *const options[] = {"-p", "--prefix", "-n", "--name"};
	struct span word, value, last;

	while (next_word(&rest, &word))
		for (size_t i = 0; i < ARRAY_SIZE(options); i++)
			if (take_option(word, &rest, options[i], &value, &last)) {
				set_target(facts, value);
				break;
			}
}

static void parse_rename(struct span rest, struct history_facts *facts)
{
	struct span word, value, last;

	facts->is_rename = true;
	while (next_word(&rest, &word)) {
		bool by_path = take_option(word, &rest, "-p", &value, &last) ||
			       take_option(word, &rest, "--prefix", &value, &last);

		if (by_path || take_option(word, &rest, "-n", &value, &last) ||
		    take_option(word, &rest, "--name", &value, &last)) {
			set_source(facts, cut_last(value, last), by_path);
			set_target(facts, last);
			return;
		}
		if (is_option(word))
			continue;
		rest.n += (size_t)(rest.p - word.p);
		rest.p = word.p;
		value = take_value(&rest, &last);
		if (last.n > 0) { /* "rename OLD NEW" */
			set_source(facts, cut_last(value, last), false);
			set_target(facts, last);
		}
	}
}

static void parse_clone(struct span rest, struct history_facts *facts)
{
	struct span word, value, last;

	while (next_word(&rest, &word)) {
		if (!take_option(word, &rest, "--clone", &value, &last))
			continue;
		facts->is_clone = true;
		set_source(facts, value, false);
	}
}

/* All packages go, and the environment with them. */
static bool removes_all(struct span rest)
{
	bool all = false;
	struct span word;

	while (next_word(&rest, &word)) {
		if (equals(word, "--keep-env"))
			return false;
		all |= equals(word, "--all") || equals(word, "-a");
	}
	return all;
}

void history_parse_command(const char *command, size_t n, struct history_facts *facts)
{
	struct span rest = {command, n};
	const char *tool = take_tool(&rest);
	struct span word;
	bool of_env;

	memcpy(facts->tool, tool, strlen(tool) + 1);
	facts->source[0] = '\0';
	facts->source_is_path = false;
	facts->target[0] = '\0';
	facts->is_clone = false;
	facts->is_rename = false;
	facts->is_removal = false;
	if (strcmp(tool, "unknown") == 0)
		return;
	word = take_subcommand(&rest);
	of_env = equals(word, "env");
	if (of_env)
		word = take_subcommand(&rest);
	if (word.n > 0)
		history_text_action(word.p, word.n, facts->action, sizeof facts->action);
	if (equals(word, "rename"))
		parse_rename(rest, facts);
	else
		parse_target(rest, facts);
	if (equals(word, "create"))
		parse_clone(rest, facts);
	if (strcmp(facts->action, "remove") == 0)
		facts->is_removal = of_env || removes_all(rest);
}

bool history_speaks_of(const char *target, const char *prefix)
{
	const char *slash = strrchr(prefix, '/');
	const char *name = slash != NULL ? slash + 1 : prefix;
	size_t n = strlen(name);

	if (target[0] == '\0' || n == 0)
		return true;
	for (const char *at = strstr(target, name); at != NULL; at = strstr(at + 1, name))
		if ((at == target || at[-1] == '/') &&
		    (at[n] == '\0' || strchr("/ ", at[n]) != NULL))
			return true;
	return false;
}

bool history_names(const char *target, const char *prefix)
{
	size_t n = strlen(prefix);

	return n > 0 && strncmp(target, prefix, n) == 0 && (target[n] == '\0' || target[n] == ' ');
}
