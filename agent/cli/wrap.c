#include "agent/cli/wrap.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"

#define WIDTH_MIN 20
#define STYLE_OFF "\033[0m"

/* --- columns --- */

/*
 * What takes two columns is every character that Unicode calls wide or full-width (East Asian
 * Width), and some narrow ones between them: a line that ends too early does no harm. Sorted.
 */
static size_t columns_of(uint32_t cp)
{
	static const struct {
		uint32_t first;
		uint32_t last;
		size_t columns;
	} ranges[] = {
		{0x300, 0x36f, 0},     {0x1100, 0x115f, 2},   {0x1ab0, 0x1aff, 0},
		{0x1dc0, 0x1dff, 0},   {0x20d0, 0x20f0, 0},   {0x231a, 0x231b, 2},
		{0x2329, 0x232a, 2},   {0x23e9, 0x23f3, 2},   {0x25fd, 0x25fe, 2},
		{0x2600, 0x27bf, 2},   {0x2b1b, 0x2b1c, 2},   {0x2b50, 0x2b55, 2},
		{0x2e80, 0x303e, 2},   {0x3040, 0xa4cf, 2},   {0xa960, 0xa97f, 2},
		{0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe10, 0xfe19, 2},
		{0xfe20, 0xfe2f, 0},   {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},
		{0xffe0, 0xffe6, 2},   {0x16fe0, 0x1b2ff, 2}, {0x1f004, 0x1f004, 2},
		{0x1f0cf, 0x1f0cf, 2}, {0x1f18e, 0x1f19a, 2}, {0x1f200, 0x1f64f, 2},
		{0x1f680, 0x1f6ff, 2}, {0x1f7e0, 0x1f7f0, 2}, {0x1f90c, 0x1faff, 2},
		{0x20000, 0x3fffd, 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges) && cp >= ranges[i].first; i++) {
		if (cp <= ranges[i].last)
			return ranges[i].columns;
	}
	return 1;
}

/* Bytes of the first character, at least 1, and its columns. */
static size_t step(const char *text, size_t n, size_t *columns)
{
	uint32_t cp = 0;
	size_t len = text_utf8_decode(text, n, &cp);

	*columns = len > 0 ? columns_of(cp) : 1;
	return len > 0 ? len : 1;
}

size_t wrap_columns(const char *text, size_t n)
{
	size_t sum = 0, columns;

	for (size_t i = 0; i < n; sum += columns)
		i += step(text + i, n - i, &columns);
	return sum;
}

/* --- lines --- */

static void new_line(struct wrap *w)
{
	buf_addc(w->out, '\n');
	buf_adds(w->out, w->prefix);
	w->column = wrap_columns(w->prefix, strlen(w->prefix));
	w->fresh = true;
}

void wrap_begin(struct wrap *w, struct buf *out, size_t width, const char *first,
		const char *prefix)
{
	w->out = out;
	w->width = width < WIDTH_MIN ? WIDTH_MIN : width;
	w->prefix = prefix;
	w->column = wrap_columns(first, strlen(first));
	w->fresh = true;
	buf_adds(out, first);
}

/* A word longer than a line is cut where the line ends. */
static void add_cut(struct wrap *w, const char *word, size_t n)
{
	while (n > 0) {
		size_t columns;
		size_t len = step(word, n, &columns);

		if (w->column + columns > w->width)
			new_line(w);
		buf_add(w->out, word, len);
		w->column += columns;
		w->fresh = false;
		word += len;
		n -= len;
	}
}

static void add_word(struct wrap *w, const char *word, size_t n, const char *style)
{
	size_t columns = wrap_columns(word, n);
	size_t blank = w->fresh ? 0 : 1;

	if (!w->fresh && w->column + blank + columns > w->width) {
		new_line(w);
		blank = 0;
	}
	if (blank > 0)
		buf_addc(w->out, ' ');
	w->column += blank;
	if (style)
		buf_adds(w->out, style);
	add_cut(w, word, n);
	if (style)
		buf_adds(w->out, STYLE_OFF);
}

void wrap_text(struct wrap *w, const char *text, const char *style)
{
	struct buf harmless;

	buf_init(&harmless, 16 * strlen(text) + 16);
	for (;;) {
		size_t n;

		text += strspn(text, " \t\r\n");
		n = strcspn(text, " \t\r\n");
		if (n == 0)
			break;
		buf_clear(&harmless);
		text_escape(&harmless, text, n);
		if (buf_rc(&harmless) == 0)
			add_word(w, harmless.data, harmless.len, style);
		text += n;
	}
	buf_deinit(&harmless);
}

void wrap_whole(struct wrap *w, const char *text)
{
	struct buf harmless;
	size_t columns;

	buf_init(&harmless, 16 * strlen(text) + 16);
	text_escape(&harmless, text, strlen(text));
	if (buf_rc(&harmless) == 0 && harmless.len > 0) {
		columns = wrap_columns(harmless.data, harmless.len);
		if (!w->fresh && w->column + 1 + columns > w->width)
			new_line(w);
		if (!w->fresh)
			buf_addc(w->out, ' ');
		w->column += columns + !w->fresh;
		buf_add(w->out, harmless.data, harmless.len);
		w->fresh = false;
	}
	buf_deinit(&harmless);
}

void wrap_end(struct wrap *w)
{
	buf_addc(w->out, '\n');
}

void wrap_lines(struct buf *out, size_t width, const char *prefix, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		size_t n = strcspn(text, "\n");
		struct buf line;
		struct wrap w;

		buf_init(&line, n + 1);
		buf_add(&line, text, n);
		wrap_begin(&w, out, width, prefix, prefix);
		wrap_text(&w, buf_cstr(&line), NULL);
		wrap_end(&w);
		buf_deinit(&line);
		text += n;
		left -= n;
		if (left > 0) {
			text++;
			left--;
		}
	}
}

void wrap_command(struct buf *out, const char *first, const char *command)
{
	struct wrap w;

	wrap_begin(&w, out, SIZE_MAX, first, "");
	wrap_whole(&w, command);
	wrap_end(&w);
}
