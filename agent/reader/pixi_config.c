#include "agent/reader/pixi_config.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"

static const char wanted[] = "detached-environments";

struct scan {
	const char *p;
	const char *end;
};

static bool at(const struct scan *s, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(s->end - s->p) >= n && memcmp(s->p, text, n) == 0;
}

static void skip_blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r'))
		s->p++;
}

static void skip_line(struct scan *s)
{
	while (s->p < s->end && *s->p != '\n')
		s->p++;
}

/* A code point as UTF-8. */
static void add_code_point(struct buf *out, unsigned long c)
{
	if (c < 0x80) {
		buf_add_u8(out, (uint8_t)c);
	} else if (c < 0x800) {
		buf_add_u8(out, (uint8_t)(0xC0 | c >> 6));
		buf_add_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
	} else if (c < 0x10000) {
		buf_add_u8(out, (uint8_t)(0xE0 | c >> 12));
		buf_add_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
		buf_add_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
	} else {
		buf_add_u8(out, (uint8_t)(0xF0 | c >> 18));
		buf_add_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3F)));
		buf_add_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
		buf_add_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
	}
}

/* What follows a backslash. */
static int take_escape(struct scan *s, struct buf *out)
{
	static const char plain[] = "btnfr\"\\";
	static const char meant[] = "\b\t\n\f\r\"\\";
	const char *which = s->p < s->end ? memchr(plain, *s->p, sizeof plain - 1) : NULL;
	size_t digits;
	unsigned char bytes[4] = {0};
	unsigned long c = 0;

	if (which != NULL) {
		buf_addc(out, meant[which - plain]);
		s->p++;
		return 0;
	}
	if (s->p == s->end || (*s->p != 'u' && *s->p != 'U'))
		return ERR_INVALID;
	digits = *s->p++ == 'u' ? 4 : 8;
	if ((size_t)(s->end - s->p) < digits || text_from_hex(s->p, digits, bytes, digits / 2) < 0)
		return ERR_INVALID;
	for (size_t i = 0; i < digits / 2; i++)
		c = c << 8 | bytes[i];
	if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return ERR_INVALID;
	add_code_point(out, c);
	s->p += digits;
	return 0;
}

/* The string that begins here, of any of the four kinds. out may be NULL: it is skipped. */
static int take_string(struct scan *s, struct buf *out)
{
	bool literal = *s->p == '\'';
	const char *closing = at(s, "\"\"\"") ? "\"\"\""
			      : at(s, "'''")  ? "'''"
			      : literal	      ? "'"
					      : "\"";

	s->p += strlen(closing);
	while (s->p < s->end && !at(s, closing)) {
		if (*s->p == '\n' && closing[1] == '\0')
			return ERR_INVALID;
		if (*s->p == '\\' && !literal) {
			s->p++;
			if (out != NULL && take_escape(s, out) < 0)
				return ERR_INVALID;
			if (out == NULL && s->p < s->end)
				s->p++;
			continue;
		}
		if (out != NULL)
			buf_addc(out, *s->p);
		s->p++;
	}
	if (s->p == s->end)
		return ERR_INVALID;
	s->p += strlen(closing);
	return 0;
}

/* The value that begins here, over as many lines as it has brackets open, and the rest of its line.
 */
static int skip_value(struct scan *s)
{
	size_t open = 0;

	while (s->p < s->end && (*s->p != '\n' || open > 0)) {
		char c = *s->p;

		if (c == '"' || c == '\'') {
			if (take_string(s, NULL) < 0)
				return ERR_INVALID;
			continue;
		}
		if (c == '#') {
			skip_line(s);
			continue;
		}
		open += c == '[' || c == '{';
		open -= (c == ']' || c == '}') && open > 0;
		s->p++;
	}
	return 0;
}

/* Whether this line's key is ours; stands behind the "=" then. */
static int take_key(struct scan *s, bool *ours)
{
	struct buf key;
	int rc = 0;

	buf_init(&key, PIXI_PATH_MAX);
	if (*s->p == '"' || *s->p == '\'') {
		rc = take_string(s, &key);
	} else {
		while (s->p < s->end && strchr(" \t\r\n=.", *s->p) == NULL)
			buf_addc(&key, *s->p++);
	}
	skip_blanks(s);
	*ours = rc == 0 && s->p < s->end && *s->p == '=' && strcmp(buf_cstr(&key), wanted) == 0;
	buf_deinit(&key);
	while (rc == 0 && s->p < s->end && *s->p != '=' && *s->p != '\n') {
		/* a dotted key: "a.'b=c'.d" */
		if (*s->p == '"' || *s->p == '\'')
			rc = take_string(s, NULL);
		else
			s->p++;
	}
	if (rc == 0 && s->p < s->end && *s->p == '=')
		s->p++;
	skip_blanks(s);
	return rc;
}

static int take_value(struct scan *s, struct pixi_config *found, struct err *err)
{
	struct buf path;
	int rc = 0;

	if (at(s, "true") || at(s, "false")) {
		found->detached = at(s, "true") ? PIXI_DETACHED_DEFAULT : PIXI_DETACHED_NO;
		return 0;
	}
	if (s->p == s->end || (*s->p != '"' && *s->p != '\''))
		return err_set(err, ERR_INVALID, "%s: neither a folder nor true or false", wanted);
	buf_init(&path, PIXI_PATH_MAX);
	if (take_string(s, &path) < 0)
		rc = err_set(err, ERR_INVALID, "%s: a string that does not end", wanted);
	else if (buf_rc(&path) < 0 || path.len >= PIXI_PATH_MAX)
		rc = err_set(err, ERR_LIMIT, "%s: a path that is too long", wanted);
	else if (path.len == 0 || memchr(path.data, '\0', path.len) != NULL)
		rc = err_set(err, ERR_INVALID, "%s: no path", wanted);
	if (rc == 0) {
		found->detached = PIXI_DETACHED_PATH;
		memcpy(found->path, buf_cstr(&path), path.len + 1);
	}
	buf_deinit(&path);
	return rc;
}

int pixi_config_parse(const void *data, size_t n, struct pixi_config *out, struct err *err)
{
	struct scan s = {.p = data, .end = (const char *)data + n};
	struct pixi_config found = {.detached = PIXI_DETACHED_NO};

	if (n > PIXI_CONFIG_MAX)
		return err_set(err, ERR_LIMIT, "bigger than %d bytes", PIXI_CONFIG_MAX);
	while (s.p < s.end) {
		bool ours = false;

		skip_blanks(&s);
		if (s.p < s.end && *s.p == '[')
			break; /* the tables begin: the top level is over */
		if (s.p < s.end && *s.p != '\n' && *s.p != '#' && take_key(&s, &ours) < 0)
			return err_set(err, ERR_INVALID, "a key that does not end");
		if (ours) {
			int rc = take_value(&s, &found, err);

			if (rc < 0)
				return rc;
		}
		if (skip_value(&s) < 0)
			return err_set(err, ERR_INVALID, "a string that does not end");
		if (s.p < s.end)
			s.p++;
	}
	*out = found;
	return 0;
}
