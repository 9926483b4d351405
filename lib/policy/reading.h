/*
 * What the files that read a policy share: a tree's nodes taken as values. A value that is wrong is
 * told in the problems, and reading goes on with nothing in its place.
 */
#ifndef ENVWARDEN_LIB_POLICY_READING_H
#define ENVWARDEN_LIB_POLICY_READING_H

#include "lib/base/arena.h"
#include "lib/policy/policy.h"
#include "lib/policy/problems.h"
#include "lib/policy/yaml_tree.h"

struct reading {
	struct arena *arena;
	struct problems *problems;
};

/* --- reading.c --- */

void reading_error(const struct reading *r, const struct yaml_node *at, const char *suggestion,
		   const char *fmt, ...) EW_PRINTF(4, 5);

/* A key of a map, and what takes its value. */
struct reading_field {
	const char *key;
	void (*take)(const struct reading *r, const struct yaml_node *value, void *into);
	bool required;
};

/* Hands each value of a map to its field's taker; tells of unknown, double and lacking keys. */
void reading_map(const struct reading *r, const struct yaml_node *map, const char *what,
		 const struct reading_field *fields, size_t n, void *into);

/* The text of a node, at most max bytes, free of control characters ('\n' is fine if lines). "" is
 * what a wrong one gives. */
const char *reading_text(const struct reading *r, const struct yaml_node *node, size_t max,
			 bool lines);
/* The same on one line, and an empty one is wrong. */
const char *reading_some_text(const struct reading *r, const struct yaml_node *node, size_t max);
/* One text or a list of them. */
struct texts_list reading_texts(const struct reading *r, const struct yaml_node *node);
/* "14d", "12h", "30m", "90s", "2w". -1 when wrong. */
int64_t reading_duration(const struct reading *r, const struct yaml_node *node);
/* "2026-12-06" (its first moment, UTC) or "2026-12-06T08:00:00Z". 0 when wrong. */
int64_t reading_time(const struct reading *r, const struct yaml_node *node);
/* The place of the text in the names, -1 when it is none of them. */
int reading_word(const struct reading *r, const struct yaml_node *node, const char *const *names,
		 size_t n);
/* "did you mean package? known here: package, channel"; in the arena. */
const char *reading_suggestion(const struct reading *r, const char *given, const char *const *names,
			       size_t n);
enum ternary reading_yes_no(const struct reading *r, const struct yaml_node *node);

/* --- condition_read.c --- */

void condition_read(const struct reading *r, const struct yaml_node *node, unsigned depth,
		    struct condition *out);

#endif
