#include "proto/wanted.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/text.h"

#define HEAD "envwarden-pieces-wanted "
#define VERSION "1"
#define PREFIX_TEXT_MAX 16384 /* four bytes for each of a path's */
#define LINE_ROOM (PREFIX_TEXT_MAX + 16)

void wanted_begin(struct buf *out)
{
	buf_adds(out, HEAD VERSION "\n");
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

int wanted_add(struct buf *out, uint32_t uid, const char *prefix)
{
	struct buf line;
	int rc;

	if (prefix[0] != '/' || strlen(prefix) > PREFIX_TEXT_MAX)
		return ERR_INVALID;
	buf_init(&line, LINE_ROOM);
	buf_addf(&line, "%u ", (unsigned)uid);
	for (const char *p = prefix; *p != '\0'; p++) {
		if (is_control(*p))
			buf_addf(&line, "\\x%02x", (unsigned)*p);
		else
			buf_addc(&line, *p);
	}
	buf_addc(&line, '\n');
	rc = buf_rc(&line);
	if (rc == 0 && out->len + line.len > WANTED_MAX)
		rc = ERR_LIMIT;
	if (rc == 0) {
		buf_add(out, line.data, line.len);
		rc = buf_rc(out);
	}
	buf_deinit(&line);
	return rc;
}

static int parse_head(const char *line, size_t n, struct err *err)
{
	const size_t head = strlen(HEAD);

	if (n <= head || memcmp(line, HEAD, head) != 0)
		return err_set(err, ERR_CORRUPT, "no list of bases");
	if (n != head + strlen(VERSION) || line[head] != VERSION[0])
		return err_set(err, ERR_UNSUPPORTED, "a list of bases of a newer version");
	return 0;
}

static bool is_plain(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is_control(text[i]))
			return false;
	}
	return text_is_utf8(text, n);
}

static int parse_base(const char *line, size_t n, struct arena *arena, struct wanted_base *out)
{
	const char *space = memchr(line, ' ', n);
	size_t digits = space ? (size_t)(space - line) : 0;
	size_t rest = space ? n - digits - 1 : 0;
	unsigned long long uid;
	char *prefix;

	if (!space || text_to_u64(line, digits, &uid) < 0 || uid >= UINT32_MAX || rest == 0 ||
	    rest > PREFIX_TEXT_MAX || space[1] != '/' || !is_plain(space + 1, rest))
		return ERR_CORRUPT;
	prefix = arena_alloc(arena, rest + 1);
	if (!prefix)
		return ERR_NOMEM;
	memcpy(prefix, space + 1, rest);
	prefix[rest] = '\0';
	*out = (struct wanted_base){.uid = (uint32_t)uid, .prefix = prefix};
	return 0;
}

static size_t count_lines(const char *data, size_t n)
{
	size_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += data[i] == '\n';
	return lines;
}

int wanted_parse(const char *data, size_t n, struct arena *arena, const struct wanted_base **out,
		 size_t *n_out, struct err *err)
{
	struct wanted_base *bases;
	const char *end = data + n;
	size_t line = 0;
	int rc = 0;

	if (n > WANTED_MAX)
		return err_set(err, ERR_LIMIT, "larger than %d bytes", WANTED_MAX);
	if (n == 0 || end[-1] != '\n')
		return err_set(err, ERR_CORRUPT, "no list of bases, or one that was cut off");
	bases = arena_calloc(arena, count_lines(data, n), sizeof(*bases));
	if (!bases)
		return err_nomem(err);
	for (const char *p = data; p < end && rc == 0; line++) {
		size_t length = (size_t)((const char *)memchr(p, '\n', (size_t)(end - p)) - p);

		rc = line == 0 ? parse_head(p, length, err)
			       : parse_base(p, length, arena, &bases[line - 1]);
		p += length + 1;
	}
	if (rc == ERR_NOMEM)
		return err_nomem(err);
	if (rc == ERR_CORRUPT && line > 1)
		return err_set(err, rc, "line %zu is none of a list of bases", line);
	if (rc < 0)
		return rc;
	*out = bases;
	*n_out = line - 1;
	return 0;
}
