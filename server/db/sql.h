/*
 * Statements on a connection, for the operations in this folder only. Statements are kept prepared
 * by their text, so their texts are few: literals, or built from literals.
 */
#ifndef ENVWARDEN_SERVER_DB_SQL_H
#define ENVWARDEN_SERVER_DB_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "server/db/db.h"

enum sql_type {
	SQL_NULL,
	SQL_INT,
	SQL_TEXT,
	SQL_BLOB
};

struct sql_arg {
	enum sql_type type;
	int64_t num;
	const void *data;
	size_t n;
};
#define ARG_INT(v) ((struct sql_arg){.type = SQL_INT, .num = (int64_t)(v)})
#define ARG_TEXT(s) ((struct sql_arg){.type = SQL_TEXT, .data = (s), .n = strlen(s)})
#define ARG_BLOB(p, size) ((struct sql_arg){.type = SQL_BLOB, .data = (p), .n = (size)})
#define ARG_UUID(u) ARG_BLOB((u)->b, UUID_SIZE)
#define ARG_NULL ((struct sql_arg){.type = SQL_NULL})
/* 0 as NULL, for references */
#define ARG_REF(v) ((v) ? ARG_INT(v) : ARG_NULL)

/* Runs a statement to its end; *changed (may be NULL) is the number of rows it changed. */
int sql_run(struct db_conn *conn, int64_t *changed, struct err *err, const char *sql,
	    const struct sql_arg *args, size_t n);
#define SQL_RUN(conn, changed, err, sql, ...)                                                      \
	sql_run(conn, changed, err, sql, (const struct sql_arg[]){__VA_ARGS__},                    \
		sizeof((const struct sql_arg[]){__VA_ARGS__}) / sizeof(struct sql_arg))

/* A statement under way. At most one at a time for each text; arguments stay valid until closed. */
struct sql_rows;
int sql_open(struct db_conn *conn, struct sql_rows **out, struct err *err, const char *sql,
	     const struct sql_arg *args, size_t n);
#define SQL_OPEN(conn, out, err, sql, ...)                                                         \
	sql_open(conn, out, err, sql, (const struct sql_arg[]){__VA_ARGS__},                       \
		 sizeof((const struct sql_arg[]){__VA_ARGS__}) / sizeof(struct sql_arg))
int sql_next(struct sql_rows *rows, struct err *err); /* 1 a row, 0 done, negative */
void sql_close(struct sql_rows *rows);		      /* NULL is fine */

int64_t sql_int(struct sql_rows *rows, int column);
bool sql_bool(struct sql_rows *rows, int column);
/* Copies into the arena; NULL when it is exhausted. */
const char *sql_text(struct sql_rows *rows, int column, struct arena *arena);
const void *sql_blob(struct sql_rows *rows, int column, struct arena *arena, size_t *n);
/* Exactly n bytes, or zeroes for NULL and false for any other size. */
bool sql_fixed(struct sql_rows *rows, int column, void *out, size_t n);
void sql_uuid(struct sql_rows *rows, int column, struct uuid *out); /* zeroes when damaged */

/*
 * The first row of a one-row query as one integer: 0 and *found, or an error. Without a row *found
 * is false and *out untouched.
 */
int sql_get_int(struct db_conn *conn, int64_t *out, bool *found, struct err *err, const char *sql,
		const struct sql_arg *args, size_t n);
#define SQL_GET_INT(conn, out, found, err, sql, ...)                                               \
	sql_get_int(conn, out, found, err, sql, (const struct sql_arg[]){__VA_ARGS__},             \
		    sizeof((const struct sql_arg[]){__VA_ARGS__}) / sizeof(struct sql_arg))

/* UPDATE or DELETE that must touch something: ERR_NOTFOUND "no such <what>" when it did not. */
int sql_must(struct db_conn *conn, const char *what, struct err *err, const char *sql,
	     const struct sql_arg *args, size_t n);
