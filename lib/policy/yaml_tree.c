#include "lib/policy/yaml_tree.h"

#include <string.h>
#include <yaml.h>

#include "lib/base/compiler.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf" /* what some editors begin a file with */

struct reading {
	yaml_parser_t parser;
	const struct yaml_limits *limits;
	struct arena *arena;
	struct yaml_place *place;
	struct err *err;
	size_t nodes;
};

static int refuse(struct reading *r, const yaml_mark_t *mark, int code, const char *what)
{
	if (r->place)
		*r->place =
			(struct yaml_place){(unsigned)mark->line + 1, (unsigned)mark->column + 1};
	return err_set(r->err, code, "%s", what);
}

static int next_event(struct reading *r, yaml_event_t *event)
{
	const yaml_parser_t *p = &r->parser;

	if (yaml_parser_parse(&r->parser, event))
		return 0;
	if (p->error == YAML_MEMORY_ERROR)
		return err_nomem(r->err);
	return refuse(r, &p->problem_mark, ERR_INVALID,
		      p->problem ? p->problem : "this is not YAML");
}

static int new_node(struct reading *r, enum yaml_kind kind, const yaml_event_t *event,
		    struct yaml_node **out)
{
	struct yaml_node *node;

	if (r->nodes++ >= r->limits->nodes)
		return refuse(r, &event->start_mark, ERR_LIMIT, "more than fits");
	node = arena_calloc(r->arena, 1, sizeof(*node));
	if (!node)
		return err_nomem(r->err);
	node->kind = kind;
	node->line = (unsigned)event->start_mark.line + 1;
	node->column = (unsigned)event->start_mark.column + 1;
	*out = node;
	return 0;
}

static int read_text(struct reading *r, const yaml_event_t *event, struct yaml_node **out)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t n = event->data.scalar.length;
	struct yaml_node *node = NULL;
	int rc;

	if (event->data.scalar.tag)
		return refuse(r, &event->start_mark, ERR_UNSUPPORTED, "tags are not supported");
	if (memchr(text, '\0', n))
		return refuse(r, &event->start_mark, ERR_INVALID, "a text with a NUL in it");
	rc = new_node(r, YAML_TEXT, event, &node);
	if (rc < 0 || !node)
		return rc;
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text = arena_strndup(r->arena, text, n);
	if (!node->text)
		return err_nomem(r->err);
	*out = node;
	return 0;
}

static int read_node(struct reading *r, yaml_event_t *event, unsigned depth,
		     struct yaml_node **out);

static int read_key(struct reading *r, yaml_event_t *event, struct yaml_node **key)
{
	if (event->type != YAML_SCALAR_EVENT)
		return refuse(r, &event->start_mark, ERR_UNSUPPORTED, "a key must be a text");
	return read_text(r, event, key);
}

/* The children up to the event that ends them; the event that began it has been read. */
static int read_children(struct reading *r, struct yaml_node *node, yaml_event_type_t end,
			 unsigned depth)
{
	struct yaml_node **last = &node->first;

	for (;;) {
		struct yaml_node *key = NULL;
		yaml_event_t event = {0};
		int rc = next_event(r, &event);

		if (rc < 0)
			return rc;
		if (event.type == end) {
			yaml_event_delete(&event);
			return 0;
		}
		if (node->kind == YAML_MAP) {
			rc = read_key(r, &event, &key);
			yaml_event_delete(&event);
			if (rc == 0)
				rc = next_event(r, &event);
			if (rc < 0)
				return rc;
		}
		rc = read_node(r, &event, depth, last);
		yaml_event_delete(&event);
		if (rc < 0)
			return rc;
		(*last)->key = key;
		last = &(*last)->next;
		node->n++;
	}
}

