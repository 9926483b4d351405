#include "lib/conda/channel.h"

#include <string.h>

#include "lib/base/compiler.h"

#define MASK "***"
#define TOKEN_MIN 20 /* bytes; shorter segments after "/t/" in a path are folders */

/* A piece of somebody else's text. */
struct span {
	const char *p;
	size_t n;
};

static struct span span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

static struct span span_skip(struct span s, size_t n)
{
	return (struct span){s.p + n, s.n - n};
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_scheme(char c)
{
	return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void add_lower(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addc(out, lower(s.p[i]));
}

/* How many bytes stand before the first of the characters in set; s.n if there is none. */
static size_t span_before(struct span s, const char *set)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\0' && strchr(set, s.p[i]) != NULL)
			return i;
	return s.n;
}

/* Length of "scheme://" if s begins with one, else 0. */
static size_t scheme_len(struct span s)
{
	size_t i = 0;

	if (s.n == 0 || !is_alpha(s.p[0]))
		return 0;
	while (i < s.n && is_scheme(s.p[i]))
		i++;
	return s.n - i >= 3 && memcmp(s.p + i, "://", 3) == 0 ? i + 3 : 0;
}

static bool all_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_digit(s.p[i]))
			return false;
	return true;
}

/*
 * Length of "user:password@" at the beginning of what follows "scheme://", 0 if there is none. A
 * password with an unescaped slash ends the authority early; it shows by a port that is no number,
 * and then everything up to the last '@' is taken, or all of the authority if there is none (a
 * blank in the password).
 */
static size_t userinfo_len(struct span rest)
{
	struct span authority = {rest.p, span_before(rest, "/?#\\")};
	struct span host = authority;
	size_t colon;

	for (size_t i = authority.n; i > 0; i--)
		if (rest.p[i - 1] == '@')
			return i;
	colon = host.n;
	for (size_t i = 0; i < host.n && colon == host.n; i++)
		if (host.p[i] == ':')
			colon = i;
	if (colon == host.n || host.p[0] == '[' || all_digits(span_skip(host, colon + 1)))
		return 0;
	for (size_t i = rest.n; i > 0; i--)
		if (rest.p[i - 1] == '@')
			return i;
	return authority.n;
}

/*
 * Appends a path, giving each segment after a segment "t" to on_token's place: masked, or left out
 * together with the "t". min_len is what a segment needs to pass for a token.
 */
static void add_path(struct buf *out, struct span path, size_t min_len, bool leave_out)
{
	while (path.n > 0) {
		struct span segment = {path.p, span_before(path, "/")};
		struct span next = span_skip(path, segment.n);

		if (segment.n == 1 && segment.p[0] == 't' && next.n > 1) {
			struct span after = span_skip(next, 1);
			size_t token = span_before(after, "/");

			if (token > 0 && token >= min_len) {
				if (!leave_out)
					buf_adds(out, "t/" MASK);
				path = span_skip(after, token);
				if (path.n > 0) {
					if (!leave_out)
						buf_addc(out, '/');
					path = span_skip(path, 1);
				}
				continue;
			}
		}
		buf_add(out, segment.p, segment.n);
		path = next;
		if (path.n > 0) {
			buf_addc(out, '/');
			path = span_skip(path, 1);
		}
	}
}

/* A part of a fragment that says which file or project is meant, or nothing that has a value. */
static bool is_harmless(struct span part)
{
	static const char *const names[] = {"egg",  "subdirectory", "md5",
					    "sha1", "sha256",	    "sha512"};
	size_t name = span_before(part, "=");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == name && memcmp(names[i], part.p, name) == 0)
			return true;
	return name == part.n;
}

/* "#egg=x&token=y", '#' first. */
static void add_fragment(struct buf *out, struct span rest)
{
	while (rest.n > 0) {
		struct span behind = span_skip(rest, 1);
		struct span part = {behind.p, span_before(behind, "&")};

		buf_addc(out, rest.p[0]);
		if (is_harmless(part))
			buf_add(out, part.p, part.n);
		else
			buf_adds(out, MASK);
		rest = span_skip(behind, part.n);
	}
}

/* One URL, from its scheme on. */
static void mask_url(struct buf *out, struct span url)
{
	size_t scheme = scheme_len(url);
	struct span rest = span_skip(url, scheme);
	size_t user = userinfo_len(rest);
	size_t path, end;

	buf_add(out, url.p, scheme);
	if (user > 0)
		buf_adds(out, MASK "@");
	rest = span_skip(rest, user);
	path = span_before(rest, "?#");
	add_path(out, (struct span){rest.p, path}, 1, false);
	rest = span_skip(rest, path);
	if (rest.n > 1 && rest.p[0] == '?') {
		end = span_before(rest, "#");
		buf_adds(out, "?" MASK);
		rest = span_skip(rest, end);
	}
	add_fragment(out, rest);
}

