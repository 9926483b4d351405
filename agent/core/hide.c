#include "agent/core/hide.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/crypto.h"
#include "lib/base/wildcard.h"

#define SPACES " \t"
#define WORD_ENDS SPACES "'\""
#define LIST_ENDS ",;:"
#define HIDDEN_MAX 64 /* in one command; what comes after them is left out */

/* --- paths -------------------------------------------------------------------------------- */

bool hide_matches(const struct hide *h, const char *path)
{
	for (size_t i = 0; i < h->n; i++)
		if (wildcard_covers_path(h->patterns[i], path))
			return true;
	return false;
}

int hide_text(const struct hide *h, const char *text, size_t n, struct arena *arena,
	      const char **out)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char mac[SHA256_SIZE];
	char *stand_in = arena_alloc(arena, HIDE_STAND_IN + 1);
	char *hex;
	int rc;

	if (!stand_in)
		return ERR_NOMEM;
	rc = crypto_hmac(h->key, sizeof(h->key), text, n, mac);
	if (rc < 0)
		return rc;
	memcpy(stand_in, HIDE_MARK, sizeof(HIDE_MARK) - 1);
	hex = stand_in + sizeof(HIDE_MARK) - 1;
	for (size_t i = 0; i < HIDE_HEX / 2; i++) {
		hex[2 * i] = digits[mac[i] >> 4];
		hex[2 * i + 1] = digits[mac[i] & 15];
	}
	stand_in[HIDE_STAND_IN] = '\0';
	rc = h->note ? h->note(h->ctx, hex, text, n) : 0;
	if (rc == 0)
		*out = stand_in;
	return rc;
}

static int hide_whole(const struct hide *h, struct arena *arena, const char **path)
{
	return **path != '\0' && hide_matches(h, *path)
		       ? hide_text(h, *path, strlen(*path), arena, path)
		       : 0;
}

/* --- commands ----------------------------------------------------------------------------- */

/* What a command's words are looked through for. */
struct secrets {
	const struct hide *h;
	const char *paths[3]; /* of hidden environments */
	size_t n;
	struct arena *arena;
	struct buf out;
	size_t hidden;
};

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '_' || c == '-' || (c & 0x80) != 0;
}

static bool holds(const char *word, size_t n, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; len > 0 && i + len <= n; i++) {
		if (memcmp(word + i, name, len) == 0 && (i == 0 || !is_name_char(word[i - 1])) &&
		    (i + len == n || !is_name_char(word[i + len])))
			return true;
	}
	return false;
}

static bool holds_name(const struct secrets *s, const char *word, size_t n)
{
	for (size_t i = 0; i < s->n; i++) {
		if (holds(word, n, last_part(s->paths[i])))
			return true;
	}
	return false;
}

/* From the home or the working folder: where that is, is not known here. */
static bool is_relative(const char *word, size_t n)
{
	return (n > 0 && word[0] == '~') || (n > 1 && memcmp(word, "./", 2) == 0) ||
	       (n > 2 && memcmp(word, "../", 3) == 0);
}

static size_t without_last_slashes(const char *at, size_t n)
{
	while (n > 1 && at[n - 1] == '/')
		n--;
	return n;
}

/* How many bytes at `at` are one of the paths, which may have spaces in it, and what is below. */
static size_t known_path(const struct secrets *s, const char *at)
{
	for (size_t i = 0; i < s->n; i++) {
		size_t n = strlen(s->paths[i]);

		if (strncmp(at, s->paths[i], n) != 0)
			continue;
		if (at[n] == '/')
			return without_last_slashes(at, n + strcspn(at + n, WORD_ENDS));
		if (at[n] == '\0' || strchr(WORD_ENDS LIST_ENDS, at[n]))
			return n;
	}
	return 0;
}

/* Whether these bytes, or the first of a list in them, are a path to hide. */
static bool is_hidden(const struct secrets *s, const char *at, size_t n, int *rc)
{
	char *path = arena_strndup(s->arena, at, n);

	if (!path) {
		*rc = ERR_NOMEM;
		return false;
	}
	if (hide_matches(s->h, path))
		return true;
	path[strcspn(path, LIST_ENDS)] = '\0';
	return hide_matches(s->h, path);
}

static void put(struct secrets *s, const char *text, size_t n)
{
	buf_add(&s->out, text, n);
}

static int put_hidden(struct secrets *s, const char *at, size_t n)
{
	const char *stand_in;
	int rc = hide_text(s->h, at, n, s->arena, &stand_in);

	if (rc == 0)
		put(s, stand_in, HIDE_STAND_IN);
	s->hidden++;
	return rc;
}

/* A slash after one of these begins a path; others are within a word, as in "forge/label". */
static bool begins_path(const char *word, size_t i)
{
	return word[i] == '/' && (i == 0 || strchr("=:,;(@", word[i - 1]) != NULL);
}

/* "https://..." and the like: no path of this machine. */
static bool is_address(const char *word, size_t i)
{
	return i > 0 && word[i - 1] == ':' && word[i + 1] == '/' &&
	       !(i >= 5 && memcmp(word + i - 5, "file:", 5) == 0);
}

