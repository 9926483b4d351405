#include "server/db/sql.h"

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "server/db/driver.h"

#define TEXT_MAX 8192 /* bytes of a statement */
#define QUERY_ARENA_MAX 65536
#define PATTERN_MAX 8192 /* bytes somebody may search for */

int sql_run(struct db_conn *conn, int64_t *changed, struct err *err, const char *sql,
	    const struct sql_arg *args, size_t n)
{
	struct sql_rows *rows = NULL;
	int rc = sql_open(conn, &rows, err, sql, args, n);

	if (rc < 0)
		return rc;
	do
		rc = sql_next(rows, err);
	while (rc > 0);
	if (rc == 0 && changed)
		*changed = sql_driver(conn)->changes(sql_native(conn));
	sql_close(rows);
	return rc;
}

int sql_get_int(struct db_conn *conn, int64_t *out, bool *found, struct err *err, const char *sql,
		const struct sql_arg *args, size_t n)
{
	struct sql_rows *rows = NULL;
	int rc = sql_open(conn, &rows, err, sql, args, n);

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc >= 0)
		*found = rc > 0;
	if (rc > 0)
		*out = sql_int(rows, 0);
	/* A statement with RETURNING takes effect as a whole only when it has run to its end. */
	while (rc > 0)
		rc = sql_next(rows, err);
	sql_close(rows);
	return rc;
}

int sql_must(struct db_conn *conn, const char *what, struct err *err, const char *sql,
	     const struct sql_arg *args, size_t n)
{
	int64_t changed = 0;
	int rc = sql_run(conn, &changed, err, sql, args, n);

	if (rc == 0 && changed == 0)
		rc = err_set(err, ERR_NOTFOUND, "no such %s", what);
	return rc;
}

/* --- queries with a choice of conditions --- */

void sql_query_init(struct sql_query *q, const char *select)
{
	*q = (struct sql_query){.n = 0};
	buf_init(&q->text, TEXT_MAX);
	arena_init(&q->arena, QUERY_ARENA_MAX);
	buf_adds(&q->text, select);
}

void sql_query_deinit(struct sql_query *q)
{
	buf_deinit(&q->text);
	arena_deinit(&q->arena);
}

void sql_query_end(struct sql_query *q, const char *text, const struct sql_arg *args, size_t n)
{
	for (; *text; text++) {
		if (*text != '?') {
			buf_addc(&q->text, *text);
			continue;
		}
		CHECK(n > 0 && q->n < SQL_QUERY_ARGS);
		q->args[q->n++] = *args++;
		n--;
		buf_addf(&q->text, "$%zu", q->n);
	}
	CHECK(n == 0);
}

void sql_query_where(struct sql_query *q, const char *condition, const struct sql_arg *args,
		     size_t n)
{
	buf_adds(&q->text, q->where ? " AND " : " WHERE ");
	q->where = true;
	sql_query_end(q, condition, args, n);
}

int sql_query_open(struct db_conn *conn, struct sql_query *q, struct sql_rows **out,
		   struct err *err)
{
	int rc = buf_rc(&q->text);

	if (rc < 0)
		return err_set(err, rc, "%s", err_text(rc));
	for (size_t i = 0; i < q->n; i++) {
		if (q->args[i].type == SQL_TEXT && !q->args[i].data)
			return err_nomem(err);
	}
	return sql_open(conn, out, err, buf_cstr(&q->text), q->args, q->n);
}

static struct sql_arg pattern(struct sql_query *q, const char *before, const char *text,
			      const char *after, bool like)
{
	size_t n = strlen(text), len = 0;
	char *out = n < PATTERN_MAX ? arena_alloc(&q->arena, 2 * n + 3) : NULL;

	if (!out) {
		q->text.rc = n < PATTERN_MAX ? ERR_NOMEM : ERR_LIMIT;
		return ARG_TEXT("");
	}
	for (; *before; before++)
		out[len++] = *before;
	for (; *text; text++) {
		if (like && strchr("%_\\", *text))
			out[len++] = '\\';
		out[len++] = like && *text >= 'A' && *text <= 'Z' ? (char)(*text + 32) : *text;
	}
	for (; *after; after++)
		out[len++] = *after;
	return (struct sql_arg){.type = SQL_TEXT, .data = out, .n = len};
}

