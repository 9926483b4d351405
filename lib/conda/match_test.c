#include "lib/conda/match_test.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/conda/ascii.h"

struct context {
	struct arena *arena;
	struct err *err;
	bool one_feature;
};

static bool piece_is(struct match_piece s, const char *text)
{
	return strlen(text) == s.n && memcmp(s.p, text, s.n) == 0;
}

static int set_pattern(struct context *c, struct match_test *test)
{
	bool regex = test->n > 0 && test->text[0] == '^' && test->text[test->n - 1] == '$';
	int rc;

	/* "^" alone begins with it but does not end with '$'. */
	if (regex) {
		test->kind = TEST_REGEX;
		return regex_init(&test->regex, test->text, test->n, c->arena, c->err);
	}
	test->kind = TEST_TEXT;
	if (!memchr(test->text, '*', test->n))
		return 0;
	test->kind = TEST_GLOB;
	rc = glob_init(&test->glob, test->text, test->n, c->arena);
	return rc == 0 ? 0 : err_set(c->err, rc, "%s", err_text(rc));
}

static int fold(struct context *c, struct match_test *test)
{
	char *text = arena_strndup(c->arena, test->text, test->n);

	if (!text)
		return err_nomem(c->err);
	for (size_t i = 0; i < test->n; i++)
		text[i] = ascii_lower(text[i]);
	test->text = text;
	return 0;
}

/* A channel's glob is to conda a regular expression in which only '*' was changed. */
static int set_channel_glob(struct context *c, struct match_test *test)
{
	bool plain = true;
	struct buf rx;
	int rc;

	for (size_t i = 0; i < test->n; i++)
		plain = plain && !memchr(".+?[]{}()|\\^$\n", test->text[i], 14);
	if (plain || (test->text[0] == '^' && test->text[test->n - 1] == '$'))
		return set_pattern(c, test);
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
		(void)err_set(c->err, rc, "%s", err_text(rc));
	else
		rc = regex_init(&test->regex, rx.data, rx.len, c->arena, c->err);
	buf_deinit(&rx);
	return rc;
}

const char *match_test_channel(const struct channel_name *channel)
{
	return channel->is_url && channel->elsewhere ? channel->base_url : channel->canonical;
}

/* Whether a channel's text, written in a spec, would be held as something else than `held`. */
static bool is_unsteady(struct context *c, const char *text, const char *held)
{
	struct channel_name name;

	return channel_name_parse(text, strlen(text), c->arena, &name, NULL) < 0 || name.subdir ||
	       strcmp(match_test_channel(&name), held) != 0;
}

static int set_channel(struct context *c, struct match_test *test)
{
	bool regex = test->n > 0 && test->text[0] == '^' && test->text[test->n - 1] == '$';
	const char *held = test->text;
	int rc;

	if (regex || memchr(test->text, '*', test->n)) {
		rc = set_channel_glob(c, test);
	} else {
		test->kind = TEST_CHANNEL;
		rc = channel_name_parse(test->text, test->n, c->arena, &test->channel, c->err);
		if (rc == 0)
			test->text = test->channel.base_url ? test->channel.base_url
							    : test->channel.name;
		test->n = strlen(test->text);
	}
	test->unsteady = rc == 0 && is_unsteady(c, test->text, held);
	return rc;
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

static int set_build_number(struct context *c, struct match_test *test)
{
	struct match_piece s = {test->text, test->n};
	char *number = arena_alloc(c->arena, test->n + 2);
	struct version_room room;
	size_t operator_n;
	int rc;

	if (!number)
		return err_nomem(c->err);
	test->kind = TEST_TEXT;
	if (read_integer(s, number, &test->n)) {
		test->text = number;
		return 0;
	}
	ascii_strip(&s.p, &s.n);
	test->text = s.p;
	test->n = s.n;
	if (s.n == 0)
		return err_set(c->err, ERR_INVALID, "empty build number");
	if (piece_is(s, "*")) {
		test->kind = TEST_ALWAYS;
		return 0;
	}
	if (strchr("=<>!", s.p[0])) {
		test->kind = TEST_RELATION;
		if (version_relation_parse(s.p, s.n, &test->relation, &operator_n) < 0)
			return err_set(c->err, ERR_INVALID, "invalid operator");
		rc = version_parse(s.p + operator_n, s.n - operator_n, &room, &test->than, c->err);
		if (rc == 0 && version_keep(c->arena, &test->than) < 0)
			rc = err_nomem(c->err);
		return rc;
	}
	if (s.p[0] == '^' || s.p[s.n - 1] == '$') {
		if (s.p[0] != '^' || s.p[s.n - 1] != '$')
			return err_set(c->err, ERR_INVALID,
				       "a regular expression begins with '^' and ends with '$'");
		return err_set(c->err, ERR_UNSUPPORTED,
			       "regular expressions are not supported for build numbers");
	}
	test->kind = TEST_NEVER; /* a text, and no number is one */
	return 0;
}

/* A list of words: packages here have no such thing, so only the empty list matches. */
static void set_words(const struct context *c, struct match_test *test)
{
	test->kind = TEST_ALWAYS;
	for (size_t i = 0; i < test->n; i++)
		if (!ascii_is_space(test->text[i]) && (c->one_feature || test->text[i] != ','))
			test->kind = TEST_NEVER;
	test->unsteady = c->one_feature && memchr(test->text, ',', test->n);
}

/* What conda holds is the canonical text of a version spec. */
static int canonical_version(struct context *c, struct match_test *test)
{
	struct buf text;
	int rc;

	buf_init(&text, 2 * MATCH_SPEC_MAX);
	version_spec_format(&test->versions, &text);
	rc = buf_rc(&text);
	if (rc == 0) {
		test->text = arena_strndup(c->arena, text.data ? text.data : "", text.len);
		test->n = text.len;
		if (!test->text)
			rc = ERR_NOMEM;
	}
	buf_deinit(&text);
	return rc < 0 ? err_set(c->err, rc, "%s", err_text(rc)) : 0;
}

static int set_test(struct context *c, struct match_test *test)
{
	int rc;

	switch (test->field) {
	case MATCH_NAME:
	case MATCH_LICENSE:
	case MATCH_LICENSE_FAMILY:
		rc = fold(c, test);
		return rc < 0 ? rc : set_pattern(c, test);
	case MATCH_BUILD:
		return set_pattern(c, test);
	case MATCH_VERSION:
		test->kind = TEST_VERSION;
		rc = version_spec_parse(test->text, test->n, c->arena, &test->versions, c->err);
		return rc < 0 ? rc : canonical_version(c, test);
	case MATCH_BUILD_NUMBER:
		return set_build_number(c, test);
	case MATCH_CHANNEL:
		return set_channel(c, test);
	case MATCH_TRACK_FEATURES:
	case MATCH_FEATURES:
	case MATCH_FLAGS:
		set_words(c, test);
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

int match_test_init(struct match_test *test, enum match_field field, struct match_piece value,
		    bool one_feature, struct arena *arena, struct err *err)
{
	struct context c = {arena, err, one_feature};

	*test = (struct match_test){.field = field, .n = value.n};
	test->text = arena_strndup(arena, value.p, value.n);
	return test->text ? set_test(&c, test) : err_nomem(err);
}

int match_test_match(const struct match_test *test, const struct match_subject *subject)
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
