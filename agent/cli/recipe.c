#include "agent/cli/recipe.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/json.h"
#include "lib/base/text.h"

static bool is_conda(const struct package *p)
{
	return strcmp(p->manager, "conda") == 0;
}

static void add_escaped(struct buf *out, const char *text)
{
	text_escape(out, text, strlen(text));
}

/* "# name 1.0 h_0: why" */
static void comment(struct buf *out, const struct package *p, const char *why)
{
	buf_adds(out, "# ");
	add_escaped(out, p->name);
	buf_addc(out, ' ');
	add_escaped(out, p->version);
	buf_addf(out, "%s", *p->build ? " " : "");
	add_escaped(out, p->build);
	buf_addf(out, ": %s\n", why);
}

/* --- explicit ----------------------------------------------------------------------------- */

static bool ends_with(const char *text, size_t n, const char *end)
{
	size_t end_n = strlen(end);

	return n > end_n && memcmp(text + n - end_n, end, end_n) == 0;
}

/* One that conda takes for a package's: a scheme, no blank or control, an archive at its end. */
static bool url_usable(const char *url)
{
	size_t n = strlen(url);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)url[i];

		if (c <= ' ' || c >= 0x7f || c == '#')
			return false;
	}
	return strstr(url, "://") && (ends_with(url, n, ".conda") || ends_with(url, n, ".tar.bz2"));
}

/* Both forms are conda's own: "#md5", "#sha256:hash". */
static void add_url(struct buf *out, const struct package *p)
{
	buf_adds(out, p->url);
	if (p->has_sha256) {
		buf_adds(out, "#sha256:");
		buf_add_hex(out, p->sha256, sizeof(p->sha256));
	} else if (p->has_md5) {
		buf_addc(out, '#');
		buf_add_hex(out, p->md5, sizeof(p->md5));
	}
	buf_addc(out, '\n');
}

void recipe_explicit(const struct recipe *r, struct buf *out)
{
	buf_adds(out, "# This file may be used to create an environment using:\n"
		      "# $ conda create --name <env> --file <this file>\n");
	if (*r->platform) {
		buf_adds(out, "# platform: ");
		add_escaped(out, r->platform);
		buf_addc(out, '\n');
	}
	buf_adds(out, "@EXPLICIT\n");
	for (size_t i = 0; i < r->packages->n; i++) {
		const struct package *p = &r->packages->items[i];

		if (!is_conda(p))
			comment(out, p, "not conda's; install it with pip");
		else if (!url_usable(p->url))
			comment(out, p, "its record names no address to get it from");
		else
			add_url(out, p);
	}
}

/* --- yaml --------------------------------------------------------------------------------- */

/* ASCII letters of either case are the same. */
static bool same_word(const char *text, const char *lower)
{
	while (*text && ((*text | 0x20) == *lower)) {
		text++;
		lower++;
	}
	return !*text && !*lower;
}

/* What YAML reads as the text it is without quotes, whatever the reader's version. */
static bool is_plain(const char *text)
{
	static const char *const words[] = {"true", "false", "null", "yes", "no", "on",
					    "off",  "y",     "n",    "nan", "inf"};
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"0123456789._+=:/-");
	bool letter = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z');

	if (!letter || text[n] != '\0' || text[n - 1] == ':')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (same_word(text, words[i]))
			return false;
	}
	return true;
}

/* Between double quotes JSON's escapes are YAML's too. */
static void add_value(struct buf *out, const char *text)
{
	struct json_writer w;

	if (is_plain(text)) {
		buf_adds(out, text);
		return;
	}
	json_writer_init(&w, out);
	json_str(&w, text);
}

static bool first_of_channel(const struct recipe *r, size_t i)
{
	const char *channel = r->packages->items[i].channel;

	if (!is_conda(&r->packages->items[i]) || !*channel)
		return false;
	for (size_t k = 0; k < i; k++) {
		if (is_conda(&r->packages->items[k]) &&
		    strcmp(r->packages->items[k].channel, channel) == 0)
			return false;
	}
	return true;
}

static size_t add_channels(const struct recipe *r, struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < r->packages->n; i++) {
		if (!first_of_channel(r, i))
			continue;
		buf_adds(out, n++ == 0 ? "channels:\n  - " : "  - ");
		add_value(out, r->packages->items[i].channel);
		buf_addc(out, '\n');
	}
	return n;
}

/* "channel::name=version=build"; the channel only where there are several. */
static void add_dependency(const struct package *p, bool with_channel, struct buf *out)
{
	struct buf text;

	buf_init(&text, 8192);
	if (with_channel && *p->channel)
		buf_addf(&text, "%s::", p->channel);
	buf_addf(&text, "%s=%s", p->name, p->version);
	if (*p->build)
		buf_addf(&text, "=%s", p->build);
	buf_adds(out, "  - ");
	add_value(out, buf_cstr(&text));
	buf_addc(out, '\n');
	buf_deinit(&text);
}

static void add_pip(const struct package *p, struct buf *out)
{
	struct buf text;

	buf_init(&text, 8192);
	buf_addf(&text, "%s==%s", p->name, p->version);
	buf_adds(out, "    - ");
	add_value(out, buf_cstr(&text));
	buf_addc(out, '\n');
	buf_deinit(&text);
}

void recipe_yaml(const struct recipe *r, struct buf *out)
{
	bool several;
	bool pip = false;

	buf_adds(out, "name: ");
	add_value(out, r->name);
	buf_addc(out, '\n');
	several = add_channels(r, out) > 1;
	buf_adds(out, r->packages->n > 0 ? "dependencies:\n" : "dependencies: []\n");
	for (size_t i = 0; i < r->packages->n; i++) {
		if (is_conda(&r->packages->items[i]))
			add_dependency(&r->packages->items[i], several, out);
	}
	for (size_t i = 0; i < r->packages->n; i++) {
		if (is_conda(&r->packages->items[i]))
			continue;
		if (!pip)
			buf_adds(out, "  - pip:\n");
		pip = true;
		add_pip(&r->packages->items[i], out);
	}
}