/*
 * Where the next URL of a word begins, looking from `from` on; word.n if nowhere. Goes back from
 * "://", so that the whole word costs one pass.
 */
static size_t url_start(struct span word, size_t from)
{
	for (size_t i = from; i + 3 <= word.n; i++) {
		size_t start = i;

		if (memcmp(word.p + i, "://", 3) != 0)
			continue;
		while (start > from && is_scheme(word.p[start - 1]))
			start--;
		while (start < i && !is_alpha(word.p[start]))
			start++;
		if (start < i)
			return start;
	}
	return word.n;
}

static void mask_word(struct buf *out, struct span word)
{
	size_t url = url_start(word, 0);

	if (url < word.n) {
		buf_add(out, word.p, url);
		while (url < word.n) {
			struct span tail = span_skip(word, url);
			size_t end = url_start(word, url + scheme_len(tail));

			mask_url(out, (struct span){tail.p, end - url});
			url = end;
		}
		return;
	}
	if (word.n > 0 && word.p[0] == '/') {
		buf_addc(out, '/');
		word = span_skip(word, 1);
	}
	add_path(out, word, word.n > 2 && memcmp(word.p, "t/", 2) == 0 ? 1 : TOKEN_MIN, false);
}

void channel_mask_url(struct buf *out, const char *text, size_t n)
{
	struct span rest = {text, n};

	while (rest.n > 0) {
		size_t word = 0;

		while (word < rest.n && !is_blank(rest.p[word]))
			word++;
		mask_word(out, (struct span){rest.p, word});
		rest = span_skip(rest, word);
		if (rest.n > 0) {
			buf_addc(out, rest.p[0]);
			rest = span_skip(rest, 1);
		}
	}
}

static bool one_of(struct span s, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(list[i]) == s.n && memcmp(list[i], s.p, s.n) == 0)
			return true;
	return false;
}

bool channel_is_subdir(const char *text, size_t n)
{
	static const char *const systems[] = {"linux", "osx", "win",	"emscripten", "freebsd",
					      "wasi",  "zos", "netbsd", "openbsd",    "unknown"};
	static const char *const machines[] = {"32",	  "64",	     "aarch64",	    "arm64",
					       "armv6l",  "armv7l",  "loongarch64", "ppc64",
					       "ppc64le", "riscv32", "riscv64",	    "s390x",
					       "wasm32",  "x86",     "x86_64",	    "z"};
	struct span s = {text, n};
	size_t dash = span_before(s, "-");

	if (n == 6 && memcmp(text, "noarch", 6) == 0)
		return true;
	return dash < n && one_of((struct span){text, dash}, systems, ARRAY_SIZE(systems)) &&
	       one_of(span_skip(s, dash + 1), machines, ARRAY_SIZE(machines));
}

static struct span cut_slashes(struct span s)
{
	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

/* The last segment: what stands behind the last slash. */
static struct span last_segment(struct span s)
{
	size_t i = s.n;

	while (i > 0 && s.p[i - 1] != '/')
		i--;
	return span_skip(s, i);
}

static struct span cut_subdir(struct span path, const char *subdir)
{
	struct span last;
	bool named;

	path = cut_slashes(path);
	last = last_segment(path);
	named = subdir[0] != '\0' && strlen(subdir) == last.n &&
		memcmp(subdir, last.p, last.n) == 0;
	if (last.n < path.n && (named || channel_is_subdir(last.p, last.n)))
		path.n -= last.n;
	return cut_slashes(path);
}

/* A channel's URL, or with has_file the URL of a file in it. */
static void add_channel_url(struct buf *out, struct span url, const char *subdir, bool has_file)
{
	size_t scheme = scheme_len(url);
	struct span rest = span_skip(url, scheme);
	struct span host, path;
	size_t path_at;

	rest = span_skip(rest, userinfo_len(rest));
	rest.n = span_before(rest, "?#");
	host = (struct span){rest.p, span_before(rest, "/")};
	path = span_skip(rest, host.n);
	if (has_file)
		path.n -= last_segment(path).n;
	path = cut_subdir(path, subdir);

	add_lower(out, (struct span){url.p, scheme});
	add_lower(out, host);
	path_at = out->len;
	add_path(out, path, 1, true);
	while (buf_rc(out) == 0 && out->len > path_at && out->data[out->len - 1] == '/')
		out->len--; /* what a token at the end leaves */
}

void channel_from_record(struct buf *out, const char *url, const char *channel, const char *subdir)
{
	struct span from_url = span_of(url);
	struct span from_channel = span_of(channel);

	if (scheme_len(from_url) > 0) {
		add_channel_url(out, from_url, subdir, true);
	} else if (scheme_len(from_channel) > 0) {
		add_channel_url(out, from_channel, subdir, false);
	} else {
		struct span name = cut_subdir(from_channel, subdir);

		add_path(out, name, 1, true);
	}
}
