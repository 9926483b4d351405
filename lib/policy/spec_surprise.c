#include "lib/policy/spec_surprise.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/compiler.h"

/* --- bounds of versions with letters --- */

/* Packages whose releases are a plain version with letters behind: 1.1.1w, 9e, 2024a, 3.3a. */
static const struct {
	const char *name;
	size_t dots;	   /* in the plain version */
	const char *first; /* what it begins with, "" anything */
} lettered[] = {{"openssl", 2, "01"}, {"jpeg", 0, ""}, {"tzdata", 0, ""}, {"tmux", 1, ""}};

static bool is_plain_release(const char *name, const char *bound, size_t n)
{
	size_t dots = 0;

	for (size_t i = 0; i < n; i++)
		dots += bound[i] == '.';
	for (size_t i = 0; i < ARRAY_SIZE(lettered); i++)
		if (strcmp(lettered[i].name, name) == 0)
			return dots == lettered[i].dots &&
			       (!*lettered[i].first || strchr(lettered[i].first, *bound));
	return false;
}

/* The next bound ("<1.1.1", ">=3") at or behind p: its version, the length of it in *n. */
static const char *next_bound(const char *p, size_t *n)
{
	p = strpbrk(p, "<>");
	if (!p)
		return NULL;
	p += strspn(p, "<>= ");
	*n = strcspn(p, ",|<>= ])'\"");
	return p;
}

/* A bound like <1.1.1 or >=1.1.1 of a package whose next releases are 1.1.1a, 1.1.1b. */
static bool has_lettered_bound(const char *name, const char *text)
{
	size_t n = 0;

	for (const char *p = next_bound(text, &n); name && p; p = next_bound(p + n, &n))
		if (n > 0 && isdigit((unsigned char)p[n - 1]) && is_plain_release(name, p, n))
			return true;
	return false;
}

/* "numpy >1.26.*" */
static bool has_starred_bound(const char *text)
{
	size_t n = 0;

	for (const char *p = next_bound(text, &n); p; p = next_bound(p + n, &n))
		if (n > 1 && p[n - 1] == '*')
			return true;
	return false;
}

/* --- what is passed over --- */

/* key=value, as in [version='<2']; "version>=2" is none. */
static bool has_key(const char *text, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (text[i] == '=' && (isalnum((unsigned char)text[i - 1]) || text[i - 1] == ' '))
			return true;
	return false;
}

/* "numpy[version<2]": without a key and a value, brackets say nothing. */
static bool has_empty_brackets(const char *text)
{
	const char *open = strchr(text, '[');

	return open && !has_key(open, strcspn(open, "]"));
}

/* "openssl (<3)": in brackets only do parentheses count. */
static bool has_parentheses(const char *text)
{
	return text[strcspn(text, "([")] == '(';
}

/* "numpy 1.26": a version without an operator or a star. */
static bool is_bare_version(const char *text)
{
	const char *space = strchr(text, ' ');
	const char *version = space ? space + strspn(space, " ") : "";

	return isdigit((unsigned char)*version) && !strpbrk(text, "<>=!~*[|,") &&
	       strchr(version, '.') && !strchr(version, ' ');
}

const struct spec_surprise *spec_surprise(const char *name, const char *text)
{
	static const struct spec_surprise passed_over = {
		" is read as if what is in the brackets or parentheses were not there",
		"write it like openssl <3, or like \"openssl[version='(>=1,<2)|>3']\""};
	static const struct spec_surprise letters = {
		": letters sort before the plain version, so that <1.1.1 matches 1.1.1w",
		"write bounds like <1.1.1zz or >=1.1.1a0, and try: envwarden spec version-match"};
	static const struct spec_surprise star = {
		": a .* behind < or > does not count, so that >1.26.* matches 1.26.4",
		"write the bound without it: >=1.27, or <1.26"};
	static const struct spec_surprise bare = {" is that very version alone",
						  "write .* behind it for all that begin so"};

	if (has_empty_brackets(text) || has_parentheses(text))
		return &passed_over;
	if (has_lettered_bound(name, text))
		return &letters;
	if (has_starred_bound(text))
		return &star;
	return is_bare_version(text) ? &bare : NULL;
}
