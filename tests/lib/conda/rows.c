#include "tests/lib/conda/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "tests/lib/conda/fixture.h"

static char *unescape(char *field)
{
	char *to = field;

	for (char *c = field; *c; c++) {
		if (*c == '\\' && c[1]) {
			c++;
			*to++ = (char)(*c == 't' ? '\t' : *c == 'n' ? '\n' : *c);
		} else {
			*to++ = *c;
		}
	}
	*to = '\0';
	return field;
}

static void split(struct row *row, char *line)
{
	static char empty[1];

	for (size_t i = 0; i < ROWS_FIELDS_MAX; i++)
		row->fields[i] = empty;
	for (char *field = line; field; row->n++) {
		char *tab = strchr(field, '\t');

		assert_true(row->n < ROWS_FIELDS_MAX);
		if (tab)
			*tab++ = '\0';
		row->fields[row->n] = unescape(field);
		field = tab;
	}
}

void rows_load(struct rows *rows, const char *table, size_t least)
{
	size_t n, cap = 0, number = 0;
	char name[128];

	snprintf(name, sizeof(name), "conda/spec/%s.tsv", table);
	*rows = (struct rows){.data = fixture_read(name, &n)};
	for (size_t i = 0; i < n; i++)
		cap += rows->data[i] == '\n';
	rows->items = mem_calloc(cap, sizeof(*rows->items));
	assert_non_null(rows->items);
	for (char *line = rows->data; *line;) {
		char *end = strchr(line, '\n');

		assert_non_null(end);
		*end = '\0';
		number++;
		if (strncmp(line, "# ", 2) != 0) {
			rows->items[rows->n].line = number;
			split(&rows->items[rows->n++], line);
		}
		line = end + 1;
	}
	assert_true(rows->n >= least);
}

void rows_free(struct rows *rows)
{
	mem_free(rows->items);
	mem_free(rows->data);
}
