/*
 * A YAML document as a tree of texts, with the place each stands at: what configuration written by
 * people is read from. libyaml tokenises; limits and refusals are ours.
 *
 * Refused, with line and column: aliases (a few lines of them can stand for gigabytes, and a cycle
 * never ends), tags, a second document, what is not YAML. Anchors that nothing refers to do no
 * harm. Scalars are not interpreted: 1.10 stays "1.10".
 *
 * Any thread; a tree lives as long as its arena.
 */
#ifndef ENVWARDEN_LIB_POLICY_YAML_TREE_H
#define ENVWARDEN_LIB_POLICY_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

enum yaml_kind {
	YAML_TEXT,
	YAML_LIST,
	YAML_MAP
};

struct yaml_node {
	enum yaml_kind kind;
	bool plain; /* a text without quotes: "", "~" and "null" of these mean nothing is given */
	unsigned line; /* from 1 */
	unsigned column;
	const char *text;	 /* of a text; UTF-8 without NUL */
	struct yaml_node *key;	 /* of a map's entry: its key, a text */
	struct yaml_node *first; /* of a list: its items; of a map: the values, each with its key */
	struct yaml_node *next;	 /* the next one beside this */
	size_t n;		 /* children */
};

struct yaml_limits {
	size_t bytes; /* of the document */
	size_t nodes;
	unsigned depth;
};

/* Where reading failed, beside err's text. */
struct yaml_place {
	unsigned line;
	unsigned column;
};

/*
 * ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED (aliases, tags, several documents), ERR_NOMEM. place may
 * be NULL. An empty document is a text that gives nothing.
 */
int yaml_read(const char *data, size_t n, const struct yaml_limits *limits, struct arena *arena,
	      struct yaml_node **out, struct yaml_place *place, struct err *err);

/* A text that gives nothing. */
bool yaml_is_null(const struct yaml_node *node);

#endif
