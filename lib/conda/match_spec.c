#include "lib/conda/match_spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/conda/ascii.h"
#include "lib/conda/glob.h"
#include "lib/conda/match_text.h"
#include "lib/conda/regex.h"

enum test_kind {
	TEST_TEXT, /* equal to `text` */
	TEST_GLOB,
	TEST_REGEX,
	TEST_VERSION,  /* a version spec */
	TEST_RELATION, /* of the build number */
	TEST_CHANNEL,
	TEST_ALWAYS,
	TEST_NEVER,
	TEST_UNKNOWN, /* no package has the field */
};

/* One thing a package must meet. */
struct match_test {
	enum match_field field;
	enum test_kind kind;
	const char *text; /* what the spec says, as conda holds it */
	size_t n;
	struct glob glob;
	struct regex regex;
	struct version_spec versions;
	enum version_relation relation;
	struct version than;
	struct channel_name channel;
};

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
	*channel = piece_of(name.is_url && name.elsewhere ? name.base_url : name.canonical);
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

static int set_pattern(struct parser *p, struct match_test *test)
{
	bool regex = test->n > 0 && test->text[0] == '^' && test->text[test->n - 1] == '$';
	int rc;

	/* "^" alone begins with it but does not end with '$'. */
	if (regex) {
		test->kind = TEST_REGEX;
		return regex_init(&test->regex, test->text, test->n, p->arena, p->err);
	}
	test->kind = TEST_TEXT;
	if (!memchr(test->text, '*', test->n))
		return 0;
	test->kind = TEST_GLOB;
	rc = glob_init(&test->glob, test->text, test->n, p->arena);
	return rc == 0 ? 0 : err_set(p->err, rc, "%s", err_text(rc));
}

static int fold(struct parser *p, struct match_test *test)
{
	char *text = arena_strndup(p->arena, test->text, test->n);

	if (!text)
		return err_nomem(p->err);
	for (size_t i = 0; i < test->n; i++)
		text[i] = ascii_lower(text[i]);
	test->text = text;
	return 0;
}

/* A channel's glob is to conda a regular expression in which only '*' was changed. */
static int set_channel_glob(struct parser *p, struct match_test *test)
{
	bool plain = true;
	struct buf rx;
	int rc;

	for (size_t i = 0; i < test->n; i++)
		plain = plain && !memchr(".+?[]{}()|\\^$\n", test->text[i], 14);
	if (plain || (test->text[0] == '^' && test->text[test->n - 1] == '$'))
		return set_pattern(p, test);
	test->kind = TEST_REGEX;
	buf_init(&rx, 2 * test->n + 16);
	buf_adds(&rx, "^(?:");
	for (size_t i = 0; i < test->n; i++) {
		if (test->text[i] == '*')
			buf_addc(&rx, '.');
		buf_addc(&rx, test->text[i]);
	}
	buf_adds(&rx, ")$");
	rc = buf_rc(&rx);
	if (rc < 0)
		(void)err_set(p->err, rc, "%s", err_text(rc));
	else
		rc = regex_init(&test->regex, rx.data, rx.len, p->arena, p->err);
	buf_deinit(&rx);
	return rc;
}

static int set_channel(struct parser *p, struct match_test *test)
{
	bool regex = test->n > 0 && test->text[0] == '^' && test->text[test->n - 1] == '$';
	int rc;

	if (regex || memchr(test->text, '*', test->n))
		return set_channel_glob(p, test);
	test->kind = TEST_CHANNEL;
	rc = channel_name_parse(test->text, test->n, p->arena, &test->channel, p->err);
	if (rc < 0)
		return rc;
	test->text = test->channel.base_url ? test->channel.base_url : test->channel.name;
	test->n = strlen(test->text);
	return 0;
}

/* A number as Python reads one: blanks around, a sign, single '_' between digits. */
static bool read_integer(struct match_piece s, char *out, size_t *n)
{
	bool minus, digit = false;

	ascii_strip(&s.p, &s.n);
	minus = s.n > 0 && s.p[0] == '-';
	*n = 0;
	for (size_t i = s.n > 0 && (minus || s.p[0] == '+'); i < s.n; i++) {
		if (s.p[i] == '_' && digit && i + 1 < s.n) {
			digit = false;
			continue;
		}
		digit = ascii_is_digit(s.p[i]);
		if (!digit)
			return false;
		if (*n == 0 && s.p[i] != '0' && minus)
			out[(*n)++] = '-';
		if (*n > 0 || s.p[i] != '0')
			out[(*n)++] = s.p[i];
	}
	if (digit && *n == 0)
		out[(*n)++] = '0';
	return digit;
}

