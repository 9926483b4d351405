/*
 * One request on its way through the API, as the routes see it.
 *
 * A request goes through the steps its route names (route.h): begin on the loop's thread (read the
 * query and the body), read on a reader of the store, compute on the loop's thread pool, write on
 * the store's writer. One step at a time, so a request needs no lock. The first step that fails
 * ends it with a problem document (RFC 9457); else what a step wrote into `json` is the answer.
 */
#ifndef ENVWARDEN_SERVER_API_REQUEST_H
#define ENVWARDEN_SERVER_API_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/uuid.h"
#include "server/api/api.h"
#include "server/db/db_admin.h"

#define REQUEST_MEMORY (96U << 20) /* bytes of what the store answers to one request */
#define REQUEST_ANSWER_MAX (64U << 20)
#define REQUEST_LIMIT_DEFAULT 100 /* items of a page when not said */

struct route;
struct db_conn;
struct login_rate;

struct request_pair {
	const char *name;
	const char *value; /* never NULL */
};

struct request {
	/* What came. */
	const struct api_config *config;
	const struct route *route;
	struct uuid id; /* of the path; zero when the path has none */
	struct request_pair *query;
	size_t n_query;
	struct buf body;  /* as it came */
	const char *peer; /* the client's address as text */
	int64_t now_ms;	  /* wall time */
	int64_t mono_ms;
	struct login_rate *login_rate; /* the loop's thread only */

	/* Who sent it; empty on routes open to all. */
	struct db_token token;
	const char *who; /* as the audit log names them */

	/* What the route keeps between its steps, in the arena. */
	void *data;
	void (*release)(struct request *r); /* of what is not in the arena; NULL = nothing */

	/* The answer. */
	struct arena arena;
	struct buf out;
	struct json_writer json; /* into out */
	unsigned status;	 /* 0 = 200, or by the error */
	unsigned retry_after_s;	 /* 0 = no such header */
	bool problem;		 /* answer err although the step succeeded */
	struct err err;
};

/*
 * Refuses the request with an HTTP status other than the one the code stands for. Returns the code.
 */
int request_refuse(struct request *r, unsigned status, int code, const char *fmt, ...)
	EW_PRINTF(4, 5);

/* --- the query; all ERR_INVALID with the parameter's name in the text --- */

/* NULL = not given. */
const char *request_query(const struct request *r, const char *name);
int request_limit(struct request *r, size_t *out);
int request_query_time(struct request *r, const char *name, int64_t *ms); /* untouched if absent */
/* *out is NULL when not given, else in the arena. */
int request_query_id(struct request *r, const char *name, const struct uuid **out);

/* Where a list goes on ("after", an opaque text); *out is unset when not given. */
int request_after(struct request *r, struct db_cursor *out);
/* Writes "next" for the page after this one. */
void request_next(struct request *r, const struct db_cursor *last);

/* --- the body --- */

enum field_kind {
	FIELD_TEXT,  /* const char *, in the arena */
	FIELD_BOOL,  /* struct maybe_bool */
	FIELD_INT,   /* int64_t */
	FIELD_TEXTS, /* struct texts, in the arena */
};
struct maybe_bool {
	bool set;
	bool value;
};
struct texts {
	const char **items;
	size_t n;
};
struct field {
	const char *name;
	enum field_kind kind;
	bool required;
	size_t max;    /* bytes of a text, items of a list, value of a number (from 1 on) */
	size_t offset; /* where in the struct filled */
};
/*
 * Reads the body's JSON object. Members that are not in the table, or come twice, are errors; those
 * that are absent leave `into` untouched. At most REQUEST_FIELDS_MAX fields. All ERR_INVALID.
 */
#define REQUEST_FIELDS_MAX 16
int request_fields(struct request *r, const struct field *fields, size_t n, void *into);

/* --- writing --- */

/* Joins the open transaction; detail: JSON or "". */
int request_audit(struct db_conn *conn, struct request *r, const char *what, const char *target,
		  const char *detail);

/* Whether the machine is connected now, as answers say it of machines. */
bool request_connected(const struct request *r, const struct uuid *machine);

/* A member with these bytes in base64. ERR_NOMEM. */
int request_base64(struct request *r, const char *key, const void *data, size_t n);

/* Opens the answer's object with its schema, "envwarden.<name>/1". */
void request_open(struct request *r, const char *schema);
void request_close(struct request *r);

#endif
