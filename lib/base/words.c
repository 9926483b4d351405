#include "lib/base/words.h"

#include <stdbool.h>
#include <string.h>

struct split {
	const char *at;
	char *to; /* the word that is being made; the room is as long as the line */
	struct err *err;
};

static int acts(const struct split *s, char c)
{
	return err_set(s->err, ERR_INVALID, "a shell would act on '%c': quote it", c);
}

static int single_quoted(struct split *s)
{
	const char *end = strchr(s->at + 1, '\'');
	size_t n;

	if (!end)
		return err_set(s->err, ERR_INVALID, "a ' is not closed");
	n = (size_t)(end - s->at) - 1;
	memcpy(s->to, s->at + 1, n);
	s->to += n;
	s->at = end + 1;
	return 0;
}

static int double_quoted(struct split *s)
{
	for (s->at++; *s->at != '"'; s->at++) {
		if (*s->at == '\0')
			return err_set(s->err, ERR_INVALID, "a \" is not closed");
		if (*s->at == '$' || *s->at == '`')
			return acts(s, *s->at);
		if (*s->at == '\\' && strchr("\"\\$`", s->at[1]) && s->at[1] != '\0')
			s->at++;
		*s->to++ = *s->at;
	}
	s->at++;
	return 0;
}

static int escaped(struct split *s)
{
	s->at++;
	if (*s->at == '\0' || *s->at == '\n')
		return err_set(s->err, ERR_INVALID, "nothing stands behind a backslash");
	*s->to++ = *s->at++;
	return 0;
}

/* What a shell reads as more than itself, anywhere in a word or where it begins. */
static bool is_special(char c, bool first)
{
	if ((unsigned char)c < ' ' || c == 0x7f)
		return true;
	return strchr(first ? ";&|<>()$`*?[]{}~#!" : ";&|<>()$`*?[]{}", c) != NULL;
}

static int one_word(struct split *s)
{
	bool first = true;
	int rc = 0;

	while (rc == 0 && *s->at != '\0' && *s->at != ' ' && *s->at != '\t') {
		if (*s->at == '\'')
			rc = single_quoted(s);
		else if (*s->at == '"')
			rc = double_quoted(s);
		else if (*s->at == '\\')
			rc = escaped(s);
		else if (*s->at == '\n' || *s->at == '\r')
			rc = err_set(s->err, ERR_INVALID, "it is more than one line");
		else if (is_special(*s->at, first))
			rc = acts(s, *s->at);
		else
			*s->to++ = *s->at++;
		first = false;
	}
	*s->to++ = '\0';
	return rc;
}

int words_split(const char *line, struct arena *arena, struct words *out, struct err *err)
{
	size_t n = strlen(line);
	struct words words = {.n = 0};
	struct split s = {.at = line, .err = err};
	int rc = 0;

	if (n > WORDS_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "the command is too long");
	/* A word is no longer than its text, but for its end; and a blank parts it from the next.
	 */
	s.to = arena_alloc(arena, n + 2);
	if (!s.to)
		return err_nomem(err);
	for (;;) {
		s.at += strspn(s.at, " \t");
		if (*s.at == '\0')
			break;
		if (words.n == WORDS_MAX)
			return err_set(err, ERR_LIMIT, "the command has more than %d words",
				       WORDS_MAX);
		words.items[words.n++] = s.to;
		rc = one_word(&s);
		if (rc < 0)
			return rc;
	}
	*out = words;
	return 0;
}
