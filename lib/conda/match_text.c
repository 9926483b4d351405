#include "lib/conda/match_text.h"

#include <string.h>

#include "lib/conda/ascii.h"

#define OPERATORS "=<>!~"

static bool among(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool has_any(struct match_piece s, const char *set)
{
	for (size_t i = 0; i < s.n; i++)
		if (among(s.p[i], set))
			return true;
	return false;
}

/* text without every `what` in it. */
static int remove_all(struct match_piece *text, struct match_piece what, struct arena *arena)
{
	char *out = arena_alloc(arena, text->n + 1);
	size_t n = 0;

	if (!out)
		return ERR_NOMEM;
	for (size_t i = 0; i < text->n;) {
		if (text->n - i >= what.n && memcmp(text->p + i, what.p, what.n) == 0)
			i += what.n;
		else
			out[n++] = text->p[i++];
	}
	*text = (struct match_piece){out, n};
	return 0;
}

/*
 * The last `open` of the first line that a `close` follows, up to the line's last `close`; and
 * takes it out.
 */
static int cut(struct match_piece *text, char open, char close, struct match_piece *inside,
	       struct arena *arena)
{
	const char *newline = text->n > 0 ? memchr(text->p, '\n', text->n) : NULL;
	size_t line = newline ? (size_t)(newline - text->p) : text->n;
	size_t end = line, start;

	*inside = (struct match_piece){0};
	while (end > 0 && text->p[end - 1] != close)
		end--;
	if (end == 0)
		return 0;
	start = end - 1;
	while (start > 0 && text->p[start - 1] != open)
		start--;
	if (start == 0)
		return 0;
	start--;
	*inside = (struct match_piece){text->p + start + 1, end - start - 2};
	return remove_all(text, (struct match_piece){text->p + start, end - start}, arena);
}

int match_text_cut_brackets(struct match_piece *text, struct match_piece *inside,
			    struct arena *arena)
{
	return cut(text, '[', ']', inside, arena);
}

int match_text_cut_parens(struct match_piece *text, struct arena *arena)
{
	struct match_piece inside;

	return cut(text, '(', ')', &inside, arena);
}

static bool is_key(char c)
{
	return ascii_is_alnum(c) || c == '_' || c == '-';
}

/* The end as a regular expression's '$' has it: a last line end does not count. */
static bool is_end(struct match_piece s, size_t at)
{
	return at == s.n || (at + 1 == s.n && s.p[at] == '\n');
}

static bool is_delimiter(struct match_piece s, size_t at)
{
	return is_end(s, at) || s.p[at] == ',' || s.p[at] == ' ';
}

/* The value at `at`, quoted or not; *end is behind its quote. */
static bool read_value(struct match_piece s, size_t at, struct match_piece *value, size_t *end)
{
	bool quoted = at < s.n && (s.p[at] == '\'' || s.p[at] == '"');
	size_t from = at + quoted;

	for (at = from; at < s.n && s.p[at] != '\'' && s.p[at] != '"'; at++)
		if (!quoted && is_delimiter(s, at))
			break;
	*value = (struct match_piece){s.p + from, at - from};
	if (quoted) {
		if (at == s.n || s.p[at] != s.p[from - 1])
			return false;
		at++;
	}
	*end = at;
	return is_delimiter(s, at);
}

bool match_text_pair(struct match_piece inside, size_t *at, struct match_piece *key,
		     struct match_piece *value)
{
	size_t start = *at, i = *at, end;

	for (; i < inside.n; i++) {
		if (is_key(inside.p[i]))
			continue;
		if (inside.p[i] == '=' && i > start && read_value(inside, i + 1, value, &end)) {
			*key = (struct match_piece){inside.p + start, i - start};
			*at = end < inside.n && inside.p[end] != '\n' ? end + 1 : end;
			return true;
		}
		start = i + 1;
	}
	return false;
}

/* What may be in a build's place: nothing that looks like a version's operators. */
static size_t last_of(struct match_piece s, const char *set)
{
	size_t i = s.n;

	while (i > 0 && !among(s.p[i - 1], set))
		i--;
	return i; /* one behind it; 0 = none */
}

/* Whether a build may follow the separator at `at`. `bound` is one behind the last operator. */
static bool splits_at(struct match_piece s, size_t at, size_t bound)
{
	return at > 0 && at + 1 < s.n && at + 1 >= bound && (s.p[at] == ' ' || s.p[at] == '=') &&
	       !among(s.p[at - 1], "=!|,<>~");
}

/*
 * Where the version ends and a build follows, s.n if none does. conda looks for it from the left,
 * but at the second place before the first.
 */
static size_t find_build(struct match_piece s)
{
	size_t bound = last_of(s, "-=,|<>~");

	if (s.n > 1 && !among(s.p[1], "><!,|") && splits_at(s, 2, bound))
		return 2;
	for (size_t at = 1; at < s.n; at++)
		if (splits_at(s, at, bound))
			return at;
	return s.n;
}

static int without_blanks(struct match_piece *s, struct arena *arena)
{
	return remove_all(s, (struct match_piece){" ", 1}, arena);
}

int match_text_version(struct match_piece *version, bool has_build, struct arena *arena)
{
	struct match_piece bare = *version;
	bool twice = version->n > 1 && version->p[1] == '=';
	char *text;

	if (version->n == 0 || version->p[0] != '=' || (version->n == 2 && twice) ||
	    version->n == 1)
		return 0;
	while (bare.n > 0 && bare.p[0] == '=') {
		bare.p++;
		bare.n--;
	}
	if (!(twice && !has_build)) {
		if (has_any(bare, "=,|"))
			return 0;
		if (!has_build && (bare.n == 0 || bare.p[bare.n - 1] != '*')) {
			text = arena_strndup(arena, bare.p, bare.n + 1);
			if (!text)
				return ERR_NOMEM;
			text[bare.n] = '*';
			bare = (struct match_piece){text, bare.n + 1};
		}
	}
	*version = bare;
	return 0;
}

/* Version and build, as they stand behind the name. */
static int split_version(struct match_piece s, struct arena *arena, struct match_parts *out,
			 struct err *err)
{
	size_t at;

	ascii_strip(&s.p, &s.n);
	if (s.n == 0)
		return 0;
	if (memchr(s.p, '[', s.n))
		return err_set(err, ERR_INVALID, "more than one pair of brackets");
	at = find_build(s);
	out->version = (struct match_piece){s.p, at};
	if (at < s.n) {
		out->build = (struct match_piece){s.p + at + 1, s.n - at - 1};
		ascii_strip(&out->build.p, &out->build.n);
	}
	if (without_blanks(&out->version, arena) < 0 ||
	    match_text_version(&out->version, out->build.p != NULL, arena) < 0)
		return err_nomem(err);
	return 0;
}

/* Where the last ':' stands; s.n if there is none. */
static size_t last_colon(struct match_piece s)
{
	size_t i = s.n;

	while (i > 0 && s.p[i - 1] != ':')
		i--;
	return i > 0 ? i - 1 : s.n;
}

int match_text_split(struct match_piece text, struct arena *arena, struct match_parts *out,
		     struct err *err)
{
	struct match_parts parts = {0};
	struct match_piece rest = text;
	size_t colon = last_colon(text), end = 0;
	int rc = 0;

	if (colon < text.n) { /* "namespace:", which means nothing, and "channel:" before it */
		struct match_piece head = {text.p, colon};

		rest = (struct match_piece){text.p + colon + 1, text.n - colon - 1};
		colon = last_colon(head);
		if (colon < head.n)
			parts.channel = (struct match_piece){head.p, colon};
	}
	while (end < rest.n && rest.p[end] != ' ' && !among(rest.p[end], OPERATORS))
		end++;
	if (end == 0)
		return err_set(err, ERR_INVALID, "no package name");
	parts.name = (struct match_piece){rest.p, end};
	rest = (struct match_piece){rest.p + end, rest.n - end};
	if (rest.n > 0 && memchr(rest.p, '\n', rest.n))
		rest.n = (size_t)((const char *)memchr(rest.p, '\n', rest.n) - rest.p);
	if (rest.n > 1)
		rc = split_version(rest, arena, &parts, err);
	if (rc == 0)
		*out = parts;
	return rc;
}
