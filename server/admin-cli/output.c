#include "server/admin-cli/output.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"

#define KEY_MAX 64
#define GAP 2
#define CELL_MAX 8192

enum admin_exit output_json(struct admin *a, const json_t *document)
{
	if (!document || json_dumpf(document, a->out, JSON_COMPACT | JSON_ENSURE_ASCII) < 0 ||
	    fputc('\n', a->out) == EOF)
		return admin_fail(a, ADMIN_FAILED, "the output could not be written");
	return ADMIN_OK;
}

enum admin_exit output_list(struct admin *a, const char *name, const char *key, json_t *list)
{
	json_t *document =
		json_pack("{s:o, s:O}", "schema", json_sprintf("envwarden.%s/1", name), key, list);
	enum admin_exit result = output_json(a, document);

	json_decref(document);
	return result;
}

static const json_t *member(const json_t *object, const char *cell)
{
	const char *dot = strchr(cell, '.');
	char name[64];

	if (!dot || (size_t)(dot - cell) >= sizeof(name))
		return json_object_get(object, cell);
	memcpy(name, cell, (size_t)(dot - cell));
	name[dot - cell] = '\0';
	return json_object_get(json_object_get(object, name), dot + 1);
}

const char *output_text(const json_t *object, const char *cell, char room[OUTPUT_ROOM])
{
	bool time = cell[0] == '@';
	const char *missing = strchr(cell, '|');
	char key[KEY_MAX];
	const json_t *v;

	(void)snprintf(key, sizeof(key), "%.*s", (int)strcspn(cell + time, "|"), cell + time);
	v = member(object, key);

	if (time && json_string_length(v) >= 16) { /* 2026-11-22T17:17 */
		(void)snprintf(room, OUTPUT_ROOM, "%.10s %.5s", json_string_value(v),
			       json_string_value(v) + 11);
		return room;
	}
	if (json_is_integer(v)) {
		(void)snprintf(room, OUTPUT_ROOM, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		return room;
	}
	if (json_is_boolean(v))
		return json_is_true(v) ? "yes" : "";
	if (json_is_string(v))
		return json_string_value(v);
	return missing ? missing + 1 : "";
}

/* Characters, not bytes: what is not ASCII takes one column of most terminals. */
static size_t width_of(const struct buf *text)
{
	size_t width = 0;
	size_t i;

	for (i = 0; i < text->len; i++)
		if (((unsigned char)text->data[i] & 0xC0) != 0x80)
			width++;
	return width;
}

static void cell_of(struct buf *out, const json_t *row, const char *cell)
{
	char room[OUTPUT_ROOM];
	const char *text = output_text(row, cell, room);

	buf_clear(out);
	text_escape(out, text, strlen(text));
}

static int write_row(struct admin *a, const struct column *columns, size_t n, const json_t *row,
		     const size_t *widths)
{
	struct buf cell;
	size_t width;
	size_t i;
	int rc = 0;

	buf_init(&cell, 4 * CELL_MAX);
	for (i = 0; i < n && rc >= 0; i++) {
		if (row)
			cell_of(&cell, row, columns[i].cell);
		else
			buf_clear(&cell);
		if (!row)
			buf_adds(&cell, columns[i].title);
		width = width_of(&cell);
		rc = fprintf(a->out, "%s%*s", buf_cstr(&cell),
			     i + 1 < n ? (int)(widths[i] - width + GAP) : 0, "");
	}
	buf_deinit(&cell);
	return rc < 0 || fputc('\n', a->out) == EOF ? ERR_IO : 0;
}

enum admin_exit output_table(struct admin *a, const struct column *columns, size_t n,
			     const json_t *rows)
{
	size_t widths[OUTPUT_COLUMNS_MAX];
	struct buf cell;
	size_t width;
	size_t r;
	size_t i;
	int rc;

	CHECK(n <= OUTPUT_COLUMNS_MAX);
	buf_init(&cell, 4 * CELL_MAX);
	for (i = 0; i < n; i++) {
		widths[i] = strlen(columns[i].title);
		for (r = 0; r < json_array_size(rows); r++) {
			cell_of(&cell, json_array_get(rows, r), columns[i].cell);
			width = width_of(&cell);
			if (width > widths[i])
				widths[i] = width;
		}
	}
	buf_deinit(&cell);
	rc = write_row(a, columns, n, NULL, widths);
	for (r = 0; r < json_array_size(rows) && rc == 0; r++)
		rc = write_row(a, columns, n, json_array_get(rows, r), widths);
	return rc == 0 ? ADMIN_OK : admin_fail(a, ADMIN_FAILED, "the output could not be written");
}
