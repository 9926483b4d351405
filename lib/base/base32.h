/*
 * Crockford's base32 (digits and letters without I L O U): for case codes and join codes, read
 * aloud and typed by people. Decoding accepts lower case and takes O for 0, I and L for 1; '-' and
 * blanks are passed over.
 */
#ifndef ENVWARDEN_LIB_BASE_BASE32_H
#define ENVWARDEN_LIB_BASE_BASE32_H

#include <stddef.h>

#include "lib/base/buf.h"

void base32_encode(struct buf *out, const void *data, size_t n);
int base32_decode(const char *text, size_t n, struct buf *out); /* ERR_INVALID, buf_rc(out) */

#endif
