#include "agent/cli/pieces.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

#define MARK "@ENVWARDEN@"		/* in a text: the command's path */
#define PLACED_BY "placed by envwarden" /* in each file that has room for a comment */
#define PLACED_BY_FOLDER "envwarden"	/* in those of the folder, whose name says the rest */
#define START_SINCE 18			/* Python 3.18 reads only .start files (PEP 829) */

static const struct {
	const char *name;
	bool in_folder;
	int since;
} order[] = {
	{"_envwarden_gate.py", false, 0},
	{"envwarden_conda.py", false, 0},
	{"envwarden.pth", false, 0},
	{"envwarden.start", false, START_SINCE},
	{"INSTALLER", true, 0},
	{"RECORD", true, 0},
	{"METADATA", true, 0},
	{"entry_points.txt", true, 0},
};

static const struct piece_text *find(const char *name)
{
	const struct piece_text *t = piece_texts;

	while (strcmp(t->name, name) != 0)
		t++;
	return t;
}

/* As a string of Python's. */
static int quote(const char *path, struct buf *out, struct err *err)
{
	if (!text_is_utf8(path, strlen(path)))
		return err_set(err, ERR_UNSUPPORTED, "the path of envwarden is not UTF-8");
	buf_addc(out, '"');
	for (const char *p = path; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(err, ERR_UNSUPPORTED,
				       "the path of envwarden has control characters");
		if (*p == '"' || *p == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *p);
	}
	buf_addc(out, '"');
	return 0;
}

static void fill_in(const struct piece_text *text, const char *quoted, struct buf *out)
{
	const char *p = (const char *)text->text;
	const char *end = p + text->n;

	while (p < end) {
		if ((size_t)(end - p) >= strlen(MARK) && memcmp(p, MARK, strlen(MARK)) == 0) {
			buf_adds(out, quoted);
			p += strlen(MARK);
		} else {
			buf_addc(out, *p++);
		}
	}
}

int pieces_init(struct pieces *pieces, const char *command, struct err *err)
{
	struct buf quoted, out;
	int rc;

	*pieces = (struct pieces){0};
	buf_init(&quoted, PIECE_SIZE_MAX);
	buf_init(&out, PIECE_SIZE_MAX);
	rc = quote(command, &quoted, err);
	for (size_t i = 0; i < ARRAY_SIZE(order) && rc == 0; i++) {
		struct piece *piece = &pieces->items[i];

		*piece = (struct piece){.name = order[i].name,
					.in_folder = order[i].in_folder,
					.since = order[i].since};
		fill_in(find(piece->name), buf_cstr(&quoted), &out);
		piece->text = buf_take(&out, &piece->n);
		pieces->n = i + 1;
		if (!piece->text)
			rc = err_set(err, ERR_NOMEM, "the files for a base");
	}
	buf_deinit(&quoted);
	buf_deinit(&out);
	if (rc < 0)
		pieces_deinit(pieces);
	return rc;
}

void pieces_deinit(struct pieces *pieces)
{
	for (size_t i = 0; i < pieces->n; i++)
		mem_free(pieces->items[i].text);
	*pieces = (struct pieces){0};
}

bool piece_wanted(const struct piece *piece, int minor)
{
	return minor >= piece->since;
}

static bool has(const char *text, size_t n, const char *words)
{
	size_t n_words = strlen(words);

	for (size_t i = 0; i + n_words <= n; i++) {
		if (memcmp(text + i, words, n_words) == 0)
			return true;
	}
	return false;
}

enum piece_state piece_compare(const struct piece *piece, int minor, const char *found, size_t n)
{
	bool wanted = piece_wanted(piece, minor);

	if (!found)
		return wanted ? PIECE_MISSING : PIECE_PLACED;
	if (wanted && n == piece->n && memcmp(found, piece->text, n) == 0)
		return PIECE_PLACED;
	return has(found, n, piece->in_folder ? PLACED_BY_FOLDER : PLACED_BY) ? PIECE_OUTDATED
									      : PIECE_FOREIGN;
}
