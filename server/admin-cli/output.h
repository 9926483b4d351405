/* What commands print: documents for programs, tables for people. */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_OUTPUT_H
#define ENVWARDEN_SERVER_ADMIN_CLI_OUTPUT_H

#include <jansson.h>

#include "server/admin-cli/admin.h"

#define OUTPUT_COLUMNS_MAX 10

/* One line of ASCII, so that it is harmless on terminals. */
enum admin_exit output_json(struct admin *a, const json_t *document);
/* {"schema": "envwarden.<name>/1", key: list} */
enum admin_exit output_list(struct admin *a, const char *name, const char *key, json_t *list);

/*
 * A cell is "key", "key.key", or "@key" for a time, cut to minutes. Missing members are empty, or
 * what stands behind a '|': "key|none".
 */
struct column {
	const char *title;
	const char *cell;
};
enum admin_exit output_table(struct admin *a, const struct column *columns, size_t n,
			     const json_t *rows);

/* The member as text, "" when missing. Numbers and booleans are written out into `room`. */
#define OUTPUT_ROOM 32
const char *output_text(const json_t *object, const char *cell, char room[OUTPUT_ROOM]);

#endif
