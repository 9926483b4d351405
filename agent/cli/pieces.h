/*
 * What is placed in a conda base (packaging/hooks/base, built in): its files, and what a file that
 * is found in their place is. Pure.
 */
#ifndef ENVWARDEN_AGENT_CLI_PIECES_H
#define ENVWARDEN_AGENT_CLI_PIECES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

#define PIECES_MAX 8
#define PIECES_FOLDER "envwarden_hooks-1.dist-info"
#define PIECE_SIZE_MAX 65536 /* bytes; what is bigger is none of ours */

struct piece_text {
	const char *name;
	const unsigned char *text;
	size_t n;
};
extern const struct piece_text piece_texts[]; /* ends with a NULL name */

/* One file, below site-packages. */
struct piece {
	const char *name;
	bool in_folder; /* in PIECES_FOLDER */
	int since;	/* for Python 3.<since> and later; an earlier one must not have it */
	char *text;
	size_t n;
};

/* In the order in which they are placed: what makes Python, or conda, load others comes after
 * these, and what makes all of it a distribution when the gate is whole, since that is what the
 * agent sees.
 */
struct pieces {
	struct piece items[PIECES_MAX];
	size_t n;
};

/* For a command at this absolute path. ERR_UNSUPPORTED: a path no Python source can hold. */
int pieces_init(struct pieces *pieces, const char *command, struct err *err);
void pieces_deinit(struct pieces *pieces); /* also of a zeroed struct */

/* From better to worse. */
enum piece_state {
	PIECE_PLACED,
	PIECE_MISSING,
	PIECE_OUTDATED, /* placed by another version, or for a command elsewhere */
	PIECE_FOREIGN,	/* somebody else's file: never touched */
};

/* Whether a base with Python 3.<minor> is to have it. */
bool piece_wanted(const struct piece *piece, int minor);

/* What the file found in its place is; found = NULL: there is none. */
enum piece_state piece_compare(const struct piece *piece, int minor, const char *found, size_t n);

#endif