static int set_build_number(struct parser *p, struct match_test *test)
{
	struct match_piece s = {test->text, test->n};
	char *number = arena_alloc(p->arena, test->n + 2);
	struct version_room room;
	size_t operator_n;
	int rc;

	if (!number)
		return err_nomem(p->err);
	test->kind = TEST_TEXT;
	if (read_integer(s, number, &test->n)) {
		test->text = number;
		return 0;
	}
	ascii_strip(&s.p, &s.n);
	test->text = s.p;
	test->n = s.n;
	if (s.n == 0)
		return err_set(p->err, ERR_INVALID, "empty build number");
	if (piece_is(s, "*")) {
		test->kind = TEST_ALWAYS;
		return 0;
	}
	if (strchr("=<>!", s.p[0])) {
		test->kind = TEST_RELATION;
		if (version_relation_parse(s.p, s.n, &test->relation, &operator_n) < 0)
			return err_set(p->err, ERR_INVALID, "invalid operator");
		rc = version_parse(s.p + operator_n, s.n - operator_n, &room, &test->than, p->err);
		if (rc == 0 && version_keep(p->arena, &test->than) < 0)
			rc = err_nomem(p->err);
		return rc;
	}
	if (s.p[0] == '^' || s.p[s.n - 1] == '$') {
		if (s.p[0] != '^' || s.p[s.n - 1] != '$')
			return err_set(p->err, ERR_INVALID,
				       "a regular expression begins with '^' and ends with '$'");
		return err_set(p->err, ERR_UNSUPPORTED,
			       "regular expressions are not supported for build numbers");
	}
	test->kind = TEST_NEVER; /* a text, and no number is one */
	return 0;
}

/* A list of words: packages here have no such thing, so only the empty list matches. */
static void set_words(const struct parser *p, struct match_test *test)
{
	test->kind = TEST_ALWAYS;
	for (size_t i = 0; i < test->n; i++)
		if (!ascii_is_space(test->text[i]) && (p->feature_form || test->text[i] != ','))
			test->kind = TEST_NEVER;
}

static int set_test(struct parser *p, enum match_field field, struct match_test *test)
{
	struct match_piece value = p->values[field];
	int rc;

	test->field = field;
	test->n = value.n;
	test->text = arena_strndup(p->arena, value.p, value.n);
	if (!test->text)
		return err_nomem(p->err);
	switch (field) {
	case MATCH_NAME:
	case MATCH_LICENSE:
	case MATCH_LICENSE_FAMILY:
		rc = fold(p, test);
		return rc < 0 ? rc : set_pattern(p, test);
	case MATCH_BUILD:
		return set_pattern(p, test);
	case MATCH_VERSION:
		test->kind = TEST_VERSION;
		return version_spec_parse(test->text, test->n, p->arena, &test->versions, p->err);
	case MATCH_BUILD_NUMBER:
		return set_build_number(p, test);
	case MATCH_CHANNEL:
		return set_channel(p, test);
	case MATCH_TRACK_FEATURES:
	case MATCH_FEATURES:
	case MATCH_FLAGS:
		set_words(p, test);
		return 0;
	case MATCH_WHEN:
		test->kind = TEST_ALWAYS;
		return 0;
	case MATCH_EXTRAS:
		test->kind = TEST_UNKNOWN;
		return 0;
	case MATCH_SUBDIR:
	case MATCH_URL:
	case MATCH_MD5:
	case MATCH_SHA256:
	case MATCH_FN:
	case MATCH_FIELDS:
		break;
	}
	test->kind = TEST_TEXT;
	return 0;
}

/* What conda holds is the canonical text of a version spec. */
static int canonical_version(struct parser *p, struct match_test *test)
{
	struct buf text;
	int rc;

	buf_init(&text, 2 * MATCH_SPEC_MAX);
	version_spec_format(&test->versions, &text);
	rc = buf_rc(&text);
	if (rc == 0) {
		test->text = arena_strndup(p->arena, text.data ? text.data : "", text.len);
		test->n = text.len;
		if (!test->text)
			rc = ERR_NOMEM;
	}
	buf_deinit(&text);
	return rc < 0 ? err_set(p->err, rc, "%s", err_text(rc)) : 0;
}