static int put_paths(struct secrets *s, const char *word, size_t n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		size_t len;

		if (!begins_path(word, i)) {
			put(s, word + i, 1);
			continue;
		}
		if (is_address(word, i)) {
			put(s, word + i, n - i);
			break;
		}
		for (; i + 1 < n && word[i + 1] == '/'; i++)
			put(s, "/", 1);
		len = without_last_slashes(word + i, n - i);
		if (is_hidden(s, word + i, len, &rc)) {
			rc = put_hidden(s, word + i, len);
			put(s, word + i + len, n - i - len);
			break;
		}
		put(s, "/", 1);
	}
	return rc;
}

static int put_word(struct secrets *s, const char *word, size_t n, bool first)
{
	const char *equals = word[0] == '-' ? memchr(word, '=', n) : NULL;
	size_t head = equals ? (size_t)(equals + 1 - word) : 0;
	bool is_program = first && !memchr(word, '/', n);

	if (s->n > 0 && !is_program &&
	    (holds_name(s, word + head, n - head) || is_relative(word + head, n - head))) {
		put(s, word, head);
		return put_hidden(s, word + head, n - head);
	}
	return put_paths(s, word, n);
}

/* A known path that begins within the next word, which may go on beyond that word's end. */
static bool known_within(const struct secrets *s, const char *word, size_t n, size_t *at,
			 size_t *len)
{
	for (size_t i = 0; i < n; i++) {
		*len = word[i] == '/' ? known_path(s, word + i) : 0;
		*at = i;
		if (*len > 0)
			return true;
	}
	return false;
}

static int put_command(struct secrets *s, const char *command)
{
	bool first = true;
	int rc = 0;

	while (rc == 0 && *command && s->hidden < HIDDEN_MAX) {
		size_t n = strspn(command, WORD_ENDS);
		size_t at;
		size_t len;

		put(s, command, n);
		command += n;
		n = strcspn(command, WORD_ENDS);
		if (known_within(s, command, n, &at, &len)) {
			put(s, command, at);
			rc = put_hidden(s, command + at, len);
			n = at + len;
		} else if (n > 0) {
			rc = put_word(s, command, n, first);
		}
		first = false;
		command += n;
	}
	return rc;
}

/* Cut where it is too long, but not within a stand-in: a piece of one would stay for ever. */
static size_t fitting(const struct buf *out)
{
	size_t n = out->len < CHANGE_COMMAND_MAX ? out->len : CHANGE_COMMAND_MAX;

	if (n < out->len)
		while (n > 0 && !strchr(WORD_ENDS, out->data[n]))
			n--;
	return n;
}

static int hide_command(struct secrets *s, const char **command)
{
	int rc;

	buf_init(&s->out, strlen(*command) + HIDDEN_MAX * HIDE_STAND_IN + 1);
	rc = put_command(s, *command);
	if (rc == 0)
		rc = buf_rc(&s->out);
	if (rc == 0) {
		char *text = arena_strndup(s->arena, buf_cstr(&s->out), fitting(&s->out));

		rc = text ? 0 : ERR_NOMEM;
		if (rc == 0)
			*command = text;
	}
	buf_deinit(&s->out);
	return rc;
}

int hide_change(const struct hide *h, const char *source, struct arena *arena, struct change *c)
{
	const char *paths[] = {c->prefix, c->from_prefix, source};
	struct secrets s = {.h = h, .arena = arena};
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (paths[i][0] != '\0' && hide_matches(h, paths[i]))
			s.paths[s.n++] = paths[i];
	}
	rc = c->command[0] != '\0' ? hide_command(&s, &c->command) : 0;
	if (rc == 0)
		rc = hide_whole(h, arena, &c->prefix);
	return rc < 0 ? rc : hide_whole(h, arena, &c->from_prefix);
}

/* --- back --------------------------------------------------------------------------------- */

static bool is_stand_in(const char *at)
{
	return strncmp(at, HIDE_MARK, sizeof(HIDE_MARK) - 1) == 0 &&
	       strspn(at + sizeof(HIDE_MARK) - 1, "0123456789abcdef") >= HIDE_HEX;
}

int hide_reveal(const char *text, size_t max, hide_lookup_cb lookup, void *ctx, struct arena *arena,
		const char **out)
{
	struct buf room;
	int rc = 0;

	if (!strstr(text, HIDE_MARK)) {
		*out = text;
		return 0;
	}
	buf_init(&room, max + 1);
	for (const char *at = text; *at;) {
		const char *hidden =
			is_stand_in(at) ? lookup(ctx, at + sizeof(HIDE_MARK) - 1) : NULL;

		if (hidden)
			buf_adds(&room, hidden);
		else
			buf_add(&room, at, 1);
		at += hidden ? HIDE_STAND_IN : 1;
	}
	/* Longer than such a text may be: no text of ours. */
	if (buf_rc(&room) == ERR_LIMIT) {
		*out = text;
	} else {
		char *copy = buf_rc(&room) == 0 ? arena_strdup(arena, buf_cstr(&room)) : NULL;

		rc = copy ? 0 : ERR_NOMEM;
		if (copy)
			*out = copy;
	}
	buf_deinit(&room);
	return rc;
}