static int read_node(struct reading *r, yaml_event_t *event, unsigned depth, struct yaml_node **out)
{
	bool list = event->type == YAML_SEQUENCE_START_EVENT;
	const yaml_char_t *tag;
	struct yaml_node *node = NULL;
	int rc;

	if (event->type == YAML_SCALAR_EVENT)
		return read_text(r, event, out);
	if (event->type == YAML_ALIAS_EVENT)
		return refuse(r, &event->start_mark, ERR_UNSUPPORTED,
			      "aliases are not supported; write it out");
	if (!list && event->type != YAML_MAPPING_START_EVENT)
		return refuse(r, &event->start_mark, ERR_INVALID, "a value is missing");
	tag = list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
	if (tag)
		return refuse(r, &event->start_mark, ERR_UNSUPPORTED, "tags are not supported");
	if (depth >= r->limits->depth)
		return refuse(r, &event->start_mark, ERR_LIMIT, "nested too deeply");
	rc = new_node(r, list ? YAML_LIST : YAML_MAP, event, &node);
	if (rc == 0 && node)
		rc = read_children(r, node, list ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT,
				   depth + 1);
	if (rc == 0)
		*out = node;
	return rc;
}

/* Passes over events until one of this kind, which there must be next. */
static int expect(struct reading *r, yaml_event_type_t type, const char *otherwise)
{
	yaml_event_t event = {0};
	int rc = next_event(r, &event);

	if (rc < 0)
		return rc;
	if (event.type != type)
		rc = refuse(r, &event.start_mark, ERR_UNSUPPORTED, otherwise);
	yaml_event_delete(&event);
	return rc;
}

static int read_empty(struct reading *r, const yaml_event_t *event, struct yaml_node **out)
{
	struct yaml_node *node = NULL;
	int rc = new_node(r, YAML_TEXT, event, &node);

	if (rc < 0 || !node)
		return rc;
	node->plain = true;
	node->text = "";
	*out = node;
	return 0;
}

static int read_document(struct reading *r, struct yaml_node **out)
{
	yaml_event_t event = {0};
	int rc = expect(r, YAML_STREAM_START_EVENT, "this is not YAML");

	if (rc == 0)
		rc = next_event(r, &event);
	if (rc < 0)
		return rc;
	if (event.type == YAML_STREAM_END_EVENT) {
		rc = read_empty(r, &event, out);
		yaml_event_delete(&event);
		return rc;
	}
	yaml_event_delete(&event);
	rc = next_event(r, &event);
	if (rc < 0)
		return rc;
	rc = read_node(r, &event, 0, out);
	yaml_event_delete(&event);
	if (rc == 0)
		rc = expect(r, YAML_DOCUMENT_END_EVENT, "this is not YAML");
	if (rc == 0)
		rc = expect(r, YAML_STREAM_END_EVENT, "a second document");
	return rc;
}

int yaml_read(const char *data, size_t n, const struct yaml_limits *limits, struct arena *arena,
	      struct yaml_node **out, struct yaml_place *place, struct err *err)
{
	struct reading r = {.limits = limits, .arena = arena, .place = place, .err = err};
	struct yaml_node *root = NULL;
	int rc;

	if (place)
		*place = (struct yaml_place){0};
	if (n > limits->bytes)
		return err_set(err, ERR_LIMIT, "more than %zu bytes", limits->bytes);
	if (!yaml_parser_initialize(&r.parser))
		return err_nomem(err);
	/* The encoding is given, so that it is none but this; then the library leaves the mark in.
	 */
	if (n >= sizeof(BYTE_ORDER_MARK) - 1 &&
	    memcmp(data, BYTE_ORDER_MARK, sizeof(BYTE_ORDER_MARK) - 1) == 0) {
		data += sizeof(BYTE_ORDER_MARK) - 1;
		n -= sizeof(BYTE_ORDER_MARK) - 1;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)data, n);
	rc = read_document(&r, &root);
	yaml_parser_delete(&r.parser);
	if (rc == 0)
		*out = root;
	return rc;
}

bool yaml_is_null(const struct yaml_node *node)
{
	return node->kind == YAML_TEXT && node->plain &&
	       (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
		strcmp(node->text, "null") == 0);
}
