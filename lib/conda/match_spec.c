#include "lib/conda/match_spec.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "lib/conda/ascii.h"
#include "lib/conda/match_test.h"
#include "lib/conda/match_text.h"

static const char *const field_names[MATCH_FIELDS] = {
	[MATCH_NAME] = "name",
	[MATCH_CHANNEL] = "channel",
	[MATCH_SUBDIR] = "subdir",
	[MATCH_VERSION] = "version",
	[MATCH_BUILD] = "build",
	[MATCH_BUILD_NUMBER] = "build_number",
	[MATCH_TRACK_FEATURES] = "track_features",
	[MATCH_FEATURES] = "features",
	[MATCH_URL] = "url",
	[MATCH_MD5] = "md5",
	[MATCH_SHA256] = "sha256",
	[MATCH_LICENSE] = "license",
	[MATCH_LICENSE_FAMILY] = "license_family",
	[MATCH_FN] = "fn",
	[MATCH_WHEN] = "when",
	[MATCH_EXTRAS] = "extras",
	[MATCH_FLAGS] = "flags",
};

/* Keys that mean something to conda itself and nothing about a package. */
static const char *const idle_keys[] = {"optional", "target", "_original_spec_str"};

struct parser {
	struct arena *arena;
	struct err *err;
	const char *source;
	size_t source_n;
	struct match_piece values[MATCH_FIELDS];
	enum match_field order[MATCH_FIELDS];
	size_t n;
	bool feature_form; /* "mkl@" */
};

static struct match_piece piece_of(const char *text)
{
	return (struct match_piece){text, strlen(text)};
}

static bool piece_is(struct match_piece s, const char *text)
{
	return strlen(text) == s.n && memcmp(s.p, text, s.n) == 0;
}

static bool piece_has(struct match_piece s, char c)
{
	return s.n > 0 && memchr(s.p, c, s.n) != NULL;
}

/* Where a part of the spec stands in it: 1 and up; 1 too if it was put together from pieces. */
static size_t column_of(const struct parser *p, struct match_piece part)
{
	for (size_t i = 0; part.n > 0 && part.n <= p->source_n && i <= p->source_n - part.n; i++)
		if (memcmp(p->source + i, part.p, part.n) == 0)
			return i + 1;
	return 1;
}

static int refuse(const struct parser *p, struct match_piece part, const char *why)
{
	return err_set(p->err, ERR_INVALID, "column %zu: %s", column_of(p, part), why);
}

/* What is said again about a field counts, where it was said first. */
static void put(struct parser *p, enum match_field field, struct match_piece value)
{
	if (!p->values[field].p)
		p->order[p->n++] = field;
	p->values[field] = value;
}

/* A separator may not follow another, nor stand first, but for one or two '_'. */
static bool is_package_name(struct match_piece s)
{
	size_t i = 0;

	if (s.n > 2 && s.p[0] == '_' && s.p[1] == '_')
		i = 2;
	else if (s.p[0] == '_')
		i = 1;
	if (i == 1 && s.n > 1 && s.p[1] == '_')
		return false;
	if (i == 1 && s.n == 1)
		return true;
	if (i != 1) {
		if (!ascii_is_alnum(s.p[i]))
			return false;
		i++;
	}
	if (i < s.n && strchr("._-", s.p[i]))
		i++;
	while (i < s.n) {
		size_t run = i;

		while (run < s.n && ascii_is_alnum(s.p[run]))
			run++;
		if (run == i)
			return false;
		i = run + (run < s.n);
	}
	return true;
}

static int check_name(const struct parser *p, struct match_piece name)
{
	if (piece_has(name, '*'))
		return 0;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !strchr("._-", name.p[i]))
			return refuse(p, name, "invalid character in the package name");
	return is_package_name(name) ? 0 : refuse(p, name, "invalid package name");
}

/* A channel as written gives the channel and perhaps the subdir; an empty one gives neither. */
static int put_channel(struct parser *p, struct match_piece written, struct match_piece *channel,
		       struct match_piece *subdir)
{
	struct channel_name name;
	int rc;

	if (!written.p || written.n == 0)
		return 0;
	rc = channel_name_parse(written.p, written.n, p->arena, &name, p->err);
	if (rc < 0)
		return p->err ? err_context(p->err, "column %zu", column_of(p, written)) : rc;
	*channel = piece_of(match_test_channel(&name));
	if (name.subdir)
		*subdir = piece_of(name.subdir);
	return 0;
}

static bool is_idle(struct match_piece key)
{
	for (size_t i = 0; i < ARRAY_SIZE(idle_keys); i++)
		if (piece_is(key, idle_keys[i]))
			return true;
	return false;
}

