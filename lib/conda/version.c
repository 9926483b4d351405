#include "lib/conda/version.h"

#include <string.h>

#include "lib/conda/ascii.h"

enum {
	TOKEN_TEXT = 1,
	TOKEN_END = 2,
	TOKEN_NUMBER = 3,
};

#define TOKEN_PLACE 4 /* bytes of a token's kind and place */
#define LENGTH_POST 0xffff

static bool is_version_char(char c)
{
	return ascii_is_digit(c) || (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '*' ||
	       c == '+' || c == '!';
}

size_t version_normalise(const char *text, size_t n, char *out)
{
	bool dash = false, underscore = false;

	ascii_strip(&text, &n);
	for (size_t i = 0; i < n; i++) {
		out[i] = ascii_lower(text[i]);
		dash = dash || out[i] == '-';
		underscore = underscore || out[i] == '_';
	}
	if (dash && !underscore)
		for (size_t i = 0; i < n; i++)
			if (out[i] == '-')
				out[i] = '_';
	return n;
}

/* The key being written. */
struct writer {
	unsigned char *key;
	size_t n;
};

static void put(struct writer *w, size_t byte)
{
	w->key[w->n++] = (unsigned char)(byte & 0xff);
}

static void put_place(struct writer *w, int kind, size_t component, size_t part)
{
	size_t flip = kind == TOKEN_NUMBER ? 0xff : 0;

	put(w, (size_t)kind);
	put(w, component ^ flip);
	put(w, (part >> 8) ^ flip);
	put(w, (part & 0xff) ^ flip);
}

static void put_text(struct writer *w, const char *text, size_t n)
{
	memcpy(w->key + w->n, text, n);
	w->n += n;
}

static bool is_word(const char *text, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(text, word, n) == 0;
}

static int part_class(char c)
{
	return ascii_is_digit(c) ? 0 : c == '*' ? 1 : 2;
}

/* One part at its place, and what "starts with" needs to know if it is the last one. */
static void put_part(struct writer *w, struct version *v, const char *text, size_t n, size_t at[2])
{
	v->prefix_n = (uint16_t)w->n;
	v->last_component = (uint8_t)at[0];
	v->last_part = (uint16_t)at[1];
	v->last_is_zero = false;
	if (ascii_is_digit(text[0])) {
		while (n > 0 && text[0] == '0') {
			text++;
			n--;
		}
		v->last_is_zero = n == 0;
		if (n == 0)
			return;
		put_place(w, TOKEN_NUMBER, at[0], at[1]);
		put(w, n >> 8);
		put(w, n);
		put_text(w, text, n);
		v->prefix_n = (uint16_t)w->n;
	} else if (is_word(text, n, "post")) {
		put_place(w, TOKEN_NUMBER, at[0], at[1]);
		put(w, LENGTH_POST >> 8);
		put(w, LENGTH_POST);
		v->prefix_n = (uint16_t)w->n;
	} else {
		bool dev = is_word(text, n, "dev");

		put_place(w, TOKEN_TEXT, at[0], at[1]);
		put_text(w, dev ? "DEV" : text, n);
		v->prefix_n = (uint16_t)w->n;
		put(w, 0);
	}
}

/* A component's parts; a part 0 stands before one that does not begin with a digit. */
static int put_component(struct writer *w, struct version *v, const char *text, size_t n,
			 size_t component)
{
	size_t at[2] = {component, 0};

	if (n == 0)
		return ERR_INVALID;
	if (!ascii_is_digit(text[0]))
		at[1] = 1;
	while (n > 0) {
		size_t run = 1;

		while (run < n && part_class(text[run]) == part_class(text[0]))
			run++;
		put_part(w, v, text, run, at);
		at[1]++;
		text += run;
		n -= run;
	}
	return 0;
}

/*
 * Components between dots and underscores. A '_' at the very end of the main part belongs to its
 * last component (keep_last).
 */
static int put_components(struct writer *w, struct version *v, const char *text, size_t n,
			  size_t component, bool keep_last)
{
	size_t start = 0;
	int rc = 0;

	for (size_t i = 0; i <= n && rc == 0; i++) {
		bool kept = keep_last && i + 1 == n && text[i] == '_';

		if (i < n && (kept || (text[i] != '.' && text[i] != '_')))
			continue;
		rc = put_component(w, v, text + start, i - start, component++);
		start = i + 1;
	}
	return rc;
}

static const char *find(const char *text, size_t n, char c)
{
	return n > 0 ? memchr(text, c, n) : NULL;
}

static int parse_main(struct writer *w, struct version *v, const char **text, size_t *n,
		      struct err *err)
{
	const char *mark = find(*text, *n, '!');
	const char *plus;
	size_t main_n;

	if (mark) {
		size_t epoch = (size_t)(mark - *text);

		for (size_t i = 0; i < epoch; i++)
			if (!ascii_is_digit((*text)[i]))
				return err_set(err, ERR_INVALID, "the epoch must be a number");
		if (epoch == 0)
			return err_set(err, ERR_INVALID, "the epoch must be a number");
		(void)put_component(w, v, *text, epoch, 0);
		*n -= epoch + 1;
		*text = mark + 1;
		if (find(*text, *n, '!'))
			return err_set(err, ERR_INVALID, "more than one '!'");
	}
	plus = find(*text, *n, '+');
	main_n = plus ? (size_t)(plus - *text) : *n;
	if (main_n == 0)
		return err_set(err, ERR_INVALID, "no version before the local part");
	if (put_components(w, v, *text, main_n, 1, true) < 0)
		return err_set(err, ERR_INVALID, "empty version component");
	put(w, TOKEN_END);
	*text += main_n;
	*n -= main_n;
	return 0;
}

static int parse_local(struct writer *w, struct version *v, const char *text, size_t n,
		       struct err *err)
{
	if (n > 0) {
		if (find(text + 1, n - 1, '+'))
			return err_set(err, ERR_INVALID, "more than one '+'");
		if (put_components(w, v, text + 1, n - 1, 0, false) < 0)
			return err_set(err, ERR_INVALID, "empty version component");
	}
	put(w, TOKEN_END);
	return 0;
}

int version_parse(const char *text, size_t n, struct version_room *room, struct version *out,
		  struct err *err)
{
	struct writer w = {.key = room->key};
	struct version v = {.key = room->key};
	char normal[VERSION_TEXT_MAX];
	const char *rest = normal;
	int rc;

	ascii_strip(&text, &n);
	if (n == 0)
		return err_set(err, ERR_INVALID, "empty version");
	if (n > sizeof normal)
		return err_set(err, ERR_LIMIT, "version longer than %d bytes", VERSION_TEXT_MAX);
	n = version_normalise(text, n, normal);
	for (size_t i = 0; i < n; i++)
		if (!is_version_char(normal[i]))
			return err_set(err, ERR_INVALID, "invalid character in a version");
	rc = parse_main(&w, &v, &rest, &n, err);
	if (rc == 0)
		rc = parse_local(&w, &v, rest, n, err);
	if (rc < 0)
		return rc;
	v.n = (uint16_t)w.n;
	*out = v;
	return 0;
}

int version_keep(struct arena *arena, struct version *v)
{
	const unsigned char *key = arena_dup(arena, v->key, v->n);

	if (!key)
		return ERR_NOMEM;
	v->key = key;
	return 0;
}

int version_cmp(const struct version *a, const struct version *b)
{
	size_t n = a->n < b->n ? a->n : b->n;
	int order = memcmp(a->key, b->key, n);

	/* Equal as far as both go is equal: no key is the beginning of another. */
	return order;
}

/* Whether the token at t stands at the prefix's last place (or before it, which cannot be once all
 * before it is equal and is excluded all the same). */
static bool is_behind(const unsigned char *t, const struct version *prefix)
{
	unsigned flip = t[0] == TOKEN_NUMBER ? 0xff : 0;
	unsigned component = t[1] ^ flip;
	unsigned part = (unsigned)(t[2] ^ flip) << 8 | (t[3] ^ flip);

	if (component != prefix->last_component)
		return component > prefix->last_component;
	return part > prefix->last_part;
}

bool version_starts_with(const struct version *v, const struct version *prefix)
{
	const unsigned char *next = v->key + prefix->prefix_n;

	if (v->n <= prefix->prefix_n || memcmp(v->key, prefix->key, prefix->prefix_n) != 0)
		return false;
	return !prefix->last_is_zero || next[0] == TOKEN_END || is_behind(next, prefix);
}