#define SQL_MUST(conn, what, err, sql, ...)                                                        \
	sql_must(conn, what, err, sql, (const struct sql_arg[]){__VA_ARGS__},                      \
		 sizeof((const struct sql_arg[]){__VA_ARGS__}) / sizeof(struct sql_arg))

/* --- queries with a choice of conditions --- */
#define SQL_QUERY_ARGS 24
struct sql_query {
	struct buf text;
	struct arena arena; /* what arguments need beside the caller's memory */
	struct sql_arg args[SQL_QUERY_ARGS];
	size_t n;
	bool where; /* a condition was written: the next begins with AND */
};
void sql_query_init(struct sql_query *q, const char *select);
void sql_query_deinit(struct sql_query *q);
/* " WHERE " or " AND " and the condition, in which each '?' becomes the next parameter's name. */
void sql_query_where(struct sql_query *q, const char *condition, const struct sql_arg *args,
		     size_t n);
#define SQL_WHERE(q, condition, ...)                                                               \
	sql_query_where(q, condition, (const struct sql_arg[]){__VA_ARGS__},                       \
			sizeof((const struct sql_arg[]){__VA_ARGS__}) / sizeof(struct sql_arg))
/* The rest (order, limit) in the same way. */
void sql_query_end(struct sql_query *q, const char *text, const struct sql_arg *args, size_t n);
#define SQL_END(q, text, ...)                                                                      \
	sql_query_end(q, text, (const struct sql_arg[]){__VA_ARGS__},                              \
		      sizeof((const struct sql_arg[]){__VA_ARGS__}) / sizeof(struct sql_arg))
int sql_query_open(struct db_conn *conn, struct sql_query *q, struct sql_rows **out,
		   struct err *err);

/*
 * A pattern for LIKE ... ESCAPE '\' that finds `text` with `before` and `after` ("%" or "") around
 * it, its own wildcards made plain and ASCII letters lower; lives as long as the query. Failures
 * show in sql_query_open.
 */
struct sql_arg sql_like(struct sql_query *q, const char *before, const char *text,
			const char *after);
/* The three texts one after the other, as they are. */
struct sql_arg sql_pattern(struct sql_query *q, const char *before, const char *text,
			   const char *after);

/* --- lists --- */

/* Rows gathered into an arena array; grows by doubling. */
struct sql_list {
	struct arena *arena;
	size_t size; /* bytes an item */
	char *items;
	size_t n;
	size_t cap;
};
void sql_list_init(struct sql_list *list, struct arena *arena, size_t size);
void *sql_list_add(struct sql_list *list); /* a zeroed item; NULL when the arena is exhausted */

int64_t sql_limit(size_t limit);  /* 1 .. DB_PAGE_MAX */
bool sql_given(const char *text); /* neither NULL nor "" */

/* --- checks of what comes in --- */
int sql_check_text(const char *what, const char *text, size_t max, struct err *err);

/* Labels <-> one text, each on a line of its own with one before the first and after the last. */
/* Of these, what are labels, as many as there may be; in the arena. ERR_NOMEM. */
int sql_labels_valid(const struct db_labels *from, struct arena *arena, struct db_labels *out);
int sql_labels_join(const struct db_labels *labels, struct arena *arena, const char **out,
		    struct err *err);
int sql_labels_split(const char *text, struct arena *arena, struct db_labels *out);

/* --- the connection --- */

/* Moves what was committed to its final place (driver.h); for the pool's own thread. */
int sql_checkpoint(struct db_conn *conn, struct err *err);

struct db_driver;
const struct db_driver *sql_driver(const struct db_conn *conn);
void *sql_native(struct db_conn *conn);

/* Outbox rows of the open transaction, numbered when it commits. */
struct sql_outbox {
	struct sql_outbox_row {
		int kind;
		struct uuid machine;
		int64_t at_ms;
	} * rows;
	size_t n;
	size_t cap;
	size_t mark; /* n at the savepoint */
};
struct sql_outbox *sql_outbox(struct db_conn *conn);
int outbox_flush(struct db_conn *conn, struct err *err); /* db_outbox.c; before the commit */

#endif
