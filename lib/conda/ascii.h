/*
 * ASCII as Python's text functions see it: conda's rules are stated in them, and the C library's
 * depend on the locale.
 */
#ifndef ENVWARDEN_LIB_CONDA_ASCII_H
#define ENVWARDEN_LIB_CONDA_ASCII_H

#include <stdbool.h>
#include <stddef.h>

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool ascii_is_alnum(char c)
{
	return ascii_is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* What str.strip() removes and \s matches. */
static inline bool ascii_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= '\x1f');
}

static inline void ascii_strip(const char **text, size_t *n)
{
	while (*n > 0 && ascii_is_space((*text)[0])) {
		(*text)++;
		(*n)--;
	}
	while (*n > 0 && ascii_is_space((*text)[*n - 1]))
		(*n)--;
}

#endif