static int set_tests(struct parser *p, struct match_spec *spec)
{
	struct match_test *tests = arena_calloc(p->arena, p->n + 1, sizeof *tests);
	int rc = 0;

	if (!tests)
		return err_nomem(p->err);
	for (size_t i = 0; i < p->n; i++) {
		enum match_field field = p->order[i];

		rc = set_test(p, field, &tests[i]);
		if (rc == 0 && tests[i].kind == TEST_VERSION)
			rc = canonical_version(p, &tests[i]);
		if (rc < 0 && p->err)
			return err_context(p->err, "column %zu: %s", column_of(p, p->values[field]),
					   field_names[field]);
		if (rc < 0)
			return rc;
		if (field == MATCH_NAME && tests[i].kind == TEST_TEXT)
			spec->name = tests[i].text;
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
	if (test->field == MATCH_CHANNEL && (piece_has(s, '%') || test->channel.subdir))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (strchr("'\"[#\n", s.p[i]) || (s.n - i >= 4 && !memcmp(s.p + i, " if ", 4)))
			return false;
	return true;
}

void match_spec_format(const struct match_spec *spec, struct buf *out)
{
	const struct match_test *name = test_of(spec, MATCH_NAME);
	bool fits = name && strcspn(name->text, ":[#(\n \"'=<>!~") == name->n;

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

static const char *lower_copy(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	for (char *c = copy; c && *c; c++)
		*c = ascii_lower(*c);
	return copy;
}

static const char *known(const char *text)
{
	return text ? text : "None";
}

/* The file a package came in, as conda names it when nobody said. */
static const char *file_of(const struct match_package *package, const char *from_url,
			   struct arena *arena)
{
	const char *parts[] = {known(package->name), "-", known(package->version), "-",
			       known(package->build)};
	size_t length = 0, n = 0;
	char *text;

	if (package->fn || from_url)
		return package->fn ? package->fn : from_url;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		length += strlen(parts[i]);
	text = arena_alloc(arena, length + 1);
	for (size_t i = 0; text && i < ARRAY_SIZE(parts); i++) {
		memcpy(text + n, parts[i], strlen(parts[i]));
		n += strlen(parts[i]);
	}
	return text;
}

static int subject_version(struct version_subject *s, const char *text, struct arena *arena)
{
	struct version_room room;

	version_subject_init(s, text, strlen(text), &room);
	return s->valid ? version_keep(arena, &s->version) : 0;
}

int match_subject_init(struct match_subject *out, const struct match_package *package,
		       struct arena *arena, struct err *err)
{
	struct match_subject s = {0};
	struct channel_name url = {0};
	char number[32];
	int rc;

	snprintf(number, sizeof number, "%" PRId64, package->build_number);
	if (package->url && !package->fn)
		(void)channel_name_parse(package->url, strlen(package->url), arena, &url, NULL);
	s.fields[MATCH_NAME] = known(package->name);
	s.fields[MATCH_SUBDIR] = known(package->subdir);
	s.fields[MATCH_BUILD] = known(package->build);
	s.fields[MATCH_BUILD_NUMBER] = arena_strdup(arena, number);
	s.fields[MATCH_URL] = known(package->url);
	s.fields[MATCH_MD5] = known(package->md5);
	s.fields[MATCH_SHA256] = known(package->sha256);
	s.fields[MATCH_LICENSE] = lower_copy(arena, known(package->license));
	s.fields[MATCH_LICENSE_FAMILY] = lower_copy(arena, known(package->license_family));
	s.fields[MATCH_FN] = file_of(package, url.file, arena);
	if (!s.fields[MATCH_BUILD_NUMBER] || !s.fields[MATCH_LICENSE] ||
	    !s.fields[MATCH_LICENSE_FAMILY] || !s.fields[MATCH_FN] ||
	    subject_version(&s.version, known(package->version), arena) < 0 ||
	    subject_version(&s.build_number, s.fields[MATCH_BUILD_NUMBER], arena) < 0)
		return err_nomem(err);
	rc = channel_name_parse(package->channel, package->channel ? strlen(package->channel) : 0,
				arena, &s.channel, err);
	if (rc == 0)
		*out = s;
	return rc;
}

static int test_match(const struct match_test *test, const struct match_subject *subject)
{
	const char *text = subject->fields[test->field];

	switch (test->kind) {
	case TEST_VERSION:
		return version_spec_match(&test->versions, &subject->version);
	case TEST_RELATION:
		if (!subject->build_number.valid)
			return ERR_INVALID;
		return version_relation_holds(test->relation, &subject->build_number.version,
					      &test->than);
	case TEST_CHANNEL:
		return channel_name_match(&test->channel, &subject->channel);
	case TEST_ALWAYS:
		return 1;
	case TEST_NEVER:
		return 0;
	case TEST_UNKNOWN:
		return ERR_INVALID;
	case TEST_TEXT:
	case TEST_GLOB:
	case TEST_REGEX:
		break;
	}
	if (test->field == MATCH_CHANNEL)
		text = subject->channel.canonical;
	if (test->kind == TEST_TEXT)
		return strcmp(test->text, text) == 0;
	if (test->kind == TEST_GLOB)
		return glob_match(&test->glob, text, strlen(text));
	return regex_match(&test->regex, text, strlen(text));
}

int match_spec_match(const struct match_spec *spec, const struct match_subject *subject)
{
	int rc = 1;

	for (size_t i = 0; i < spec->n && rc == 1; i++)
		rc = test_match(&spec->tests[i], subject);
	return rc;
}