static int take_pair(const struct parser *p, struct match_piece key, struct match_piece value,
		     struct parser *pairs)
{
	if (value.n == 0)
		return refuse(p, key, "a key without a value in the brackets");
	if (piece_is(key, "version") && match_text_version(&value, false, p->arena) < 0)
		return err_nomem(p->err);
	for (size_t field = 0; field < MATCH_FIELDS; field++)
		if (piece_is(key, field_names[field])) {
			put(pairs, (enum match_field)field, value);
			return 0;
		}
	return is_idle(key) ? 0 : refuse(p, key, "unknown key in the brackets");
}

/* The brackets' pairs go over what stands outside; only the name's does not. */
static void put_pairs(struct parser *p, const struct parser *pairs)
{
	for (size_t i = 0; i < pairs->n; i++) {
		enum match_field field = pairs->order[i];

		if (field != MATCH_NAME && field != MATCH_CHANNEL && field != MATCH_SUBDIR)
			put(p, field, pairs->values[field]);
	}
}

static int parse_plain(struct parser *p, struct match_piece text)
{
	struct match_piece inside, key, value, channel = {0}, inner = {0}, subdir = {0};
	struct parser pairs = {.n = 0};
	struct match_parts parts;
	size_t at = 0;
	int rc = 0;

	if (match_text_cut_brackets(&text, &inside, p->arena) < 0)
		return err_nomem(p->err);
	while (rc == 0 && match_text_pair(inside, &at, &key, &value))
		rc = take_pair(p, key, value, &pairs);
	if (rc == 0 && match_text_cut_parens(&text, p->arena) < 0)
		rc = err_nomem(p->err);
	if (rc == 0)
		rc = match_text_split(text, p->arena, &parts, p->err);
	if (rc == 0)
		rc = put_channel(p, parts.channel, &channel, &subdir);
	if (rc == 0)
		rc = put_channel(p, pairs.values[MATCH_CHANNEL], &inner, &subdir);
	if (inner.n > 0)
		channel = inner;
	if (rc == 0)
		rc = check_name(p, parts.name);
	if (rc < 0)
		return rc;
	if (pairs.values[MATCH_SUBDIR].p)
		subdir = pairs.values[MATCH_SUBDIR];
	put(p, MATCH_NAME, parts.name);
	if (channel.p)
		put(p, MATCH_CHANNEL, channel);
	if (subdir.p)
		put(p, MATCH_SUBDIR, subdir);
	if (parts.version.p)
		put(p, MATCH_VERSION, parts.version);
	if (parts.build.p)
		put(p, MATCH_BUILD, parts.build);
	put_pairs(p, &pairs);
	return 0;
}

/* name-version-build, at the last two dashes. */
static int split_dist(struct parser *p, const char *file)
{
	struct match_piece s = {file, strlen(file) - channel_name_extension(file, strlen(file))};
	size_t build = s.n, version;

	while (build > 0 && s.p[build - 1] != '-')
		build--;
	version = build > 0 ? build - 1 : 0;
	while (version > 0 && s.p[version - 1] != '-')
		version--;
	if (version == 0)
		return refuse(p, piece_of(file), "a package's file is name-version-build");
	put(p, MATCH_NAME, (struct match_piece){s.p, version - 1});
	put(p, MATCH_VERSION, (struct match_piece){s.p + version, build - 1 - version});
	put(p, MATCH_BUILD, (struct match_piece){s.p + build, s.n - build});
	return 0;
}

/* A package's URL, or the path of its file. */
static int parse_file(struct parser *p, struct match_piece text)
{
	struct channel_name channel;
	const char *url;
	int rc;

	if (!channel_name_has_scheme(text.p, text.n)) {
		char *path = arena_alloc(p->arena, text.n + 8);

		if (text.p[0] != '/')
			return err_set(
				p->err, ERR_UNSUPPORTED,
				"column 1: a package's file needs an absolute path or a URL");
		if (!path)
			return err_nomem(p->err);
		memcpy(path, "file://", 7);
		memcpy(path + 7, text.p, text.n);
		text = (struct match_piece){path, text.n + 7};
	}
	url = arena_strndup(p->arena, text.p, text.n);
	if (!url)
		return err_nomem(p->err);
	rc = channel_name_parse(text.p, text.n, p->arena, &channel, p->err);
	if (rc < 0)
		return p->err ? err_context(p->err, "column 1") : rc;
	if (channel.subdir && channel.file) {
		put(p, MATCH_CHANNEL, piece_of(channel.canonical));
		put(p, MATCH_SUBDIR, piece_of(channel.subdir));
		rc = split_dist(p, channel.file);
		put(p, MATCH_FN, piece_of(channel.file));
	} else if (channel.subdir) {
		rc = refuse(p, text, "a package's file is name-version-build");
	} else {
		put(p, MATCH_NAME, piece_of("*"));
		put(p, MATCH_FN, piece_of(strrchr(url, '/') + 1));
	}
	put(p, MATCH_URL, piece_of(url));
	return rc;
}

/* The spec without its comment and its condition. */
static struct match_piece cut_remarks(struct match_piece text)
{
	const char *hash = memchr(text.p, '#', text.n);

