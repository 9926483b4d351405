/*
 * What is wrong with a policy, or looks wrong: where, what, and what to write instead. Collected,
 * so that one reading names all of them.
 */
#ifndef ENVWARDEN_LIB_POLICY_PROBLEMS_H
#define ENVWARDEN_LIB_POLICY_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/compiler.h"

#define PROBLEMS_MAX 200 /* kept; the rest is counted */

enum problem_kind {
	PROBLEM_ERROR,	 /* the policy can't be used */
	PROBLEM_WARNING, /* it can, but hardly means what it says */
};

struct problem {
	enum problem_kind kind;
	unsigned line; /* from 1; 0 = the whole */
	unsigned column;
	const char *text;
	const char *suggestion; /* "" none */
};

struct problems {
	struct arena *arena;
	struct problem items[PROBLEMS_MAX];
	size_t n;
	size_t n_errors; /* all of them, also those not kept */
	size_t n_warnings;
	bool out_of_memory; /* some are lost: nothing may be concluded */
};

void problems_init(struct problems *all, struct arena *arena);

/* Adds one. text is a format; suggestion is taken as it is, NULL none. */
struct problem_at {
	enum problem_kind kind;
	unsigned line;
	unsigned column;
	const char *suggestion;
};
void problems_add(struct problems *all, const struct problem_at *at, const char *fmt, ...)
	EW_PRINTF(3, 4);

/* By line and column, errors before warnings there. */
void problems_sort(struct problems *all);

/* "rules.yaml:12:9: error: ..." a line each, made harmless for terminals; file may be "". */
void problems_format(const struct problems *all, const char *file, struct buf *out);

#endif
