#include "agent/cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/wrap.h"
#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/base/text.h"

#define GAP 2 /* blanks between columns */
#define ELLIPSIS "..."
#define SHORTENED_LEAST 10

struct table_row {
	struct table_row *next;
	const char *cells[TABLE_COLUMNS_MAX];
};

void table_init(struct table *t, struct arena *arena, const struct table_column *columns, size_t n)
{
	CHECK(n <= TABLE_COLUMNS_MAX);
	*t = (struct table){.arena = arena, .columns = columns, .n_columns = n};
	for (size_t i = 0; i < n; i++)
		t->widths[i] = strlen(columns[i].title);
}

static bool begin_row(struct table *t)
{
	struct table_row *row = arena_calloc(t->arena, 1, sizeof(*row));

	if (!row) {
		t->rc = ERR_NOMEM;
		return false;
	}
	if (t->last)
		t->last->next = row;
	else
		t->first = row;
	t->last = row;
	t->row = row;
	t->at = 0;
	return true;
}

void table_cell(struct table *t, const char *text)
{
	struct buf harmless;
	size_t width;

	if (t->rc < 0 || (!t->row && !begin_row(t)))
		return;
	buf_init(&harmless, 16 * strlen(text) + 16);
	text_escape(&harmless, *text ? text : "-", *text ? strlen(text) : 1);
	t->row->cells[t->at] = arena_strdup(t->arena, buf_cstr(&harmless));
	if (buf_rc(&harmless) < 0 || !t->row->cells[t->at])
		t->rc = ERR_NOMEM;
	width = wrap_columns(harmless.data, harmless.len);
	if (width > t->widths[t->at])
		t->widths[t->at] = width;
	buf_deinit(&harmless);
	if (++t->at == t->n_columns)
		t->row = NULL;
}

void table_number(struct table *t, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	table_cell(t, text);
}

static void pad(struct buf *out, size_t n)
{
	while (n-- > 0)
		buf_addc(out, ' ');
}

/* The widest column that may get narrower; t->n_columns if there is none. */
static size_t widest(const struct table *t)
{
	size_t found = t->n_columns;

	for (size_t i = 0; i < t->n_columns; i++)
		if (t->columns[i].shorten != TABLE_WHOLE && t->widths[i] > SHORTENED_LEAST &&
		    (found == t->n_columns || t->widths[i] > t->widths[found]))
			found = i;
	return found;
}

static void narrow(struct table *t, size_t indent)
{
	size_t total = indent;
	size_t i;

	for (i = 0; i < t->n_columns; i++)
		total += t->widths[i] + (i > 0 ? GAP : 0);
	while (t->fit > 0 && total > t->fit && (i = widest(t)) < t->n_columns) {
		t->widths[i]--;
		total--;
	}
}

/* Bytes of the whole characters at the beginning of a text that fit. */
static size_t fitting(const char *text, size_t columns)
{
	size_t n = 0;

	while (text[n]) {
		uint32_t c;
		size_t step = text_utf8_decode(text + n, strlen(text + n), &c);

		step = step > 0 ? step : 1;
		if (wrap_columns(text, n + step) > columns)
			break;
		n += step;
	}
	return n;
}

/* Where the end of a text begins that fits. */
static const char *fitting_end(const char *text, size_t columns)
{
	while (*text && wrap_columns(text, strlen(text)) > columns) {
		uint32_t c;
		size_t step = text_utf8_decode(text, strlen(text), &c);

		text += step > 0 ? step : 1;
	}
	return text;
}

/* Returns the columns it took. */
static size_t add_text(const struct table *t, size_t i, const char *text, struct buf *out)
{
	size_t width = wrap_columns(text, strlen(text));
	size_t room = t->widths[i];
	const char *end;
	size_t n;

	if (width <= room) {
		buf_adds(out, text);
		return width;
	}
	room -= strlen(ELLIPSIS);
	if (t->columns[i].shorten == TABLE_KEEP_END) {
		end = fitting_end(text, room);
		buf_addf(out, "%s%s", ELLIPSIS, end);
		return strlen(ELLIPSIS) + wrap_columns(end, strlen(end));
	}
	n = fitting(text, room);
	buf_add(out, text, n);
	buf_adds(out, ELLIPSIS);
	return strlen(ELLIPSIS) + wrap_columns(text, n);
}

static void add_cell(const struct table *t, size_t i, const char *text, struct buf *out)
{
	size_t blanks;

	if (t->columns[i].right)
		pad(out, t->widths[i] - wrap_columns(text, strlen(text)));
	blanks = t->widths[i] - add_text(t, i, text, out);
	if (i + 1 == t->n_columns)
		return;
	pad(out, t->columns[i].right ? GAP : blanks + GAP);
}

int table_print(struct table *t, size_t indent, struct buf *out)
{
	CHECK(!t->row);
	if (t->rc < 0)
		return t->rc;
	narrow(t, indent);
	pad(out, indent);
	for (size_t i = 0; i < t->n_columns; i++)
		add_cell(t, i, t->columns[i].title, out);
	buf_addc(out, '\n');
	for (const struct table_row *row = t->first; row; row = row->next) {
		pad(out, indent);
		for (size_t i = 0; i < t->n_columns; i++)
			add_cell(t, i, row->cells[i], out);
		buf_addc(out, '\n');
	}
	return buf_rc(out);
}
