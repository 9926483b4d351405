/* The tables of tests/fixtures/conda/spec: rows of tab-separated, unescaped fields. */
#ifndef ENVWARDEN_TESTS_LIB_CONDA_ROWS_H
#define ENVWARDEN_TESTS_LIB_CONDA_ROWS_H

#include <stddef.h>

#define ROWS_FIELDS_MAX 13

struct row {
	char *fields[ROWS_FIELDS_MAX]; /* "" where the row ends early */
	size_t n;
	size_t line;
};

struct rows {
	char *data;
	struct row *items;
	size_t n;
};

/* Fails the test if the table cannot be read or has fewer than `least` rows. */
void rows_load(struct rows *rows, const char *table, size_t least);
void rows_free(struct rows *rows);

#endif
