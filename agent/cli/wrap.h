/*
 * Text laid out for a terminal of some width: words are kept whole where they fit, lines after the
 * first begin with a prefix. Everything added is escaped (lib/base/text.h).
 */
#ifndef ENVWARDEN_AGENT_CLI_WRAP_H
#define ENVWARDEN_AGENT_CLI_WRAP_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

/* Columns a harmless text takes: wide characters count two, combining ones none. */
size_t wrap_columns(const char *text, size_t n);

struct wrap {
	struct buf *out;
	size_t width;
	const char *prefix; /* of the second and later lines */
	size_t column;	    /* where the next word begins */
	bool fresh;	    /* nothing stands on this line but its prefix */
};

/* Begins a paragraph: `first` is what its first line begins with, `prefix` the others. */
void wrap_begin(struct wrap *w, struct buf *out, size_t width, const char *first,
		const char *prefix);

/* Adds words, separated by blanks and newlines. `style` is an escape sequence in front of each
 * word, switched off behind it; NULL = none. */
void wrap_text(struct wrap *w, const char *text, const char *style);

/* Adds what is to be copied as it stands, blanks and all: never broken, however long. */
void wrap_whole(struct wrap *w, const char *text);

/* Ends the paragraph's last line. */
void wrap_end(struct wrap *w);

/*
 * One whole paragraph whose newlines count: each line of `text` is one behind `prefix`.
 */
void wrap_lines(struct buf *out, size_t width, const char *prefix, const char *text);

/* A line with a shell command to paste, as it stands: never broken, however long. */
void wrap_command(struct buf *out, const char *first, const char *command);

#endif
