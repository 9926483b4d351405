#include "agent/cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/wrap.h"
#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/base/text.h"

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

static void add_cell(const struct table *t, size_t i, const char *text, struct buf *out)
{
	size_t width = wrap_columns(text, strlen(text));
	size_t blanks = t->widths[i] - width;

	if (t->columns[i].right)
		pad(out, blanks);
	buf_adds(out, text);
	if (i + 1 == t->n_columns)
		return;
	pad(out, t->columns[i].right ? 2 : blanks + 2);
}

int table_print(const struct table *t, size_t indent, struct buf *out)
{
	CHECK(!t->row);
	if (t->rc < 0)
		return t->rc;
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
