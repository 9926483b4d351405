#include "lib/conda/channel_name.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "lib/conda/ascii.h"

#define ALIAS "conda.anaconda.org"
#define SCHEME "https"
#define UNKNOWN "<unknown>"

/* Channels known by name without being at the alias; longest name first, as they are looked for. */
static const struct known {
	const char *name;
	const char *place;
	const char *multichannel; /* NULL = member of none */
} known_channels[] = {
	{"pkgs/msys2", "repo.anaconda.com", "defaults"},
	{"pkgs/main", "repo.anaconda.com", "defaults"},
	{"pkgs/pro", "repo.anaconda.com", NULL},
	{"pkgs/r", "repo.anaconda.com", "defaults"},
};

static const char *const multichannels[] = {"defaults", "local"};

static const char *const subdirs[] = {
	"noarch",	 "emscripten-wasm32",
	"wasi-wasm32",	 "freebsd-64",
	"linux-32",	 "linux-64",
	"linux-aarch64", "linux-armv6l",
	"linux-armv7l",	 "linux-ppc64",
	"linux-ppc64le", "linux-riscv64",
	"linux-s390x",	 "osx-64",
	"osx-arm64",	 "win-32",
	"win-64",	 "win-arm64",
	"zos-z",
};

/* A piece of text. */
struct span {
	const char *p;
	size_t n;
};

static struct span span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

static bool span_is(struct span s, const char *text)
{
	return strlen(text) == s.n && memcmp(s.p, text, s.n) == 0;
}