	if (hash)
		text.n = (size_t)(hash - text.p);
	for (size_t i = 0; i + 4 <= text.n; i++)
		if (memcmp(text.p + i, " if ", 4) == 0)
			text.n = i;
	return text;
}

static int set_tests(struct parser *p, struct match_spec *spec)
{
	struct match_test *tests = arena_calloc(p->arena, p->n + 1, sizeof *tests);
	int rc = 0;

	if (!tests)
		return err_nomem(p->err);
	for (size_t i = 0; i < p->n; i++) {
		enum match_field field = p->order[i];

		rc = match_test_init(&tests[i], field, p->values[field], p->feature_form, p->arena,
				     p->err);
		if (rc < 0 && p->err)
			return err_context(p->err, "column %zu: %s", column_of(p, p->values[field]),
					   field_names[field]);
		if (rc < 0)
			return rc;
		if (field == MATCH_NAME && tests[i].kind == TEST_TEXT)
			spec->name = tests[i].text;
		if (field == MATCH_NAME && tests[i].kind == TEST_GLOB)
			spec->name_glob = tests[i].text;
	}
	spec->tests = tests;
	spec->n = p->n;
	return 0;
}

int match_spec_parse(const char *text, size_t n, struct arena *arena, struct match_spec *out,
		     struct err *err)
{
	struct match_spec spec = {0};
	struct parser p = {.arena = arena, .err = err, .source_n = n};
	struct match_piece rest;
	int rc = 0;

	if (n > MATCH_SPEC_MAX)
		return err_set(err, ERR_LIMIT, "longer than %d bytes", MATCH_SPEC_MAX);
	if (!text_is_utf8(text, n) || (n > 0 && memchr(text, '\0', n)))
		return err_set(err, ERR_INVALID, "not UTF-8 text");
	spec.source = p.source = arena_strndup(arena, text, n);
	if (!p.source)
		return err_nomem(err);
	if (n > 0 && text[n - 1] == '@') {
		p.feature_form = true;
		put(&p, MATCH_NAME, piece_of("*"));
		put(&p, MATCH_TRACK_FEATURES, (struct match_piece){p.source, n - 1});
	} else if (n > 0) {
		rest = cut_remarks((struct match_piece){p.source, n});
		rc = channel_name_extension(rest.p, rest.n) > 0 ? parse_file(&p, rest)
								: parse_plain(&p, rest);
	}
	if (rc == 0)
		rc = set_tests(&p, &spec);
	if (rc == 0)
		*out = spec;
	return rc;
}

static const struct match_test *test_of(const struct match_spec *spec, enum match_field field)
{
	for (size_t i = 0; i < spec->n; i++)
		if (spec->tests[i].field == field)
			return &spec->tests[i];
	return NULL;
}

const char *match_spec_field(const struct match_spec *spec, enum match_field field)
{
	const struct match_test *test = test_of(spec, field);

	return test ? test->text : NULL;
}

/* Whether a value means the same in brackets as where it stood. */
static bool fits_brackets(const struct match_test *test)
{
	struct match_piece s = piece_of(test->text);
	bool relation = test->field == MATCH_VERSION && s.n > 0 && s.p[0] == '=';

	if (s.n == 0 || relation)
		return false;
	if (test->unsteady)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (strchr("'\"[#\n", s.p[i]) || (s.n - i >= 4 && !memcmp(s.p + i, " if ", 4)))
			return false;
	return true;
}

/* Whether a name, globs among them, is read as one where it stands alone or before brackets. */
static bool is_steady_name(const char *name, bool brackets)
{
	for (const char *c = name; *c; c++)
		if (!ascii_is_alnum(*c) && !strchr("._-*", *c))
			return false;
	if (!strchr(name, '*') && !is_package_name(piece_of(name)))
		return false;
	return brackets || channel_name_extension(name, strlen(name)) == 0;
}

void match_spec_format(const struct match_spec *spec, struct buf *out)
{
	const struct match_test *name = test_of(spec, MATCH_NAME);
	bool fits = name && is_steady_name(name->text, spec->n > 1);

	for (size_t i = 0; fits && i < spec->n; i++)
		fits = &spec->tests[i] == name || fits_brackets(&spec->tests[i]);
	if (!fits) {
		buf_adds(out, spec->source);
		return;
	}
	buf_add(out, name->text, name->n);
	for (size_t i = 0, n = 0; i < spec->n; i++) {
		if (&spec->tests[i] == name)
			continue;
		buf_addf(out, "%s%s='%s'", n++ == 0 ? "[" : ",", field_names[spec->tests[i].field],
			 spec->tests[i].text);
	}
	if (spec->n > 1)
		buf_addc(out, ']');
}
int match_spec_match(const struct match_spec *spec, const struct match_subject *subject)
{
	int rc = 1;

	for (size_t i = 0; i < spec->n && rc == 1; i++)
		rc = match_test_match(&spec->tests[i], subject);
	return rc;
}