struct sql_arg sql_like(struct sql_query *q, const char *before, const char *text,
			const char *after)
{
	return pattern(q, before, text, after, true);
}

struct sql_arg sql_pattern(struct sql_query *q, const char *before, const char *text,
			   const char *after)
{
	return pattern(q, before, text, after, false);
}

/* --- lists --- */

void sql_list_init(struct sql_list *list, struct arena *arena, size_t size)
{
	*list = (struct sql_list){.arena = arena, .size = size};
}

void *sql_list_add(struct sql_list *list)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		char *items = arena_calloc(list->arena, cap, list->size);

		if (!items)
			return NULL;
		if (list->n)
			memcpy(items, list->items, list->n * list->size);
		list->items = items;
		list->cap = cap;
	}
	return list->items + list->size * list->n++;
}

int64_t sql_limit(size_t limit)
{
	return limit == 0 ? 1 : limit > DB_PAGE_MAX ? DB_PAGE_MAX : (int64_t)limit;
}

bool sql_given(const char *text)
{
	return text && *text;
}

/* --- checks of what comes in --- */

int sql_check_text(const char *what, const char *text, size_t max, struct err *err)
{
	size_t n = text ? strlen(text) : 0;

	if (!text)
		return err_set(err, ERR_INVALID, "%s: missing", what);
	if (n > max)
		return err_set(err, ERR_LIMIT, "%s: longer than %zu bytes", what, max);
	if (!text_is_utf8(text, n))
		return err_set(err, ERR_INVALID, "%s: not UTF-8", what);
	return 0;
}

static bool label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("._:/-", c));
}

static int label_check(const char *label, struct err *err)
{
	size_t n = strlen(label);

	if (n == 0 || n > DB_LABEL_MAX)
		return err_set(err, n ? ERR_LIMIT : ERR_INVALID, "label: wants 1 to %d characters",
			       DB_LABEL_MAX);
	for (; *label; label++) {
		if (!label_char(*label))
			return err_set(err, ERR_INVALID,
				       "label: only letters, digits and . _ : / - may be in it");
	}
	return 0;
}

int sql_labels_join(const struct db_labels *labels, struct arena *arena, const char **out,
		    struct err *err)
{
	struct buf text;
	char *copy;
	int rc = 0;

	buf_init(&text, DB_LABELS_MAX * (DB_LABEL_MAX + 1) + 2);
	if (labels->n > DB_LABELS_MAX)
		rc = err_set(err, ERR_LIMIT, "more than %d labels", DB_LABELS_MAX);
	for (size_t i = 0; i < labels->n && rc == 0; i++) {
		rc = label_check(labels->items[i], err);
		buf_addf(&text, "%s%s\n", i == 0 ? "\n" : "", labels->items[i]);
	}
	if (rc < 0)
		goto out;
	copy = arena_strdup(arena, buf_cstr(&text));
	if (buf_rc(&text) < 0 || !copy) {
		rc = err_nomem(err);
		goto out;
	}
	*out = copy;
out:
	buf_deinit(&text);
	return rc;
}

int sql_labels_valid(const struct db_labels *from, struct arena *arena, struct db_labels *out)
{
	const char **items = arena_calloc(arena, from->n + 1, sizeof(*items));
	size_t n = 0;

	if (!items)
		return ERR_NOMEM;
	for (size_t i = 0; i < from->n && n < DB_LABELS_MAX; i++) {
		if (label_check(from->items[i], NULL) == 0)
			items[n++] = from->items[i];
	}
	*out = (struct db_labels){.items = items, .n = n};
	return 0;
}

int sql_labels_split(const char *text, struct arena *arena, struct db_labels *out)
{
	size_t lines = 0, n = 0;
	const char **items;
	const char *end;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	items = arena_calloc(arena, lines + 1, sizeof(*items));
	if (!items)
		return ERR_NOMEM;
	while (*text && (end = strchr(text + 1, '\n'))) {
		items[n] = arena_strndup(arena, text + 1, (size_t)(end - text - 1));
		if (!items[n++])
			return ERR_NOMEM;
		text = end;
	}
	*out = (struct db_labels){.items = items, .n = n};
	return 0;
}
