#include <string.h>

#include "lib/base/text.h"
#include "server/api/request.h"
#include "server/api/route.h"

#define DEPTH_MAX 4 /* the deepest body is an object with a list of texts */

static const struct json_limits limits = {
	.max_depth = DEPTH_MAX,
	.max_string = API_BODY_MAX,
	.max_bytes = API_BODY_MAX,
};
static const struct json_limits large_limits = {
	.max_depth = DEPTH_MAX,
	.max_string = API_LARGE_MAX,
	.max_bytes = API_LARGE_MAX,
};

/* The text just read, which may hold no NUL: C and the store know no such texts. */
static int take_text(struct request *r, struct json_reader *in, const char *name, size_t max,
		     const char **out)
{
	size_t n;
	const char *text = json_text(in, &n);
	char *copy;

	if (n > max)
		return err_set(&r->err, ERR_INVALID, "%s: at most %zu bytes of text, not %zu", name,
			       max, n);
	if (strlen(text) != n)
		return err_set(&r->err, ERR_INVALID, "%s: a text without zero bytes", name);
	copy = arena_strndup(&r->arena, text, n);
	if (!copy)
		return err_nomem(&r->err);
	*out = copy;
	return 0;
}

static int take_texts(struct request *r, struct json_reader *in, const struct field *f,
		      struct texts *out)
{
	const char **items = arena_calloc(&r->arena, f->max + 1, sizeof(*items));
	enum json_token token;
	size_t n = 0;
	int rc;

	if (!items)
		return err_nomem(&r->err);
	for (;;) {
		rc = json_next(in, &token, &r->err);
		if (rc < 0)
			return rc;
		if (token == JSON_ARRAY_END)
			break;
		if (token != JSON_STRING || n == f->max)
			return err_set(&r->err, ERR_INVALID, "%s: not a list of at most %zu texts",
				       f->name, f->max);
		rc = take_text(r, in, f->name, API_BODY_MAX, &items[n++]);
		if (rc < 0)
			return rc;
	}
	*out = (struct texts){.items = items, .n = n};
	return 0;
}

static int take_value(struct request *r, struct json_reader *in, const struct field *f, void *at)
{
	enum json_token token;
	int rc = json_next(in, &token, &r->err);

	if (rc < 0)
		return rc;
	switch (f->kind) {
	case FIELD_TEXT:
		if (token == JSON_STRING)
			return take_text(r, in, f->name, f->max, at);
		return err_set(&r->err, ERR_INVALID, "%s: not a text", f->name);
	case FIELD_BOOL:
		if (token != JSON_TRUE && token != JSON_FALSE)
			return err_set(&r->err, ERR_INVALID, "%s: neither true nor false", f->name);
		*(struct maybe_bool *)at =
			(struct maybe_bool){.set = true, .value = token == JSON_TRUE};
		return 0;
	case FIELD_INT:
		if (token != JSON_INT || json_num(in) < 1 || (uint64_t)json_num(in) > f->max)
			return err_set(&r->err, ERR_INVALID, "%s: not a number from 1 to %zu",
				       f->name, f->max);
		*(int64_t *)at = json_num(in);
		return 0;
	case FIELD_TEXTS:
		if (token == JSON_ARRAY)
			return take_texts(r, in, f, at);
		return err_set(&r->err, ERR_INVALID, "%s: not a list", f->name);
	}
	return err_set(&r->err, ERR_INTERNAL, "%s: no such kind of field", f->name);
}

/* The place in the table, or n. */
static size_t place_of(const struct field *fields, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(fields[i].name, name) == 0)
			break;
	return i;
}

static int take_members(struct request *r, struct json_reader *in, const struct field *fields,
			size_t n, void *into, bool seen[REQUEST_FIELDS_MAX])
{
	enum json_token token;
	size_t i;
	int rc;

	for (;;) {
		rc = json_next(in, &token, &r->err);
		if (rc < 0)
			return rc;
		if (token == JSON_OBJECT_END)
			return 0;
		i = place_of(fields, n, json_text(in, NULL));
		if (i == n)
			return err_set(&r->err, ERR_INVALID, "unknown member \"%s\"",
				       json_text(in, NULL));
		if (seen[i])
			return err_set(&r->err, ERR_INVALID, "%s: twice", fields[i].name);
		seen[i] = true;
		rc = take_value(r, in, &fields[i], (char *)into + fields[i].offset);
		if (rc < 0)
			return rc;
	}
}

static int take_body(struct request *r, struct json_reader *in, const struct field *fields,
		     size_t n, void *into)
{
	bool seen[REQUEST_FIELDS_MAX] = {false};
	enum json_token token;
	size_t i;
	int rc = json_next(in, &token, &r->err);

	if (rc < 0)
		return rc;
	if (token != JSON_OBJECT)
		return err_set(&r->err, ERR_INVALID, "not a JSON object");
	rc = take_members(r, in, fields, n, into, seen);
	if (rc == 0)
		rc = json_next(in, &token, &r->err); /* nothing may follow */
	if (rc < 0)
		return rc;
	for (i = 0; i < n; i++)
		if (fields[i].required && !seen[i])
			return err_set(&r->err, ERR_INVALID, "member \"%s\" is missing",
				       fields[i].name);
	return 0;
}

int request_fields(struct request *r, const struct field *fields, size_t n, void *into)
{
	struct json_reader *in;
	int rc = json_reader_new(r->route->large ? &large_limits : &limits, &in);

	if (rc < 0)
		return err_nomem(&r->err);
	CHECK(n <= REQUEST_FIELDS_MAX);
	json_reader_reset_bytes(in, r->body.data ? r->body.data : "", r->body.len);
	rc = take_body(r, in, fields, n, into);
	json_reader_free(in);
	if (rc < 0)
		(void)err_context(&r->err, "body");
	/* Cut short and over a limit of the reader's are malformed alike for the client. */
	return rc == ERR_NOMEM || rc == 0 ? rc
					  : request_refuse(r, 400, ERR_INVALID, "%s", r->err.text);
}
