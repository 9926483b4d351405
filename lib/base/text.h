/*
 * Text from outside: checked, escaped, compared. Everything that came from a file, a socket or a
 * user passes text_escape before it reaches a terminal, and JSON or log writers escape on their
 * own.
 */
#ifndef ENVWARDEN_LIB_BASE_TEXT_H
#define ENVWARDEN_LIB_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

bool text_is_utf8(const void *data, size_t n);

/* The length (1 to 4) of the sequence that data (n > 0 bytes) begins with, 0 if it is not UTF-8. */
size_t text_utf8_decode(const void *data, size_t n, uint32_t *code_point);

/* A code point beyond ASCII that shows nothing, or moves what others show: what text_escape
 * escapes. */
bool text_is_hidden(uint32_t code_point);

/*
 * Appends text made harmless for a terminal: C0, DEL, C1, bidi controls, line and paragraph
 * separators and other invisible format characters become \xNN or \u{NNNN}; invalid UTF-8 becomes
 * \xNN. Newlines too.
 */
void text_escape(struct buf *out, const char *text, size_t n);

/*
 * A path as text: file systems take any bytes, messages and stores only UTF-8. A byte that is not
 * UTF-8 becomes "\xNN" (lower-case hex), and so does a backslash that would read like one;
 * everything else is as it is. text_to_path is the way back: the same bytes for whatever
 * text_from_path made.
 */
void text_from_path(struct buf *out, const char *path);
/* ERR_LIMIT: longer than cap with its '\0'; ERR_INVALID: a "\x00". */
int text_to_path(const char *text, char *out, size_t cap);

/*
 * Appends text as one POSIX shell word: bare where nothing needs quoting, else single-quoted. fish
 * reads the same word: there, in quotes, a backslash before another one or a quote does not stand
 * for itself, so such a one is left out of the quotes.
 */
void text_shell_quote(struct buf *out, const char *text);

bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);

/*
 * Which of several names somebody meant who wrote another word (n bytes of it): for "did you mean".
 * Begin with the word alone, show it the names one after the other; best is then the nearest, the
 * first one of several, or NULL. At most a third of a name is otherwise (letters more, less, other
 * or swapped with their neighbour); else the word is a part of it, of four letters or more. All is
 * borrowed.
 */
struct text_guess {
	const char *word;
	size_t n;
	const char *best;
	size_t apart; /* the measure of it */
};
void text_guess(struct text_guess *guess, const char *name);

/* Strict decimal: digits only (a leading '-' for the signed one), all n bytes; ERR_INVALID, on
 * overflow too. */
int text_to_u64(const char *text, size_t n, unsigned long long *out);
int text_to_i64(const char *text, size_t n, long long *out);

/* Hex of exactly 2*n digits, of either case, into n bytes; ERR_INVALID. */
int text_from_hex(const char *text, size_t digits, unsigned char *out, size_t n);

#endif
