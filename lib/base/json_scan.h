/*
 * The inner loops of the JSON reader, 64 and 16 bytes at a time: brackets outside of strings, and
 * runs of string bytes that stand for themselves. Knows nothing of tokens.
 */
#ifndef ENVWARDEN_LIB_BASE_JSON_SCAN_H
#define ENVWARDEN_LIB_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/json.h"

/* The open brackets: bit d of kinds says that the one at depth d is an object. */
struct json_nest {
	uint64_t kinds[JSON_READER_DEPTH / 64];
	size_t depth;
	size_t max; /* at most JSON_READER_DEPTH */
};

int json_nest_open(struct json_nest *nest, bool object);  /* ERR_LIMIT */
int json_nest_close(struct json_nest *nest, bool object); /* ERR_INVALID: not the one open */
bool json_nest_in_object(const struct json_nest *nest);	  /* depth > 0 */

/* Where a scan stands between two pieces of input; zeroed outside of a string. */
struct json_scan {
	uint64_t in_string; /* all ones inside a string, else zero */
	bool escaped;	    /* a backslash takes the next byte */
};

/*
 * Follows the brackets of p[0..n) until the nesting falls to depth `until`: 1 then, with *used
 * counting that last bracket; 0 when all n bytes are used up before; ERR_INVALID or ERR_LIMIT with
 * *used at the bracket that is wrong.
 */
int json_scan_brackets(struct json_scan *s, struct json_nest *nest, size_t until,
		       const unsigned char *p, size_t n, size_t *used);

/*
 * How many bytes come before the first quote, backslash or control character. *high is set when one
 * of them is not ASCII, and left alone otherwise.
 */
size_t json_scan_plain(const unsigned char *p, size_t n, bool *high);

#endif
