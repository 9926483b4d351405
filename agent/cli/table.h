/* Columns of text for people: as wide as their widest cell, two blanks between, the last not
 * padded. Cells are copied and made harmless for a terminal. */
#ifndef ENVWARDEN_AGENT_CLI_TABLE_H
#define ENVWARDEN_AGENT_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"

#define TABLE_COLUMNS_MAX 8

struct table_column {
	const char *title;
	bool right; /* numbers */
	enum {
		TABLE_WHOLE,
		TABLE_KEEP_BEGIN, /* what is too long for the terminal is cut: "churn-of-th..." */
		TABLE_KEEP_END	  /* "...ts/envs/churn" */
	} shorten;
};

struct table {
	struct arena *arena; /* borrowed; cells live there */
	const struct table_column *columns;
	size_t n_columns;
	struct table_row *first;
	struct table_row *last;
	struct table_row *row; /* being filled */
	size_t at;
	size_t widths[TABLE_COLUMNS_MAX];
	size_t fit; /* columns of the terminal it is for; 0: as wide as it gets. Set by the caller
		     */
	int rc;	    /* sticky: 0 or ERR_NOMEM */
};

void table_init(struct table *t, struct arena *arena, const struct table_column *columns, size_t n);
/* Cells come row by row, from left to right; "" shows as "-". */
void table_cell(struct table *t, const char *text);
void table_number(struct table *t, uint64_t number);
/* Titles and rows, cells that may be shortened if it does not fit else; 0 or ERR_NOMEM, buf_rc.
 * `indent` blanks in front of each line. */
int table_print(struct table *t, size_t indent, struct buf *out);

#endif
