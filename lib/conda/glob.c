#include "lib/conda/glob.h"

#include <string.h>

#include "lib/base/err.h"

static int piece_init(struct glob_piece *piece, const char *text, size_t n, struct arena *arena)
{
	uint16_t *border = arena_calloc(arena, n + 1, sizeof *border);
	size_t k = 0;

	piece->text = arena_strndup(arena, text, n);
	if (!border || !piece->text)
		return ERR_NOMEM;
	for (size_t i = 1; i < n; i++) {
		while (k > 0 && text[i] != text[k])
			k = border[k - 1];
		if (text[i] == text[k])
			k++;
		border[i] = (uint16_t)k;
	}
	piece->border = border;
	piece->n = n;
	return 0;
}

int glob_init(struct glob *g, const char *pattern, size_t n, struct arena *arena)
{
	struct glob glob = {.n = 1};
	size_t start = 0, piece = 0;

	if (n > GLOB_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < n; i++)
		glob.n += pattern[i] == '*';
	glob.least = n - (glob.n - 1);
	glob.pieces = arena_calloc(arena, glob.n, sizeof *glob.pieces);
	if (!glob.pieces)
		return ERR_NOMEM;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && pattern[i] != '*')
			continue;
		if (piece_init(&glob.pieces[piece++], pattern + start, i - start, arena) < 0)
			return ERR_NOMEM;
		start = i + 1;
	}
	*g = glob;
	return 0;
}

/* Where the piece first ends in the text; 0 if it is not in it. piece->n > 0 */
static size_t find_end(const struct glob_piece *piece, const char *text, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		while (k > 0 && text[i] != piece->text[k])
			k = piece->border[k - 1];
		if (text[i] == piece->text[k])
			k++;
		if (k == piece->n)
			return i + 1;
	}
	return 0;
}

static bool match_line(const struct glob *g, const char *text, size_t n)
{
	const struct glob_piece *first = &g->pieces[0];
	const struct glob_piece *last = &g->pieces[g->n - 1];

	if (n < g->least || memcmp(text, first->text, first->n) != 0)
		return false;
	if (g->n == 1)
		return n == first->n;
	if (memcmp(text + n - last->n, last->text, last->n) != 0)
		return false;
	text += first->n;
	n -= first->n + last->n;
	for (size_t i = 1; i + 1 < g->n; i++) {
		size_t end;

		if (g->pieces[i].n == 0)
			continue;
		end = find_end(&g->pieces[i], text, n);
		if (end == 0)
			return false;
		text += end;
		n -= end;
	}
	return true;
}

bool glob_match(const struct glob *g, const char *text, size_t n)
{
	if (n > 0 && text[n - 1] == '\n')
		n--;
	return (n == 0 || memchr(text, '\n', n) == NULL) && match_line(g, text, n);
}