static struct span strip_slashes(struct span s)
{
	while (s.n > 0 && s.p[0] == '/') {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

static void cut_right_slashes(struct span *s)
{
	while (s->n > 0 && s->p[s->n - 1] == '/')
		s->n--;
}

/* Where text stands in s first; s.n if nowhere. */
static size_t span_find(struct span s, struct span text)
{
	for (size_t i = 0; text.n <= s.n && i <= s.n - text.n; i++)
		if (memcmp(s.p + i, text.p, text.n) == 0)
			return i;
	return s.n;
}

static size_t span_before(struct span s, char c)
{
	const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

static bool same_folded(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

static bool ends_folded(struct span s, const char *end)
{
	size_t n = strlen(end);

	return s.n >= n && same_folded(s.p + s.n - n, end, n);
}

size_t channel_name_extension(const char *text, size_t n)
{
	struct span s = {text, n};

	if (ends_folded(s, ".tar.bz2"))
		return strlen(".tar.bz2");
	return ends_folded(s, ".conda") ? strlen(".conda") : 0;
}

/* Length of "https" in "https://", lower case as conda wants it; 0 = no scheme. */
static size_t scheme_length(struct span s)
{
	size_t i = 0;

	while (i < s.n && i < 12 && (ascii_is_digit(s.p[i]) || (s.p[i] >= 'a' && s.p[i] <= 'z')))
		i++;
	if (i == 0 || ascii_is_digit(s.p[0]) || s.n - i < 3 || memcmp(s.p + i, "://", 3) != 0)
		return 0;
	return i;
}

bool channel_name_has_scheme(const char *text, size_t n)
{
	return scheme_length((struct span){text, n}) > 0;
}

/*
 * Whether both agree segment by segment as far as the shorter one goes (conda compares so; an empty
 * text is one empty segment).
 */
static bool same_beginning(struct span a, struct span b)
{
	for (;;) {
		struct span x = {a.p, span_before(a, '/')};
		struct span y = {b.p, span_before(b, '/')};

		if (x.n != y.n || memcmp(x.p, y.p, x.n) != 0)
			return false;
		if (x.n == a.n || y.n == b.n)
			return true;
		a = (struct span){a.p + x.n + 1, a.n - x.n - 1};
		b = (struct span){b.p + y.n + 1, b.n - y.n - 1};
	}
}

/* A channel taken apart. */
struct parts {
	struct arena *arena;
	struct err *err;
	struct span scheme; /* n = 0: none */
	struct span place;
	struct span name;
	bool has_place;
};

static int nomem(struct parts *p)
{
	return err_nomem(p->err);
}

/* Pieces one behind the other, in the arena. */
static int concat(struct parts *p, const struct span *pieces, size_t n, struct span *out)
{
	size_t length = 0;
	char *text;

	for (size_t i = 0; i < n; i++)
		length += pieces[i].n;
	text = arena_alloc(p->arena, length + 1);
	if (!text)
		return nomem(p);
	*out = (struct span){text, length};
	for (size_t i = 0; i < n; i++) {
		if (pieces[i].n > 0)
			memcpy(text, pieces[i].p, pieces[i].n);
		text += pieces[i].n;
	}
	return 0;
}

/* place/name with the slashes that both need and no others. */
static int join_path(struct parts *p, struct span place, struct span name, struct span *out)
{
	bool rooted = place.n == 0 || place.p[0] == '/';
	struct span a = strip_slashes(place);
	struct span b = strip_slashes(name);

	return concat(p, (struct span[]){{"/", rooted}, a, {"/", a.n > 0 && b.n > 0}, b}, 4, out);
}

/* text without its first `what` (n = 0: without anything), in the arena. */
static int without(struct parts *p, struct span text, struct span what, struct span *out)
{
	size_t at = span_find(text, what);

	if (at == text.n) {
		*out = text;
		return 0;
	}
	return concat(p,
		      (struct span[]){{text.p, at}, {text.p + at + what.n, text.n - at - what.n}},
		      2, out);
}

/* Takes a token, "/t/TOKEN", out of a URL. */
static int cut_token(struct parts *p, struct span *url)
{
	size_t at = span_find(*url, span_of("/t/"));
	struct span token = {url->p + at, 3};
	int rc = 0;

	if (at < url->n) {
		while (at + token.n < url->n &&
		       (ascii_is_alnum(token.p[token.n]) || token.p[token.n] == '-'))
			token.n++;
		rc = without(p, *url, token, url);
	}
	cut_right_slashes(url);
	return rc;
}

static bool is_subdir(struct span s)
{
	for (size_t i = 0; i < ARRAY_SIZE(subdirs); i++)
		if (strlen(subdirs[i]) == s.n && same_folded(subdirs[i], s.p, s.n))
			return true;
	return false;
}

/* Takes the first folder that is a platform out; *subdir = NULL if there is none. */
static int cut_subdir(struct parts *p, struct span *url, const char **subdir)
{
	int rc = 0;

	*subdir = NULL;
	for (size_t i = 0; i < url->n; i++) {
		struct span rest = {url->p + i + 1, url->n - i - 1};
		struct span folder = {rest.p, span_before(rest, '/')};

		if (url->p[i] != '/' || !is_subdir(folder))
			continue;
		*subdir = arena_strndup(p->arena, folder.p, folder.n);
		if (!*subdir)
			return nomem(p);
		rc = without(p, *url, (struct span){folder.p - 1, folder.n + 1}, url);
		break;
	}
	cut_right_slashes(url);
	return rc;
}

/* %XX as bytes; what comes out must be UTF-8. */
static int percent_decode(struct parts *p, struct span *s)
{
	unsigned char byte;
	size_t n = 0;
	char *out;

	if (span_before(*s, '%') == s->n)
		return 0;
	out = arena_alloc(p->arena, s->n + 1);
	if (!out)
		return nomem(p);
	for (size_t i = 0; i < s->n; i++) {
		out[n] = s->p[i];
		if (s->p[i] == '%' && s->n - i > 2 &&
		    text_from_hex(s->p + i + 1, 2, &byte, 1) == 0) {
			out[n] = (char)byte;
			i += 2;
		}
		n++;
	}
	if (!text_is_utf8(out, n) || memchr(out, '\0', n))
		return err_set(p->err, ERR_INVALID, "a channel's name that is no text");
	*s = (struct span){out, n};
	return 0;
}

/* Host in lower case and port, of what stands between "//" and the path. n = 0: none. */
static int read_host(struct parts *p, struct span authority, struct span *out)
{
	struct span host = authority, port = {"", 0};
	unsigned long long number = 0;
	size_t colon;
	char *text;

	for (size_t i = host.n; i > 0; i--)
		if (host.p[i - 1] == '@') {
			host = (struct span){host.p + i, host.n - i};
			break;
		}
	colon = span_before(host, ']');
	if (host.n > 0 && host.p[0] == '[' && colon < host.n) {
		host.p++;
		host.n -= 1;
		colon -= 1;
		port = (struct span){host.p + colon + 1, host.n - colon - 1};
	} else {
		if (span_before(host, '[') < host.n || colon < host.n)
			return err_set(p->err, ERR_INVALID, "bad host in a channel's URL");
		colon = span_before(host, ':');
		port = (struct span){host.p + colon, host.n - colon};
	}
	host.n = colon;
	if (port.n > 1 && host.n == 0)
		return err_set(p->err, ERR_INVALID, "a port without a host in a channel's URL");
	if (port.n > 1 && port.p[0] == ':' &&
	    (text_to_u64(port.p + 1, port.n - 1, &number) < 0 || number > 65535))
		return err_set(p->err, ERR_INVALID, "bad port in a channel's URL");
	while (port.n > 2 && port.p[1] == '0') {
		port.p++;
		port.n--;
	}
	text = arena_alloc(p->arena, host.n + port.n + 1);
	if (!text)
		return nomem(p);
	*out = (struct span){text, host.n};
	for (size_t i = 0; i < host.n; i++)
		text[i] = ascii_lower(host.p[i]);
	if (number > 0) {
		text[host.n] = ':';
		memcpy(text + host.n + 1, port.p + 1, port.n - 1);
		out->n += port.n;
	}
	return 0;
}

/* A URL's host and port, and its path without query and such. */
static int split_url(struct parts *p, struct span url, struct span *host, struct span *path)
{
	size_t scheme = scheme_length(url);
	struct span rest = url;
	size_t end;

	if (scheme > 0) {
		p->scheme = (struct span){url.p, scheme};
		rest = (struct span){url.p + scheme + 3, url.n - scheme - 3};
	}
	for (end = 0; end < rest.n && !memchr("/?#", rest.p[end], 3); end++)
		continue;
	*path = (struct span){rest.p + end, rest.n - end};
	path->n = span_before(*path, '#');
	path->n = span_before(*path, '?');
	return read_host(p, (struct span){rest.p, end}, host);
}

/* The place and name that a URL's host and path mean. */
static int locate(struct parts *p, struct span host, struct span path)
{
	struct span url, target;
	size_t cut;
	int rc;

	p->has_place = true;
	cut_right_slashes(&path);
	p->place = host;
	if (path.n == 0)
		return 0;
	rc = concat(p, (struct span[]){host, path}, 2, &url);
	for (size_t i = 0; i < ARRAY_SIZE(known_channels) && rc == 0; i++) {
		const struct known *known = &known_channels[i];
		struct span sub;

		rc = join_path(p, span_of(known->place), span_of(known->name), &target);
		if (rc < 0 || !same_beginning(url, target))
			continue;
		p->place = span_of(known->place);
		rc = without(p, url, target, &sub);
		return rc < 0 ? rc
			      : join_path(p, span_of(known->name), strip_slashes(sub), &p->name);
	}
	if (rc < 0)
		return rc;
	if (same_beginning(url, span_of(ALIAS))) {
		p->place = span_of(ALIAS);
		p->name = strip_slashes(path);
	} else if (host.n == 0) {
		for (cut = url.n; cut > 0 && url.p[cut - 1] != '/'; cut--)
			continue;
		p->place = cut > 1 ? (struct span){url.p, cut - 1} : span_of("/");
		p->name = (struct span){url.p + cut, url.n - cut};
		p->scheme = span_of("file");
	} else {
		struct span first = strip_slashes(path);

		p->name = first;
		first.n = span_before(first, '/');
		if (span_is(first, "conda")) {
			p->name = strip_slashes((struct span){p->name.p + 5, p->name.n - 5});
			rc = concat(p, (struct span[]){host, span_of("/conda")}, 2, &p->place);
		}
	}
	return rc;
}

/* A URL's last part, if it is a file of a channel. */
static int cut_file(struct parts *p, struct span *url, const char **file)
{
	size_t cut = url->n;
	struct span name;
	int rc;

	*file = NULL;
	if (channel_name_extension(url->p, url->n) == 0 &&
	    !(url->n >= 5 && memcmp(url->p + url->n - 5, ".json", 5) == 0) &&
	    !(url->n >= 9 && memcmp(url->p + url->n - 9, ".json.zst", 9) == 0))
		return 0;
	while (cut > 0 && url->p[cut - 1] != '/')
		cut--;
	if (cut == 0)
		return 0;
	name = (struct span){url->p + cut, url->n - cut};
	rc = percent_decode(p, &name);
	if (rc < 0)
		return rc;
	*file = arena_strndup(p->arena, name.p, name.n);
	url->n = cut - 1;
	return *file ? 0 : nomem(p);
}

static int from_url(struct parts *p, struct span url, struct channel_name *out)
{
	struct span host = {"", 0}, path = host;
	int rc = cut_token(p, &url);

	if (rc == 0)
		rc = cut_subdir(p, &url, &out->subdir);
	if (rc == 0)
		rc = cut_file(p, &url, &out->file);
	if (rc == 0)
		rc = split_url(p, url, &host, &path);
	if (rc == 0)
		rc = locate(p, host, path);
	if (rc == 0)
		rc = percent_decode(p, &p->name);
	if (p->scheme.n == 0)
		p->scheme = span_of(SCHEME);
	return rc;
}

static int from_name(struct parts *p, struct span name, struct channel_name *out)
{
	int rc = cut_subdir(p, &name, &out->subdir);
	struct span head = name;

	if (rc < 0)
		return rc;
	p->name = name;
	for (size_t i = 0; i < ARRAY_SIZE(multichannels); i++)
		if (span_is(name, multichannels[i]))
			return 0;
	p->scheme = span_of(SCHEME);
	p->place = span_of(ALIAS);
	p->has_place = true;
	for (;;) {
		for (size_t i = 0; i < ARRAY_SIZE(known_channels); i++)
			if (span_is(head, known_channels[i].name)) {
				p->place = span_of(known_channels[i].place);
				return 0;
			}
		do {
			if (head.n == 0)
				return 0;
			head.n--;
		} while (head.p[head.n] != '/');
	}
}

/* "/a//b/../c" as "file:///a/c". */
static int from_path(struct parts *p, struct span path, struct channel_name *out)
{
	char *text = arena_alloc(p->arena, path.n + 9);
	size_t root = 7, n = root;

	if (!text)
		return nomem(p);
	memcpy(text, "file://", 7);
	if (path.n > 1 && path.p[1] == '/' && (path.n == 2 || path.p[2] != '/'))
		text[n++] = '/'; /* two slashes mean something of their own */
	root = n;
	while (path.n > 0) {
		struct span folder;

		path.p++;
		path.n--;
		folder = (struct span){path.p, span_before(path, '/')};
		path.p += folder.n;
		path.n -= folder.n;
		if (span_is(folder, "..")) {
			while (n > root && text[--n] != '/')
				continue;
		} else if (folder.n > 0 && !span_is(folder, ".")) {
			text[n++] = '/';
			for (size_t i = 0; i < folder.n; i++)
				text[n++] = folder.p[i] == '\\' ? '/' : folder.p[i];
		}
	}
	if (n == root)
		text[n++] = '/';
	return from_url(p, (struct span){text, n}, out);
}

/* A path that is relative to something: a folder, a home, a drive, a server. */
static bool is_relative(struct span s)
{
	return s.n > 0 &&
	       (s.p[0] == '~' || (s.n > 1 && memcmp(s.p, "./", 2) == 0) ||
		(s.n > 1 && (memcmp(s.p, "..", 2) == 0 || memcmp(s.p, "\\\\", 2) == 0)) ||
		(s.n > 2 && s.p[1] == ':' && ascii_is_alnum(s.p[0]) && !ascii_is_digit(s.p[0]) &&
		 (s.p[2] == '/' || s.p[2] == '\\')));
}

static int name_canonically(struct parts *p, struct channel_name *out)
{
	struct span url = {"", 0}, canonical = p->name, path;
	bool known = !p->has_place;
	int rc;

	out->name = arena_strndup(p->arena, p->name.p, p->name.n);
	if (!out->name)
		return nomem(p);
	if (p->has_place) {
		rc = join_path(p, p->place, p->name, &path);
		if (rc == 0)
			rc = concat(p, (struct span[]){p->scheme, {"://", 3}, path}, 3, &url);
		if (rc < 0)
			return rc;
		out->base_url = url.p;
		known = span_is(p->place, ALIAS);
		out->elsewhere = !known && p->place.n > 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known_channels); i++) {
		const struct known *k = &known_channels[i];

		if (k->multichannel && span_is(p->name, k->name))
			canonical = span_of(k->multichannel);
		if (p->name.n > 0 && same_beginning(p->name, span_of(k->name)))
			known = true;
	}
	if (!known)
		canonical = url;
	out->canonical = arena_strndup(p->arena, canonical.p, canonical.n);
	return out->canonical ? 0 : nomem(p);
}

int channel_name_parse(const char *text, size_t n, struct arena *arena, struct channel_name *out,
		       struct err *err)
{
	struct parts parts = {.arena = arena, .err = err, .name = {"", 0}};
	struct channel_name name = {0};
	struct span s = {text, n};
	int rc = 0;

	if (text && n > CHANNEL_NAME_MAX)
		return err_set(err, ERR_LIMIT, "channel longer than %d bytes", CHANNEL_NAME_MAX);
	if (text && n > 0 && memchr(text, '\0', n))
		return err_set(err, ERR_INVALID, "NUL in a channel");
	if (!text || span_is(s, UNKNOWN) || span_is(s, "None:///" UNKNOWN) || span_is(s, "None")) {
		parts.name = span_of(UNKNOWN);
	} else if (scheme_length(s) > 0) {
		name.is_url = true;
		rc = from_url(&parts, s, &name);
	} else if (is_relative(s) && span_find(s, span_of("://")) == s.n) {
		rc = err_set(err, ERR_UNSUPPORTED, "a channel that is a path must be absolute");
	} else if (n > 0 && text[0] == '/' && span_find(s, span_of("://")) == s.n) {
		rc = from_path(&parts, s, &name);
	} else if (channel_name_extension(text, n) > 0) {
		rc = from_url(&parts, s, &name);
	} else {
		rc = from_name(&parts, s, &name);
	}
	if (rc == 0)
		rc = name_canonically(&parts, &name);
	if (rc == 0)
		*out = name;
	return rc;
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

bool channel_name_match(const struct channel_name *wanted, const struct channel_name *other)
{
	if (wanted->elsewhere)
		return same(wanted->base_url, other->base_url);
	return same(wanted->name, other->name) || same(wanted->name, other->canonical);
}
