/*
 * Golden files: bytes that must never change, as hex in text files under tests/fixtures/golden
 * (lines that begin with '#' are comments). Failures end the test; a difference prints what came.
 */
#ifndef ENVWARDEN_TESTS_PROTO_GOLDEN_H
#define ENVWARDEN_TESTS_PROTO_GOLDEN_H

#include <stddef.h>

#include "lib/base/buf.h"

/* Reads <name>.hex; the caller deinits. */
void golden_read(const char *name, struct buf *out);

/* The file's own text without comments and line ends. */
void golden_read_text(const char *file, struct buf *out);

void golden_check(const char *name, const void *data, size_t n);

#endif
