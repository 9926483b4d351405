/* A match spec's text taken apart as conda does it, before anything is made of the parts. */
#ifndef ENVWARDEN_LIB_CONDA_MATCH_TEXT_H
#define ENVWARDEN_LIB_CONDA_MATCH_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

/* A piece of text; p == NULL = not there. */
struct match_piece {
	const char *p;
	size_t n;
};

/* What stands outside the brackets. */
struct match_parts {
	struct match_piece channel; /* may be there and empty */
	struct match_piece name;
	struct match_piece version;
	struct match_piece build;
};

/* Takes the last "[...]" out of *text (and all that are the same); *inside is what was in it. */
int match_text_cut_brackets(struct match_piece *text, struct match_piece *inside,
			    struct arena *arena);
/* Takes the last "(...)" out: an old mark that means nothing. */
int match_text_cut_parens(struct match_piece *text, struct arena *arena);

/*
 * The next key=value at or behind *at in what was in brackets; *at moves behind it. What is no such
 * pair is passed over. false = no more.
 */
bool match_text_pair(struct match_piece inside, size_t *at, struct match_piece *key,
		     struct match_piece *value);

/* The rest: channel, name, version, build. ERR_INVALID, ERR_NOMEM. */
int match_text_split(struct match_piece text, struct arena *arena, struct match_parts *out,
		     struct err *err);

/* "=1.2" is "1.2*" when no build follows, "==1.2" is "1.2". ERR_NOMEM */
int match_text_version(struct match_piece *version, bool has_build, struct arena *arena);

#endif
