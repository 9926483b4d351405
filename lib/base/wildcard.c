#include "lib/base/wildcard.h"

#include <stddef.h>
#include <string.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same(char a, char b, bool fold)
{
	return a == b || (fold && lower(a) == lower(b));
}

struct part {
	const char *text;
	size_t n;
};

/* Of several stars only the last can be worth another try. */
static bool part_matches(struct part pattern, struct part text, bool fold)
{
	const char *p = pattern.text;
	const char *p_end = p + pattern.n;
	const char *t = text.text;
	const char *t_end = t + text.n;
	const char *star = NULL;
	const char *from = NULL;

	while (t < t_end) {
		if (p < p_end && *p == '*') {
			star = ++p;
			from = t;
		} else if (p < p_end && same(*p, *t, fold)) {
			p++;
			t++;
		} else if (star) {
			p = star;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < p_end && *p == '*')
		p++;
	return p == p_end;
}

static struct part whole(const char *text)
{
	return (struct part){text, strlen(text)};
}

bool wildcard_match(const char *pattern, const char *text)
{
	return part_matches(whole(pattern), whole(text), false);
}

bool wildcard_match_fold(const char *pattern, const char *text)
{
	return part_matches(whole(pattern), whole(text), true);
}

/* Takes the next part off the path; of length 0 at the end. */
static struct part next_part(const char **path)
{
	struct part part;

	while (**path == '/')
		++*path;
	part.text = *path;
	part.n = strcspn(*path, "/");
	*path += part.n;
	return part;
}

static bool is_deep(struct part part)
{
	return part.n == 2 && part.text[0] == '*' && part.text[1] == '*';
}

/* The same as for characters, with parts for these and "**" for the star. */
static bool path_matches(const char *pattern, const char *path, bool below)
{
	const char *star = NULL;
	const char *from = NULL;

	if (*pattern != '*' && (*pattern == '/') != (*path == '/'))
		return false;
	for (;;) {
		const char *rest_p = pattern;
		const char *rest_t = path;
		struct part p = next_part(&rest_p);
		struct part t = next_part(&rest_t);

		if (is_deep(p)) {
			star = pattern = rest_p;
			from = path;
		} else if (p.n == 0 && (below || t.n == 0)) {
			return true;
		} else if (p.n > 0 && t.n > 0 && part_matches(p, t, false)) {
			pattern = rest_p;
			path = rest_t;
		} else if (star && *from) {
			if (next_part(&from).n == 0)
				return false;
			pattern = star;
			path = from;
		} else {
			return false;
		}
	}
}

bool wildcard_match_path(const char *pattern, const char *path)
{
	return path_matches(pattern, path, false);
}

bool wildcard_covers_path(const char *pattern, const char *path)
{
	return path_matches(pattern, path, true);
}
